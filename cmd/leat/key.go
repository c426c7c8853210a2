// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// keyCmd is `leat key`.
type keyCmd struct {
	Connection connection `embed:""`

	Create  keyCreateCmd  `cmd:"" help:"Create an access key and show its secret, this once."`
	List    keyListCmd    `cmd:"" help:"List access keys."`
	Disable keyDisableCmd `cmd:"" help:"Refuse requests signed with a key, until it is enabled."`
	Enable  keyEnableCmd  `cmd:"" help:"Accept requests signed with a key again."`
	Delete  keyDeleteCmd  `cmd:"" help:"Delete a key for good."`
}

// Help is shown by `leat key --help`.
func (keyCmd) Help() string {
	return "Access keys are what AWS SDKs and tools sign requests with: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. `leat serve` asks for one on its Kinesis API; `leat dev` accepts any. Keys belong to the account of the token that makes them, or to --account with the server's own token, and may have a role (`leat role`). The server must have a master key (--master-key-file)."
}

// keyArg is a key that there is.
type keyArg struct {
	ID string `arg:"" help:"Id of the key."`
}

type keyCreateCmd struct {
	Name string `arg:"" help:"Who or what will hold it, for people; two keys may share one."`
	Role string `help:"Role whose policy binds its holder. Without it: everything in the account." placeholder:"NAME"`
}

// Run makes a key.
func (cmd *keyCreateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Keys.CreateKey(ctx, &leatv1.CreateKeyRequest{Name: cmd.Name, Role: cmd.Role})
		if err != nil {
			return err
		}
		v := viewKey(res.GetKey())
		v.Secret = res.GetSecret()
		if c.Output == formatJSON {
			return newEncoder(t.out).Encode(v)
		}
		// Standard output has what is to be pasted, so that eval "$(leat key create app)" works.
		if _, err := fmt.Fprintf(t.out, "export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n", v.ID, v.Secret); err != nil {
			return err
		}
		if isTerminal(t.out) {
			fmt.Fprintf(t.err, "key %s created for %s. Keep the secret: it is not shown again.\n", v.ID, v.Name)
		}
		return nil
	})
}

type keyListCmd struct{}

// Run lists keys.
func (cmd *keyListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var all []*leatv1.AccessKey
		req := &leatv1.ListKeysRequest{}
		for range maxPages {
			res, err := cl.Keys.ListKeys(ctx, req)
			if err != nil {
				return err
			}
			all = append(all, res.GetKeys()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return printKeys(t, c, all...)
	})
}

type keyDisableCmd struct{ keyArg }

// Run disables a key.
func (cmd *keyDisableCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return setKey(ctx, c, t, cmd.ID, leatv1.KeyState_KEY_STATE_INACTIVE)
}

type keyEnableCmd struct{ keyArg }

// Run enables a key.
func (cmd *keyEnableCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return setKey(ctx, c, t, cmd.ID, leatv1.KeyState_KEY_STATE_ACTIVE)
}

func setKey(ctx context.Context, c *connection, t *terminal, id string, state leatv1.KeyState) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Keys.UpdateKey(ctx, &leatv1.UpdateKeyRequest{KeyId: id, State: state})
		if err != nil {
			return err
		}
		return printKeys(t, c, res.GetKey())
	})
}

type keyDeleteCmd struct {
	keyArg
	Yes bool `short:"y" help:"Do it: clients that hold the key are refused at once, for good."`
}

// Run deletes a key.
func (cmd *keyDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		return leat.Invalid("yes", "key %s would be gone for good: say --yes, or try `leat key disable %[1]s` first", cmd.ID)
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Keys.DeleteKey(ctx, &leatv1.DeleteKeyRequest{KeyId: cmd.ID}); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"id": cmd.ID, "state": "DELETED"}, "key "+cmd.ID+" deleted"); err != nil {
			return err
		}
		return p.Flush()
	})
}

// keyView is the JSON form of an access key; its secret is there when it was just made.
type keyView struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Account string `json:"account"`
	Role    string `json:"role,omitempty"`
	State   string `json:"state"`
	Created string `json:"create_time"`
	Secret  string `json:"secret,omitempty"`
}

func viewKey(k *leatv1.AccessKey) keyView {
	return keyView{ID: k.GetId(), Name: k.GetName(), Account: k.GetAccount(), Role: k.GetRole(), State: short(k.GetState().String()), Created: rfc3339(k.GetCreateTime())}
}

func printKeys(t *terminal, c *connection, keys ...*leatv1.AccessKey) error {
	p := newPrinter(t.out, c.Output, "ID", "NAME", "STATE", "ROLE", "CREATED")
	for _, k := range keys {
		v := viewKey(k)
		if err := p.Row(v, v.ID, v.Name, v.State, orDash(v.Role), local(k.GetCreateTime())); err != nil {
			return err
		}
	}
	return p.Flush()
}
