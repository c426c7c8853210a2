// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// SplitShard promises: when it returns no error the split is decided and is carried out even if this node dies; the
// stream is UPDATING until then. No record is lost or reordered by it: the children take records only after the
// parent's end is durable.
//
// Differs from AWS: without a key the shard is cut in the middle, and streams in on-demand mode may be split by hand too.

// SplitShardRequest says where to cut a shard.
type SplitShardRequest struct {
	Stream             string // name or ARN
	Shard              string // its id
	NewStartingHashKey string // decimal: where the upper child begins; empty means the middle
	ProvisionedOnly    bool   // refuse a stream in on-demand mode with ErrOnDemand, as AWS does
}

// SplitShard cuts a shard in two.
func (b *Broker) SplitShard(ctx context.Context, who leat.Principal, req SplitShardRequest) error {
	ordinal, err := leat.ParseShardID(req.Shard)
	if err != nil {
		return err
	}
	var start leat.HashKey
	if req.NewStartingHashKey != "" {
		if start, err = leat.ParseHashKey(req.NewStartingHashKey); err != nil {
			return leat.Invalid("new_starting_hash_key", "new starting hash key %.64q is not a decimal number from 0 to 2^128-1", req.NewStartingHashKey)
		}
	}
	v, err := b.changeable(ctx, who, ActionSplitShard, req.Stream)
	if err != nil {
		return err
	}
	if err := v.byHand(req.ProvisionedOnly); err != nil {
		return err
	}
	if err := b.roomForShards(v.Account, 1); err != nil {
		return err
	}
	if s := v.shard(ordinal); s != nil && req.NewStartingHashKey == "" {
		start = s.Range.Middle()
	}
	b.changed(ctx, nil, fields{"split": leat.ShardID(ordinal), "new_starting_hash_key": start.String()})
	return b.beginReshard(ctx, v, catalog.Split(ordinal, start))
}

// ErrOnDemand is the cause of a KindInvalidArgument error: the stream is in on-demand mode and the caller wants only a
// stream in provisioned mode to be changed.
var ErrOnDemand = errors.New("the stream is in on-demand mode")

// byHand refuses a stream that scales by itself where the caller wants that. The text is that of AWS.
func (v *streamView) byHand(provisionedOnly bool) error {
	if !provisionedOnly || v.Mode != leat.ModeOnDemand {
		return nil
	}
	return &leat.Error{
		Kind: leat.KindInvalidArgument, Field: "stream", Err: ErrOnDemand,
		Message: fmt.Sprintf("Request is invalid. Stream %s under account %s is in On-Demand mode.", v.Name, v.Account),
	}
}

func (b *Broker) beginReshard(ctx context.Context, v *streamView, step catalog.Step) error {
	if _, err := b.catalog.BeginReshard(ctx, v.ID, step); err != nil {
		return err
	}
	b.settled(ctx, v.Stream)
	return nil
}
