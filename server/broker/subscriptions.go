// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// takeOverAfter is how long a subscription is safe from another of the same consumer and shard.
const takeOverAfter = 5 * time.Second

// subscriptionKey is what only one active subscription may have.
type subscriptionKey struct {
	shard    leat.ShardKey
	consumer string
}

// subscriptions are the active ones of this node.
type subscriptions struct {
	mu     sync.Mutex
	active map[subscriptionKey]*subscription
}

type subscription struct {
	since time.Time
	end   context.CancelCauseFunc
}

func newSubscriptions() *subscriptions {
	return &subscriptions{active: map[subscriptionKey]*subscription{}}
}

// begin makes a subscription the active one; KindInUse when another began less than five seconds ago. The context ends
// when the subscription is taken over, with the error to return as its cause. done MUST be called.
func (s *subscriptions) begin(ctx context.Context, k subscriptionKey, now time.Time, v *streamView) (_ context.Context, done func(), err error) {
	inUse := leat.Errorf(leat.KindInUse, "Another active subscription exists for this consumer: %s:%s:%s:%s", v.Account, v.Name, leat.ShardID(k.shard.Ordinal), k.consumer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.active[k]; old != nil {
		if now.Sub(old.since) < takeOverAfter {
			return nil, nil, inUse
		}
		old.end(inUse)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	mine := &subscription{since: now, end: cancel}
	s.active[k] = mine
	return ctx, func() {
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active[k] == mine {
			delete(s.active, k)
		}
	}, nil
}

// has tells whether a subscription is active.
func (s *subscriptions) has(k subscriptionKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[k] != nil
}

// endConsumer ends every subscription of a consumer that is being removed.
func (s *subscriptions) endConsumer(stream leat.StreamID, consumer string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, sub := range s.active {
		if k.shard.Stream == stream && k.consumer == consumer {
			sub.end(why)
		}
	}
}
