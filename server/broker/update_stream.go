// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// UpdateStream promises: all the settings that are given are changed, or none. What has expired under the old retention
// stays expired. Giving a stream the values that it has succeeds in any state.
//
// Differs from AWS: one operation for retention, mode, maximum record size and warm throughput; it takes effect at once and
// the stream stays ACTIVE, but where warm throughput needs more shards than there are.

// UpdateStreamRequest says what to change; nil leaves as it is.
type UpdateStreamRequest struct {
	Stream         string // name or ARN
	Retention      *time.Duration
	Direction      RetentionDirection // in which Retention may change
	Mode           *leat.StreamMode
	MaxRecordBytes *int
	WarmThroughput *int // MiB/s that an on-demand stream keeps room for; 0 for none
}

// RetentionDirection bounds how retention may change. Giving the value that it has is allowed in each.
type RetentionDirection int

// The directions.
const (
	RetentionAny      RetentionDirection = 0
	RetentionIncrease RetentionDirection = +1 // AWS: IncreaseStreamRetentionPeriod
	RetentionDecrease RetentionDirection = -1 // AWS: DecreaseStreamRetentionPeriod
)

// UpdateStream changes settings of a stream.
func (b *Broker) UpdateStream(ctx context.Context, who leat.Principal, req UpdateStreamRequest) (StreamDescription, error) {
	if err := req.check(); err != nil {
		return StreamDescription{}, err
	}
	v, err := b.changeableBy(ctx, who, req.actions(), req.Stream)
	if err != nil {
		return StreamDescription{}, err
	}
	if !req.changes(&v.Stream) {
		return v.describe(), nil
	}
	if v.Status != leat.StreamActive {
		return StreamDescription{}, errNotActive(&v.Stream)
	}
	if req.Retention != nil && *req.Retention > v.Retention {
		if err := b.mayRaiseRetention(v.Account, *req.Retention); err != nil {
			return StreamDescription{}, err
		}
	}
	if req.WarmThroughput != nil {
		if err := b.roomForShards(v.Account, *req.WarmThroughput-len(v.open)); err != nil {
			return StreamDescription{}, err
		}
	}
	s, err := b.catalog.UpdateStream(ctx, v.ID, catalog.StreamUpdate{
		Retention: req.Retention, Direction: int(req.Direction), Mode: req.Mode, MaxRecordBytes: req.MaxRecordBytes, WarmThroughput: req.WarmThroughput,
	})
	if err != nil {
		return StreamDescription{}, within("settings", err)
	}
	b.settled(ctx, s)
	b.changed(ctx, ofStream(&v.Stream, len(v.open)), ofStream(&s, len(v.open)))
	return StreamDescription{Stream: s, OpenShards: len(v.open)}, nil
}

// mayRaiseRetention also asks for a clock that is surely right: what has expired when retention is raised stays expired, and by a clock that has
// jumped ahead that would be what was put last, and what is put yet.
func (b *Broker) mayRaiseRetention(account string, to time.Duration) error {
	if b.control.HoldsExpiry() {
		return &leat.Error{Kind: leat.KindUnavailable, After: retryClock,
			Message: "this node's clock has jumped ahead of late: retention is not raised before an hour has passed since then, as records would have expired for good by a clock that is wrong; nothing was changed: set the clock right, or retry after the hour if it is right"}
	}
	return b.roomForRetention(account, to)
}

// retryClock is when a caller may ask again whom a clock that has jumped keeps waiting.
const retryClock = time.Minute

// actions are what policies must allow for all that is given; there is one at least. What goes in any direction takes both.
func (r *UpdateStreamRequest) actions() (all []Action) {
	if r.Retention != nil && r.Direction >= RetentionAny {
		all = append(all, ActionIncreaseRetention)
	}
	if r.Retention != nil && r.Direction <= RetentionAny {
		all = append(all, ActionDecreaseRetention)
	}
	if r.Mode != nil {
		all = append(all, ActionUpdateStreamMode)
	}
	if r.MaxRecordBytes != nil {
		all = append(all, ActionUpdateMaxRecordSize)
	}
	if r.WarmThroughput != nil {
		all = append(all, ActionUpdateStreamWarmThroughput)
	}
	return all
}

func (r *UpdateStreamRequest) check() error {
	if r.Retention == nil && r.Mode == nil && r.MaxRecordBytes == nil && r.WarmThroughput == nil {
		return leat.Invalid("settings", "nothing to change is given")
	}
	if r.Retention != nil {
		if err := leat.ValidateRetention(*r.Retention); err != nil {
			return within("settings", err)
		}
	}
	if r.Mode != nil {
		if err := validateMode(*r.Mode); err != nil {
			return within("settings", err)
		}
	}
	if r.MaxRecordBytes != nil {
		if err := leat.ValidateMaxRecordBytes(*r.MaxRecordBytes); err != nil {
			return within("settings", err)
		}
	}
	if r.WarmThroughput != nil {
		return within("settings", validateWarmThroughput(*r.WarmThroughput))
	}
	return nil
}

func (r *UpdateStreamRequest) changes(s *leat.Stream) bool {
	return (r.Retention != nil && *r.Retention != s.Retention) || (r.Mode != nil && *r.Mode != s.Mode) ||
		(r.MaxRecordBytes != nil && *r.MaxRecordBytes != s.MaxRecordBytes) || (r.WarmThroughput != nil && *r.WarmThroughput != s.WarmThroughput)
}

// changeable finds a stream to change, as the catalog has it now: a change is never decided on what was known before.
func (b *Broker) changeable(ctx context.Context, who leat.Principal, action Action, stream string, consumer ...string) (*streamView, error) {
	return b.on(ctx, who, action, (*Broker).fresh, stream, consumer...)
}

// changeableBy is changeable for what takes several actions; there is one at least.
func (b *Broker) changeableBy(ctx context.Context, who leat.Principal, actions []Action, stream string) (*streamView, error) {
	v, err := b.changeable(ctx, who, actions[0], stream)
	if err != nil {
		return nil, err
	}
	for _, action := range actions[1:] {
		if err := b.may(ctx, who, action, Resource{Account: v.Account, Stream: v.Name, ID: v.ID}); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// errNotActive has the text of AWS.
func errNotActive(s *leat.Stream) error {
	return &leat.Error{Kind: leat.KindInUse, Message: fmt.Sprintf("Stream %s under account %s not ACTIVE, instead in state %s", s.Name, s.Account, s.Status)}
}
