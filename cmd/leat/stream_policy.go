// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

type streamPolicyCmd struct {
	resource
	Put    string `help:"Set the policy in this file; - for the standard input." placeholder:"FILE" xor:"change"`
	Delete bool   `help:"Delete the policy." xor:"change"`
}

// Run shows, sets or deletes a policy.
func (cmd *streamPolicyCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	switch {
	case cmd.Delete:
		return cmd.done(ctx, c, t, "deleted", func(ctx context.Context, cl *client.Client) error {
			_, err := cl.Resources.DeleteResourcePolicy(ctx, &leatv1.DeleteResourcePolicyRequest{Stream: cmd.Name, Consumer: cmd.Consumer})
			return err
		})
	case cmd.Put != "":
		policy, err := readPolicy(ctx, t, cmd.Put)
		if err != nil {
			return err
		}
		return cmd.done(ctx, c, t, "set", func(ctx context.Context, cl *client.Client) error {
			_, err := cl.Resources.PutResourcePolicy(ctx, &leatv1.PutResourcePolicyRequest{Stream: cmd.Name, Consumer: cmd.Consumer, Policy: policy})
			return err
		})
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error { return cmd.show(ctx, c, t, cl) })
}

// readPolicy stops a little beyond what the server takes, which then says how large it may be.
func readPolicy(ctx context.Context, t *terminal, file string) (string, error) {
	in := t.input(ctx)
	if file != "-" {
		f, err := os.Open(filepath.Clean(file))
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, leat.MaxPolicyBytes+1))
	return string(text), err
}

// show prints the policy as it was set.
func (cmd *streamPolicyCmd) show(ctx context.Context, c *connection, t *terminal, cl *client.Client) error {
	res, err := cl.Resources.GetResourcePolicy(ctx, &leatv1.GetResourcePolicyRequest{Stream: cmd.Name, Consumer: cmd.Consumer})
	if err != nil {
		return err
	}
	if c.Output == formatJSON {
		return newEncoder(t.out).Encode(map[string]string{"stream": cmd.Name, "consumer": cmd.Consumer, "policy": res.GetPolicy()})
	}
	if res.GetPolicy() == "" {
		fmt.Fprintf(t.err, "%s has no policy: set one with --put FILE\n", cmd.said())
		return nil
	}
	_, err = fmt.Fprintln(t.out, res.GetPolicy())
	return err
}

// done makes one change and says so.
func (cmd *streamPolicyCmd) done(ctx context.Context, c *connection, t *terminal, verb string, change func(context.Context, *client.Client) error) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if err := change(ctx, cl); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"stream": cmd.Name, "consumer": cmd.Consumer, "policy": verb}, "policy of "+cmd.said()+" "+verb); err != nil {
			return err
		}
		return p.Flush()
	})
}
