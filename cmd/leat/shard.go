// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// shardCmd is `leat shard`.
type shardCmd struct {
	Connection connection `embed:""`

	List shardListCmd `cmd:"" help:"List the shards of a stream."`
}

type shardListCmd struct {
	Name string `arg:"" help:"Name of the stream."`
	Open bool   `help:"Open shards alone."`
}

// Run lists shards.
func (cmd *shardListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var filter *leatv1.ShardFilter
		if cmd.Open {
			filter = &leatv1.ShardFilter{Type: leatv1.ShardFilterType_SHARD_FILTER_TYPE_AT_LATEST}
		}
		shards, err := listShards(ctx, cl, cmd.Name, filter)
		if err != nil {
			return err
		}
		return printShards(t.out, c.Output, shards, nodeNames(ctx, cl))
	})
}

// listShards returns all shards that pass a filter.
func listShards(ctx context.Context, cl *client.Client, name string, filter *leatv1.ShardFilter) (out []shardView, err error) {
	req := &leatv1.ListShardsRequest{Stream: name, Filter: filter, PageSize: leat.MaxListShards}
	for range maxPages {
		res, err := cl.Shards.ListShards(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, s := range res.GetShards() {
			out = append(out, viewShard(s))
		}
		if req.PageToken, req.Filter = res.GetNextPageToken(), nil; req.PageToken == "" {
			break
		}
	}
	return out, nil
}

// printShards shows a shard's owner to people by its name, where names has it.
func printShards(w io.Writer, format string, shards []shardView, names map[string]string) error {
	p := newPrinter(w, format, "SHARD", "STATE", "PARENTS", "FIRST HASH KEY", "LAST HASH KEY", "OWNER", "EPOCH")
	for _, v := range shards {
		owner := cmp.Or(names[v.Owner], v.Owner)
		if err := p.Row(v, v.ID, v.state(), strings.Join(v.Parents, " "), v.Start, v.End, owner, strconv.FormatInt(v.Epoch, 10)); err != nil {
			return err
		}
	}
	return p.Flush()
}
