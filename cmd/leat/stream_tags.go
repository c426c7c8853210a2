// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// resource is a stream or one of its consumers.
type resource struct {
	Name     string `arg:"" help:"Name of the stream."`
	Consumer string `help:"One of its consumers instead of the stream itself." placeholder:"NAME"`
}

// said names it for people.
func (r *resource) said() string {
	if r.Consumer != "" {
		return "consumer " + r.Consumer + " of stream " + r.Name
	}
	return "stream " + r.Name
}

type streamTagCmd struct {
	resource
	Tags []string `arg:"" name:"name=value" help:"Tags to add or to change."`
}

// Run adds tags.
func (cmd *streamTagCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	tags, err := parseTags(cmd.Tags)
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Resources.AddTags(ctx, &leatv1.AddTagsRequest{Stream: cmd.Name, Consumer: cmd.Consumer, Tags: tags}); err != nil {
			return err
		}
		return cmd.printTags(ctx, c, t, cl)
	})
}

// parseTags reads name=value; the value may have more of =.
func parseTags(args []string) (map[string]string, error) {
	tags := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if _, twice := tags[name]; !ok || name == "" || twice {
			return nil, leat.Invalid("tags", "tag %q must be NAME=VALUE, each name once", a)
		}
		tags[name] = value
	}
	return tags, nil
}

type streamUntagCmd struct {
	resource
	Tags []string `arg:"" name:"tag" help:"Names of the tags to remove."`
}

// Run removes tags.
func (cmd *streamUntagCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Resources.RemoveTags(ctx, &leatv1.RemoveTagsRequest{Stream: cmd.Name, Consumer: cmd.Consumer, Names: cmd.Tags}); err != nil {
			return err
		}
		return cmd.printTags(ctx, c, t, cl)
	})
}

type streamTagsCmd struct {
	resource
}

// Run lists tags.
func (cmd *streamTagsCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error { return cmd.printTags(ctx, c, t, cl) })
}

func (r *resource) printTags(ctx context.Context, c *connection, t *terminal, cl *client.Client) error {
	res, err := cl.Resources.ListTags(ctx, &leatv1.ListTagsRequest{Stream: r.Name, Consumer: r.Consumer})
	if err != nil {
		return err
	}
	p := newPrinter(t.out, c.Output, "TAG", "VALUE")
	for _, tag := range res.GetTags() {
		if err := p.Row(map[string]string{"name": tag.GetName(), "value": tag.GetValue()}, tag.GetName(), tag.GetValue()); err != nil {
			return err
		}
	}
	return p.Flush()
}

// tagsOf returns the tags of a stream as JSON has them.
func tagsOf(ctx context.Context, cl *client.Client, stream string) (map[string]string, error) {
	res, err := cl.Resources.ListTags(ctx, &leatv1.ListTagsRequest{Stream: stream})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range res.GetTags() {
		tags[tag.GetName()] = tag.GetValue()
	}
	return tags, nil
}
