// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

type streamSplitCmd struct {
	Name  string    `arg:"" help:"Name of the stream."`
	Shard string    `arg:"" help:"The shard to split, such as shardId-000000000000, or 0."`
	At    string    `help:"The lowest hash key of the upper half; the middle of the range by default." placeholder:"HASHKEY"`
	Wait  waitFlags `embed:""`
}

// Run splits a shard.
func (cmd *streamSplitCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return cmd.Wait.change(ctx, c, t, cmd.Name, "resharded", func(cl *client.Client) error {
		_, err := cl.Shards.SplitShard(ctx, &leatv1.SplitShardRequest{Stream: cmd.Name, ShardId: cmd.Shard, NewStartingHashKey: cmd.At})
		return err
	})
}

type streamMergeCmd struct {
	Name     string    `arg:"" help:"Name of the stream."`
	Shard    string    `arg:"" help:"The shard with the lower hash keys."`
	Adjacent string    `arg:"" help:"The shard that begins where the other ends."`
	Wait     waitFlags `embed:""`
}

// Run merges two shards.
func (cmd *streamMergeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return cmd.Wait.change(ctx, c, t, cmd.Name, "resharded", func(cl *client.Client) error {
		_, err := cl.Shards.MergeShards(ctx, &leatv1.MergeShardsRequest{Stream: cmd.Name, ShardId: cmd.Shard, AdjacentShardId: cmd.Adjacent})
		return err
	})
}

type streamScaleCmd struct {
	Name   string    `arg:"" help:"Name of the stream."`
	Shards int32     `arg:"" help:"Number of open shards to have."`
	Wait   waitFlags `embed:""`
}

// Run scales a stream.
func (cmd *streamScaleCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return cmd.Wait.change(ctx, c, t, cmd.Name, "resharded", func(cl *client.Client) error {
		_, err := cl.Shards.ScaleStream(ctx, &leatv1.ScaleStreamRequest{Stream: cmd.Name, TargetShardCount: cmd.Shards})
		return err
	})
}

// change makes one change of a stream and says how it is then.
func (w *waitFlags) change(ctx context.Context, c *connection, t *terminal, name, verb string, change func(*client.Client) error) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := change(cl); err != nil {
		return err
	}
	res, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: name})
	if err != nil {
		return err
	}
	return w.finish(ctx, c, t, cl, res.GetStream(), verb)
}
