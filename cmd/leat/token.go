// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// tokenCmd is `leat token`.
type tokenCmd struct {
	Connection connection `embed:""`

	Create tokenCreateCmd `cmd:"" help:"Create an API token and show it, this once."`
	List   tokenListCmd   `cmd:"" help:"List API tokens."`
	Delete tokenDeleteCmd `cmd:"" help:"Delete an API token for good."`
}

// Help is shown by `leat token --help`.
func (tokenCmd) Help() string {
	return "API tokens are for gRPC, REST and this command line (--token, LEAT_TOKEN). A token belongs to the account of the token that makes it, or to --account with the server's own token, and may have a role (`leat role`). The server keeps a digest of it alone."
}

type tokenCreateCmd struct {
	Name     string        `arg:"" help:"Who or what will hold it, for people; two tokens may share one."`
	Role     string        `help:"Role whose policy binds its holder. Without it: everything in the account." placeholder:"NAME"`
	Lifetime time.Duration `help:"How long it is good for, such as 720h. Default: for ever." placeholder:"TIME"`
}

// Run makes a token.
func (cmd *tokenCreateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		req := &leatv1.CreateTokenRequest{Name: cmd.Name, Role: cmd.Role}
		if cmd.Lifetime != 0 {
			req.Lifetime = durationpb.New(cmd.Lifetime)
		}
		res, err := cl.Identity.CreateToken(ctx, req)
		if err != nil {
			return err
		}
		v := viewToken(res.GetToken())
		v.Secret = res.GetSecret()
		if c.Output == formatJSON {
			return newEncoder(t.out).Encode(v)
		}
		// Standard output has what is to be pasted, so that eval "$(leat token create app)" works.
		if _, err := fmt.Fprintf(t.out, "export LEAT_TOKEN=%s\n", v.Secret); err != nil {
			return err
		}
		if isTerminal(t.out) {
			fmt.Fprintf(t.err, "token %s created for %s. Keep it: it is not shown again.\n", v.ID, v.Name)
		}
		return nil
	})
}

type tokenListCmd struct{}

// Run lists tokens.
func (tokenListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		p := newPrinter(t.out, c.Output, "ID", "NAME", "ROLE", "CREATED", "EXPIRES")
		req := &leatv1.ListTokensRequest{}
		for range maxPages {
			res, err := cl.Identity.ListTokens(ctx, req)
			if err != nil {
				return err
			}
			for _, k := range res.GetTokens() {
				v := viewToken(k)
				if err := p.Row(v, v.ID, v.Name, orDash(v.Role), local(k.GetCreateTime()), orDash(local(k.GetExpireTime()))); err != nil {
					return err
				}
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return p.Flush()
	})
}

type tokenDeleteCmd struct {
	ID  string `arg:"" help:"Id of the token."`
	Yes bool   `short:"y" help:"Do it: whoever holds the token is refused at once, for good."`
}

// Run deletes a token.
func (cmd *tokenDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		return leat.Invalid("yes", "token %s would be gone for good: say --yes", cmd.ID)
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Identity.DeleteToken(ctx, &leatv1.DeleteTokenRequest{TokenId: cmd.ID}); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"id": cmd.ID, "state": "DELETED"}, "token "+cmd.ID+" deleted"); err != nil {
			return err
		}
		return p.Flush()
	})
}

// tokenView is the JSON form of a token; its text is there when it was just made.
type tokenView struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Account string `json:"account"`
	Role    string `json:"role,omitempty"`
	Created string `json:"create_time"`
	Expires string `json:"expire_time,omitempty"`
	Secret  string `json:"secret,omitempty"`
}

func viewToken(t *leatv1.Token) tokenView {
	return tokenView{
		ID: t.GetId(), Name: t.GetName(), Account: t.GetAccount(), Role: t.GetRole(), Created: rfc3339(t.GetCreateTime()), Expires: rfc3339(t.GetExpireTime()),
	}
}
