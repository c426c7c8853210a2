// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// Help is shown by `leat account --help`.
func (accountCmd) Help() string {
	return "An account owns streams, keys, tokens and roles, and sees nothing of others. Creating and changing accounts takes the server's own token (--token); with it --account ID acts for any of them, with every command."
}

// accountArg is an account that there is.
type accountArg struct {
	ID string `arg:"" help:"The account: 12 digits."`
}

type accountCreateCmd struct {
	Name   string            `arg:"" help:"What to call it."`
	ID     string            `name:"id" help:"12 digits of its own. Default: any that are free." placeholder:"ID"`
	Labels map[string]string `name:"label" help:"Label, as NAME=VALUE; may be given more than once." mapsep:"none" placeholder:"NAME=VALUE"`
}

// Run makes an account.
func (cmd *accountCreateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Identity.CreateAccount(ctx, &leatv1.CreateAccountRequest{AccountId: cmd.ID, Name: cmd.Name, Labels: cmd.Labels})
		if err != nil {
			return err
		}
		return printAccounts(t, c, res.GetAccount())
	})
}

type accountListCmd struct{}

// Run lists accounts.
func (accountListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var all []*leatv1.Account
		req := &leatv1.ListAccountsRequest{}
		for range maxPages {
			res, err := cl.Identity.ListAccounts(ctx, req)
			if err != nil {
				return err
			}
			all = append(all, res.GetAccounts()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return printAccounts(t, c, all...)
	})
}

type accountDescribeCmd struct{ accountArg }

// Run shows an account.
func (cmd *accountDescribeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Identity.GetAccount(ctx, &leatv1.GetAccountRequest{AccountId: cmd.ID})
		if err != nil {
			return err
		}
		return printAccounts(t, c, res.GetAccount())
	})
}

type accountUpdateCmd struct {
	accountArg
	Name   *string           `help:"A new name." placeholder:"NAME"`
	Labels map[string]string `name:"label" help:"Label, as NAME=VALUE; may be given more than once. They take the place of all that it has." mapsep:"none" placeholder:"NAME=VALUE"`
}

// Run changes an account.
func (cmd *accountUpdateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	req := &leatv1.UpdateAccountRequest{AccountId: cmd.ID, Name: cmd.Name}
	if cmd.Labels != nil {
		req.Labels = &leatv1.AccountLabels{Labels: cmd.Labels}
	}
	return updateAccount(ctx, c, t, req)
}

type accountDisableCmd struct{ accountArg }

// Run disables an account.
func (cmd *accountDisableCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	yes := true
	return updateAccount(ctx, c, t, &leatv1.UpdateAccountRequest{AccountId: cmd.ID, Disabled: &yes})
}

type accountEnableCmd struct{ accountArg }

// Run enables an account.
func (cmd *accountEnableCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	no := false
	return updateAccount(ctx, c, t, &leatv1.UpdateAccountRequest{AccountId: cmd.ID, Disabled: &no})
}

func updateAccount(ctx context.Context, c *connection, t *terminal, req *leatv1.UpdateAccountRequest) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Identity.UpdateAccount(ctx, req)
		if err != nil {
			return err
		}
		return printAccounts(t, c, res.GetAccount())
	})
}

type accountDeleteCmd struct {
	accountArg
	Erase bool `help:"Delete its streams too, with all records, consumers and encryption keys."`
	Yes   bool `short:"y" help:"Do it: this cannot be undone."`
}

// Run deletes an account.
func (cmd *accountDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		return leat.Invalid("yes", "account %s would be gone for good, with its keys, tokens and roles: say --yes, or try `leat account disable %[1]s` first", cmd.ID)
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Identity.DeleteAccount(ctx, &leatv1.DeleteAccountRequest{AccountId: cmd.ID, Erase: cmd.Erase}); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"id": cmd.ID, "state": "DELETING"}, "account "+cmd.ID+" is being deleted"); err != nil {
			return err
		}
		return p.Flush()
	})
}

type accountQuotasCmd struct {
	accountArg
	Streams     *int64 `help:"Streams. 0, here and below: the server's default." placeholder:"N"`
	Shards      *int64 `help:"Open shards of all streams." placeholder:"N"`
	OnDemand    *int64 `name:"on-demand-streams" help:"Streams in on-demand mode." placeholder:"N"`
	Consumers   *int64 `help:"Consumers of all streams." placeholder:"N"`
	Deliveries  *int64 `help:"Delivery streams." placeholder:"N"`
	BytesIn     *int64 `name:"bytes-in" help:"Bytes put in a second, by way of one node." placeholder:"N"`
	BytesOut    *int64 `name:"bytes-out" help:"Bytes read in a second, by way of one node." placeholder:"N"`
	StoredBytes *int64 `name:"stored-bytes" help:"Bytes stored." placeholder:"N"`
	Retention   *int32 `name:"retention-hours" help:"Longest retention of a stream, in hours." placeholder:"N"`
}

// Run sets the quotas that are given and shows all of them.
func (cmd *accountQuotasCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Identity.GetAccount(ctx, &leatv1.GetAccountRequest{AccountId: cmd.ID})
		if err != nil {
			return err
		}
		q := res.GetAccount().GetQuotas()
		if q == nil {
			q = &leatv1.AccountQuotas{}
		}
		rows := []struct {
			name string
			set  *int64
			now  *int64
		}{
			{"streams", cmd.Streams, &q.Streams}, {"shards", cmd.Shards, &q.Shards}, {"on_demand_streams", cmd.OnDemand, &q.OnDemandStreams},
			{"consumers", cmd.Consumers, &q.Consumers}, {"deliveries", cmd.Deliveries, &q.Deliveries}, {"bytes_in", cmd.BytesIn, &q.BytesInPerSecond},
			{"bytes_out", cmd.BytesOut, &q.BytesOutPerSecond}, {"stored_bytes", cmd.StoredBytes, &q.StoredBytes},
		}
		changed := cmd.Retention != nil
		if changed {
			q.RetentionHours = *cmd.Retention
		}
		for _, r := range rows {
			if r.set != nil {
				*r.now, changed = *r.set, true
			}
		}
		if changed {
			if _, err := cl.Identity.UpdateAccount(ctx, &leatv1.UpdateAccountRequest{AccountId: cmd.ID, Quotas: q}); err != nil {
				return err
			}
		}
		p := newPrinter(t.out, c.Output, "QUOTA", "LIMIT")
		show := func(name string, limit int64) error {
			said := fmt.Sprint(limit)
			if limit == 0 {
				said = "default"
			}
			return p.Row(map[string]any{"quota": name, "limit": limit}, name, said)
		}
		for _, r := range rows {
			if err := show(r.name, *r.now); err != nil {
				return err
			}
		}
		if err := show("retention_hours", int64(q.GetRetentionHours())); err != nil {
			return err
		}
		return p.Flush()
	})
}

// accountView is the JSON form of an account.
type accountView struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	State   string            `json:"state"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created string            `json:"create_time,omitempty"`
}

func printAccounts(t *terminal, c *connection, accounts ...*leatv1.Account) error {
	p := newPrinter(t.out, c.Output, "ID", "NAME", "STATE", "LABELS", "CREATED")
	for _, a := range accounts {
		v := accountView{ID: a.GetId(), Name: a.GetName(), State: short(a.GetState().String()), Labels: a.GetLabels(), Created: rfc3339(a.GetCreateTime())}
		if err := p.Row(v, v.ID, v.Name, v.State, orDash(pairs(v.Labels)), orDash(local(a.GetCreateTime()))); err != nil {
			return err
		}
	}
	return p.Flush()
}

// pairs joins a map in order.
func pairs(m map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%s=%s", name, m[name]))
	}
	return strings.Join(all, " ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
