// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// roleCmd is `leat role`.
type roleCmd struct {
	Connection connection `embed:""`

	Put      rolePutCmd      `cmd:"" help:"Create a role, or replace it."`
	List     roleListCmd     `cmd:"" help:"List roles."`
	Describe roleDescribeCmd `cmd:"" help:"Show a role's policy."`
	Delete   roleDeleteCmd   `cmd:"" help:"Delete a role that no key or token has."`
}

// Help is shown by `leat role --help`.
func (roleCmd) Help() string {
	return "A role has a policy in the language of AWS IAM (docs/security.md), which binds the keys and tokens that are made with it: `leat key create app --role NAME`. What it does not allow is refused. Keys and tokens without a role may do everything in their account."
}

type rolePutCmd struct {
	Name        string            `arg:"" help:"Name of the role."`
	Policy      string            `help:"File with its policy in JSON; - for standard input." required:"" placeholder:"FILE"`
	Description string            `help:"For people." placeholder:"TEXT"`
	Tags        map[string]string `name:"tag" help:"Tag, as NAME=VALUE, for conditions on aws:PrincipalTag; may be given more than once." mapsep:"none" placeholder:"NAME=VALUE"`
}

// Run makes or replaces a role.
func (cmd *rolePutCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	text, err := readPolicy(ctx, t, cmd.Policy)
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: cmd.Name, Policy: text, Description: cmd.Description, Tags: cmd.Tags})
		if err != nil {
			return err
		}
		return printRoles(t, c, res.GetRole())
	})
}

type roleListCmd struct{}

// Run lists roles.
func (roleListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var all []*leatv1.Role
		req := &leatv1.ListRolesRequest{}
		for range maxPages {
			res, err := cl.Identity.ListRoles(ctx, req)
			if err != nil {
				return err
			}
			all = append(all, res.GetRoles()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return printRoles(t, c, all...)
	})
}

type roleDescribeCmd struct {
	Name string `arg:"" help:"Name of the role."`
}

// Run shows a role's policy.
func (cmd *roleDescribeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Identity.GetRole(ctx, &leatv1.GetRoleRequest{Name: cmd.Name})
		if err != nil {
			return err
		}
		if c.Output == formatJSON {
			return newEncoder(t.out).Encode(viewRole(res.GetRole()))
		}
		_, err = fmt.Fprintln(t.out, res.GetRole().GetPolicy())
		return err
	})
}

type roleDeleteCmd struct {
	Name string `arg:"" help:"Name of the role."`
}

// Run deletes a role.
func (cmd *roleDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Identity.DeleteRole(ctx, &leatv1.DeleteRoleRequest{Name: cmd.Name}); err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"name": cmd.Name, "state": "DELETED"}, "role "+cmd.Name+" deleted"); err != nil {
			return err
		}
		return p.Flush()
	})
}

// roleView is the JSON form of a role.
type roleView struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Policy      json.RawMessage   `json:"policy"`
	Tags        map[string]string `json:"tags,omitempty"`
	Created     string            `json:"create_time"`
	Updated     string            `json:"update_time"`
}

func viewRole(r *leatv1.Role) roleView {
	return roleView{
		Name: r.GetName(), Description: r.GetDescription(), Policy: json.RawMessage(r.GetPolicy()), Tags: r.GetTags(),
		Created: rfc3339(r.GetCreateTime()), Updated: rfc3339(r.GetUpdateTime()),
	}
}

func printRoles(t *terminal, c *connection, roles ...*leatv1.Role) error {
	p := newPrinter(t.out, c.Output, "NAME", "DESCRIPTION", "TAGS", "UPDATED")
	for _, r := range roles {
		v := viewRole(r)
		if err := p.Row(v, v.Name, orDash(v.Description), orDash(pairs(v.Tags)), local(r.GetUpdateTime())); err != nil {
			return err
		}
	}
	return p.Flush()
}
