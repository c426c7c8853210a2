// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// ScaleStream (AWS: UpdateShardCount with UNIFORM_SCALING) promises: when it returns no error the stream comes to the
// number of open shards by splits and merges, one after the other, and is UPDATING until it has them. A stream that has
// them already is left as it is.
//
// Differs from AWS: any number at once, not at most double or half, and as often as one likes.

// ScaleStreamRequest says how many open shards a stream should have.
type ScaleStreamRequest struct {
	Stream string // name or ARN
	Target int    // 1 to 10,000
}

// ScaleStream begins to scale a stream and returns how many open shards it has now.
func (b *Broker) ScaleStream(ctx context.Context, who leat.Principal, req ScaleStreamRequest) (current int, err error) {
	if req.Target < 1 || req.Target > maxShards {
		return 0, leat.Invalid("target_shard_count", "target of %d shards must be from 1 to %d", req.Target, maxShards)
	}
	v, err := b.changeable(ctx, who, ActionScaleStream, req.Stream)
	if err != nil {
		return 0, err
	}
	current = len(v.open)
	if v.Status != leat.StreamActive {
		return 0, errNotActive(&v.Stream)
	}
	if current == req.Target {
		return current, nil
	}
	if _, err := b.catalog.SetTargetShards(ctx, v.ID, req.Target); err != nil {
		return 0, err
	}
	b.settled(ctx, v.Stream)
	return current, nil
}
