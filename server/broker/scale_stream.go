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
// Differs from AWS: unless the server has scale limits, any number at once, not at most double or half, and as often as one
// likes; streams in on-demand mode too.

// ScaleStreamRequest says how many open shards a stream should have.
type ScaleStreamRequest struct {
	Stream          string // name or ARN
	Target          int    // 1 to 10,000
	ProvisionedOnly bool   // refuse a stream in on-demand mode with ErrOnDemand, as AWS does
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
	if err := v.byHand(req.ProvisionedOnly); err != nil {
		return 0, err
	}
	current = len(v.open)
	if v.Status != leat.StreamActive {
		return 0, errNotActive(&v.Stream)
	}
	if current == req.Target {
		return current, nil
	}
	if err := b.roomForShards(v.Account, req.Target-current); err != nil {
		return 0, err
	}
	var allow func(open, calls int) error
	if b.scaling == ScaleLimitsAWS {
		allow = func(open, calls int) error { return awsScaling(&v.Stream, open, req.Target, calls) }
	}
	if _, err := b.catalog.SetTargetShards(ctx, v.ID, req.Target, allow); err != nil {
		return 0, err
	}
	b.settled(ctx, v.Stream)
	b.changed(ctx, fields{"shards": current}, fields{"shards": req.Target})
	return current, nil
}

// maxScaleCalls is how often AWS lets a stream be scaled in 24 hours.
const maxScaleCalls = 10

// awsScaling has the bounds and, where they are known, the texts of AWS.
func awsScaling(s *leat.Stream, open, target, calls int) error {
	switch {
	case target > 2*open:
		return leat.Errorf(leat.KindLimitExceeded, "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: %d, Target shard count: %d", open, target)
	case 2*target < open:
		return leat.Errorf(leat.KindLimitExceeded, "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: %d, Target shard count: %d", open, target)
	case calls >= maxScaleCalls:
		return leat.Errorf(leat.KindLimitExceeded, "Stream %s under account %s was scaled %d times in the last 24 hours: %d are allowed.", s.Name, s.Account, calls, maxScaleCalls)
	}
	return nil
}
