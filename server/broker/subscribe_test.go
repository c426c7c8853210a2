// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/shardstore"
)

// subscription runs one Subscribe of a test.
type subscription struct {
	r      *rig
	events chan broker.Event
	done   chan error
	cancel context.CancelFunc
}

func (r *rig) subscribe(consumer string, start broker.StartingPosition) *subscription {
	r.t.Helper()
	ctx, cancel := context.WithCancel(within(r.t))
	s := &subscription{r: r, events: make(chan broker.Event), done: make(chan error, 1), cancel: cancel}
	go func() {
		s.done <- r.Subscribe(ctx, who, broker.SubscribeRequest{Stream: "s", Consumer: consumer, Shard: "0", Start: start}, func(e broker.Event) error {
			select {
			case s.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(s.events)
	}()
	r.t.Cleanup(func() {
		cancel()
		for range s.events { // until it is closed: the goroutine has ended
		}
	})
	return s
}

func (s *subscription) next() broker.Event {
	s.r.t.Helper()
	e, ok := <-s.events
	if !ok {
		s.r.t.Fatalf("the subscription ended: %v", <-s.done)
	}
	return e
}

// end returns what Subscribe returned; no event may come before.
func (s *subscription) end() error {
	s.r.t.Helper()
	if e, ok := <-s.events; ok {
		s.r.t.Fatalf("an event: %+v", e)
	}
	return <-s.done
}

var fromStart = broker.StartingPosition{Type: broker.TrimHorizon}

func TestSubscribePushes(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "0")
	sub := r.subscribe("c", fromStart)
	if e := sub.next(); text(e.Records) != "0" {
		t.Errorf("first %q", text(e.Records))
	}
	for i := 1; i < 5; i++ { // no clock moves: what arrives is pushed, not polled
		r.put("s", "k", fmt.Sprint(i))
		if e := sub.next(); text(e.Records) != fmt.Sprint(i) || e.Behind != 0 {
			t.Errorf("push %d: %q, behind %v", i, text(e.Records), e.Behind)
		}
	}
	sub.cancel()
	if err := sub.end(); leat.KindOf(err) != leat.KindCanceled && !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// A node that stops ends subscriptions as if their time were over, those that begin later too.
func TestSubscribeDrain(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	r.consumer("s", "d")
	sub := r.subscribe("c", fromStart)
	sub.next()
	r.Drain()
	r.Drain()
	if err := sub.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	r.put("s", "k", "0")
	late := r.subscribe("d", fromStart)
	for range late.events { // what there is may still be told
	}
	if err := <-late.done; err != nil {
		t.Errorf("a late one ended with %v", err)
	}
}

func TestSubscribeBeatsAndEnds(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	sub := r.subscribe("c", fromStart)
	first := sub.next() // at once, though there is nothing
	if len(first.Records) != 0 || first.Continuation == "" {
		t.Errorf("first event %+v", first)
	}
	ctx := within(t)
	for range 59 {
		r.clock.untilArmed(ctx, 5*time.Second)
		r.clock.Advance(5 * time.Second)
		if e := sub.next(); len(e.Records) != 0 || e.Continuation != first.Continuation {
			t.Errorf("beat %+v", e)
		}
	}
	r.clock.untilArmed(ctx, 5*time.Second)
	r.clock.Advance(4 * time.Second)
	r.put("s", "k", "last")
	if e := sub.next(); text(e.Records) != "last" || e.Continuation <= first.Continuation {
		t.Errorf("%+v after %s", e, first.Continuation)
	}
	r.clock.untilArmed(ctx, 5*time.Second)
	r.clock.Advance(time.Second)
	if err := sub.end(); err != nil {
		t.Errorf("after five minutes: %v", err)
	}
}

// Wherever a subscription ends, both kinds of number resume it without loss and without doubling.
func TestContinuationResumes(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	at := fromStart
	for i := range 6 {
		sub := r.subscribe("c", at)
		e := sub.next()
		if len(e.Records) != 0 {
			t.Fatalf("round %d: %q was sent twice", i, text(e.Records))
		}
		sub.cancel()
		_ = sub.end()
		r.put("s", "k", fmt.Sprint(i))
		kind := []broker.IteratorType{broker.AtSequenceNumber, broker.AfterSequenceNumber}[i%2]
		at = broker.StartingPosition{Type: kind, SequenceNumber: e.Continuation}
		if got := r.from("s", at); got != fmt.Sprint(i) {
			t.Fatalf("round %d: %s %s gave %q", i, kind, e.Continuation, got)
		}
		sub = r.subscribe("c", at)
		if e = sub.next(); text(e.Records) != fmt.Sprint(i) {
			t.Fatalf("round %d: %q", i, text(e.Records))
		}
		sub.cancel()
		_ = sub.end()
		at.SequenceNumber = e.Continuation
	}
}

func TestSubscribeEndsWithChildren(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "0")
	sub := r.subscribe("c", fromStart)
	sub.next()
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.put("s", "k", "1")
	if e := sub.next(); text(e.Records) != "1" {
		t.Fatalf("%q", text(e.Records))
	}
	// The log has the end before the catalog: the subscription stays and asks again.
	r.engine.reshard([]leat.ShardKey{{Stream: s.ID}}, nil)
	if !r.clock.untilArmed(within(t), 10*time.Millisecond) {
		t.Fatal("it does not wait")
	}
	r.reshard(s.ID)
	r.clock.Advance(10 * time.Millisecond)
	if e := sub.next(); e.Continuation != "" || ids(e.Children) != "1 2" || len(e.Records) != 0 {
		t.Errorf("last event %+v", e)
	}
	if err := sub.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	// From its beginning: records and end in one event.
	sub = r.subscribe("c", fromStart)
	if e := sub.next(); e.Continuation != "" || ids(e.Children) != "1 2" || text(e.Records) != "0 1" {
		t.Errorf("one event %+v", e)
	}
	if err := sub.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestOneSubscriptionOfAConsumerAndShard(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	r.consumer("s", "d")
	first := r.subscribe("c", fromStart)
	first.next()
	other := r.subscribe("d", fromStart) // another consumer
	other.next()
	r.clock.Advance(4 * time.Second)
	r.wantKind(r.subscribe("c", fromStart).end(), leat.KindInUse, "")
	r.clock.Advance(time.Second)
	first.next() // the beat of five seconds
	other.next()
	second := r.subscribe("c", fromStart)
	r.wantKind(first.end(), leat.KindInUse, "")
	second.next()
	second.cancel()
	_ = second.end()
	third := r.subscribe("c", fromStart) // one that went away may come back at once
	third.next()
}

func TestSubscribeStaysWhileTheShardMoves(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "0")
	sub := r.subscribe("c", fromStart)
	sub.next()
	key := leat.ShardKey{Stream: s.ID}
	kept := r.engine.shards[key]
	r.engine.drop(key)
	ctx := within(t)
	for pause := 10 * time.Millisecond; pause < time.Second; pause *= 2 {
		if !r.clock.untilArmed(ctx, pause) {
			t.Fatalf("it does not wait for %v", pause)
		}
		if pause < 300*time.Millisecond {
			r.clock.Advance(pause)
			continue
		}
		r.engine.change(func() { r.engine.shards[key] = kept })
		r.put("s", "k", "1")
		r.clock.Advance(pause)
		break
	}
	if e := sub.next(); text(e.Records) != "1" {
		t.Errorf("after the move: %q", text(e.Records))
	}
}

// A node that does not serve the shard never says that there is nothing to read: another one may serve it.
func TestSubscribeEndsWhereNobodyServes(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "0")
	sub := r.subscribe("c", fromStart)
	sub.next()
	r.engine.drop(leat.ShardKey{Stream: s.ID})
	ctx := within(t)
	for pause, left := 10*time.Millisecond, 5*time.Second; left > 0; pause = min(2*pause, time.Second) {
		step := min(pause, left)
		r.clock.untilArmed(ctx, pause)
		r.clock.Advance(step)
		left -= step
	}
	r.wantKind(sub.end(), leat.KindUnavailable, "")
	r.wantKind(r.subscribe("c", fromStart).end(), leat.KindUnavailable, "") // at once
}

func TestSubscribeEndsWithItsStream(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	sub := r.subscribe("c", fromStart)
	sub.next()
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s", EnforceConsumerDeletion: true}))
	r.settle()
	r.wantKind(sub.end(), leat.KindNotFound, "")
}

func TestSubscribeEndsWithItsConsumer(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	sub := r.subscribe("c", fromStart)
	sub.next()
	r.must(r.DeregisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "c"}))
	r.wantKind(sub.end(), leat.KindNotFound, "")
}

func TestSubscribeRefuses(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.wantKind(r.subscribe("nobody", fromStart).end(), leat.KindNotFound, "")
	r.wantKind(r.subscribe("", fromStart).end(), leat.KindInvalidArgument, "consumer")
	_, err := r.RegisterConsumer(t.Context(), who, broker.ConsumerRequest{Stream: "s", Consumer: "new"})
	r.must(err)
	r.wantKind(r.subscribe("new", fromStart).end(), leat.KindInUse, "") // CREATING
	r.wantKind(r.subscribe("new", broker.StartingPosition{Type: "NEWEST"}).end(), leat.KindInvalidArgument, "start.type")
}

// A subscription that fails for good tells why; nothing is sent that was not put.
func TestSubscribeFaults(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "data")
	r.engine.onRead = func(p *shardstore.Page) error {
		for i := range p.Records {
			p.Records[i].PartitionKey = "other"
		}
		return nil
	}
	r.wantKind(r.subscribe("c", fromStart).end(), leat.KindCorrupt, "")
}

func TestSubscribeKeepsItsRate(t *testing.T) {
	r := newRig(t, broker.LimitsAWS)
	r.stream("s", 1)
	r.consumer("s", "c")
	for range 4 {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(1, 1<<20, "k")})
		r.must(err)
		r.clock.Advance(time.Second)
	}
	sub := r.subscribe("c", fromStart)
	sub.next()
	sub.next() // 2 MiB at once, then 2 MiB a second
	ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
	defer cancel()
	select {
	case e := <-sub.events:
		t.Errorf("%d records beyond the rate", len(e.Records))
	case <-ctx.Done():
	}
	for range 2 {
		r.clock.Advance(600 * time.Millisecond)
		sub.next()
	}
}

// Retention that is raised while a subscription stands holds for it too: what it keeps is not passed over.
func TestSubscribeFollowsRetention(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	const all = 6
	for i := range all {
		data := fmt.Sprint(i) + strings.Repeat("x", 1<<20-100)
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: []broker.Put{{Record: leat.Record{PartitionKey: "k", Data: []byte(data)}}}})
		r.must(err)
	}
	r.clock.Advance(24*time.Hour - time.Minute)
	week := 7 * 24 * time.Hour
	got, enough := 0, errors.New("enough")
	err := r.Subscribe(within(t), who, broker.SubscribeRequest{Stream: "s", Consumer: "c", Shard: "0", Start: fromStart}, func(e broker.Event) error {
		if got == 0 {
			_, err := r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Retention: &week})
			r.must(err)
			r.settle()
			r.clock.Advance(2 * time.Minute)
		}
		if got += len(e.Records); e.Behind == 0 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || got != all {
		t.Errorf("%d of %d records: %v", got, all, err)
	}
}

// A push whose account has to wait for what it has read is not told that it is at the end before anybody has looked.
func TestSubscribeInDebt(t *testing.T) {
	r, b := withQuotas(t)
	r.stream("s", 1)
	r.consumer("s", "c")
	_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(16, 100, "k")})
	r.must(err)
	b.quotas = leat.Quotas{BytesOut: 1000}
	r.read(r.iterator("s", "0", fromStart)) // 600 bytes into debt
	sub := r.subscribe("c", fromStart)
	if e := sub.next(); len(e.Records) != 1 || e.Behind == 0 {
		t.Errorf("%d records, behind %v", len(e.Records), e.Behind)
	}
	if !r.clock.untilArmed(within(t), 701*time.Millisecond) {
		t.Fatal("it does not wait for the rest")
	}
	r.clock.Advance(time.Second)
	if e := sub.next(); len(e.Records) != 15 || e.Behind != 0 {
		t.Errorf("%d records, behind %v", len(e.Records), e.Behind)
	}
}
