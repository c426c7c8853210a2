// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// whatIsLeft is what an operator has to know after an erasure.
const whatIsLeft = "The keys of what was encrypted are destroyed: nobody can open what is left of its records, with a backup of the database neither. Where the bucket itself is copied elsewhere, delete keys/ in the copies (docs/security.md, Erasure)."

type streamEraseCmd struct {
	Name    string        `arg:"" help:"Name of the stream."`
	Yes     bool          `short:"y" help:"Do it: this cannot be undone."`
	WaitFor time.Duration `help:"How long to wait until it is gone." default:"60s" placeholder:"TIME"`
}

// Help is shown by `leat stream erase --help`.
func (streamEraseCmd) Help() string {
	return "Its consumers go with it. The command ends when the stream and its keys are gone. A stream that is not encrypted is refused: there is no key whose loss would erase it; `leat stream delete` lets its records go from the bucket as objects are merged and deleted."
}

// Run deletes an encrypted stream and waits until its keys are gone: they go with its last row in the catalog.
func (cmd *streamEraseCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		return leat.Invalid("yes", "stream %s would be gone for good, with all its records and consumers: say --yes", cmd.Name)
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	d, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: cmd.Name})
	if err != nil {
		return err
	}
	if d.GetStream().GetEncryptionKey() == "" {
		return leat.Invalid("name", "stream %s is not encrypted, so no key's loss erases it: `leat stream delete %[1]s` deletes it and its objects in time", cmd.Name)
	}
	if _, err := cl.Streams.DeleteStream(ctx, &leatv1.DeleteStreamRequest{Stream: cmd.Name, EnforceConsumerDeletion: true}); err != nil {
		return err
	}
	if err := (&streamDeleteCmd{Name: cmd.Name, WaitFor: cmd.WaitFor}).gone(ctx, cl); err != nil {
		return err
	}
	return erased(t, c, "stream", "name", cmd.Name)
}

func erased(t *terminal, c *connection, what, field, name string) error {
	p := newPrinter(t.out, c.Output)
	if err := p.Row(map[string]string{field: name, "status": "ERASED"}, what+" "+name+" erased"); err != nil {
		return err
	}
	if err := p.Flush(); err != nil {
		return err
	}
	if c.Output != formatJSON {
		fmt.Fprintln(t.out, whatIsLeft)
	}
	return nil
}

type accountEraseCmd struct {
	accountArg
	Yes     bool          `short:"y" help:"Do it: this cannot be undone."`
	WaitFor time.Duration `help:"How long to wait until it is gone." default:"5m" placeholder:"TIME"`
}

// Help is shown by `leat account erase --help`.
func (accountEraseCmd) Help() string {
	return "It is `leat account delete --erase`, and waits until the account and all its streams are gone. It takes the server's own token."
}

// Run deletes an account with all that it has, and waits until it is gone.
func (cmd *accountEraseCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		return leat.Invalid("yes", "account %s would be gone for good, with its streams, keys, tokens and roles: say --yes", cmd.ID)
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err := cl.Identity.DeleteAccount(ctx, &leatv1.DeleteAccountRequest{AccountId: cmd.ID, Erase: true}); err != nil {
		return err
	}
	if err := cmd.gone(ctx, cl); err != nil {
		return err
	}
	return erased(t, c, "account", "id", cmd.ID)
}

// gone polls until the account is not found.
func (cmd *accountEraseCmd) gone(ctx context.Context, cl *client.Client) error {
	return untilGone(ctx, "account "+cmd.ID, cmd.WaitFor, func(ctx context.Context) error {
		_, err := cl.Identity.GetAccount(ctx, &leatv1.GetAccountRequest{AccountId: cmd.ID})
		return err
	})
}
