// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat"
)

// Subscribe (SubscribeToShard) promises: records of a shard in order, without a gap, pushed as soon as they are
// visible. It waits on the shard's tail and never polls it. An event comes at least every five seconds, empty when
// there is nothing. A subscription lasts five minutes; then it ends without an error and its reader begins again at the
// last continuation sequence number. At the shard's end the last event has children and no continuation.
//
// One subscription is active for a consumer and shard. Another within five seconds of its beginning is refused; a
// later one takes over and ends it. While the shard is being opened or moved the subscription stays and goes on at the
// next record; one that cannot be served when an event is due ends with KindUnavailable, and its reader asks elsewhere.
//
// Differs from AWS: a reader that went away may come back at once; AWS makes it wait for five seconds too. The
// continuation sequence number resumes rightly with AT_ as well as with AFTER_SEQUENCE_NUMBER (see position.go).

// SubscribeRequest names a shard, a consumer and a place.
type SubscribeRequest struct {
	Stream   string // name or ARN
	Consumer string // its name
	Created  int64  // seconds since 1970, as the consumer's ARN has it; 0 where it is named by its name alone
	Shard    string // its id; short forms are accepted
	Start    StartingPosition
}

// Event is one push.
type Event struct {
	Stream       leat.Stream
	Shard        leat.ShardKey
	Records      []leat.Record // MUST NOT be changed: they alias the store's memory
	Continuation string        // where to go on; empty exactly when Children is not
	Behind       time.Duration // 0 when caught up
	Children     []leat.Shard  // at the shard's end
}

// Subscribe calls send for each event until the subscription ends: nil after five minutes or at the shard's end. It
// calls send from one goroutine, first when it is established; an error of send ends it.
func (b *Broker) Subscribe(ctx context.Context, who leat.Principal, req SubscribeRequest, send func(Event) error) error {
	ordinal, err := leat.ParseShardID(req.Shard)
	if err != nil {
		return err
	}
	if err := errors.Join(leat.ValidateConsumerName(req.Consumer), req.Start.check()); err != nil {
		return err
	}
	v, err := b.readableNamed(ctx, who, ActionSubscribeToShard, req.Stream, req.Consumer)
	if err != nil {
		return err
	}
	if err := b.activeConsumer(ctx, v, req.Consumer, req.Created); err != nil {
		return err
	}
	s, err := b.shard(ctx, v, ordinal)
	if err != nil {
		return err
	}
	offset, err := b.position(ctx, v, s, req.Start)
	if err != nil {
		return err
	}
	key := subscriptionKey{s.Key, req.Consumer}
	ctx, done, err := b.subs.begin(ctx, key, b.clock.Now(), v)
	b.pointSubscription(v, req.Consumer, err)
	if err != nil {
		return err
	}
	defer done()
	p := newPush(b, v, s.Key, offset, nil)
	p.send = func(e Event) error {
		err := send(e)
		b.pointEvent(req.Consumer, &e, err)
		if err == nil {
			b.places.note(key, progress{next: p.next, behind: p.behind, seen: b.clock.Now()})
		}
		return err
	}
	return p.run(ctx)
}
