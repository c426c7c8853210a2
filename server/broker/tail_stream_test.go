// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// A tail shows the newest of what came and says how much it has passed over.
func TestTailStreamSamples(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.put("s", "k", "before")
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	batches, done := make(chan broker.TailBatch), make(chan error, 1)
	enough := errors.New("enough")
	go func() {
		done <- r.TailStream(ctx, who, broker.TailStreamRequest{Stream: "s", PerSecond: 4}, func(b broker.TailBatch) error {
			select {
			case batches <- b:
				return nil
			case <-ctx.Done():
				return enough
			}
		})
	}()
	shown, skipped, put := 0, uint64(0), 0
	for shown == 0 || skipped == 0 { // while nobody follows yet what is put is before the tail
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(50, 10, "k")})
		r.must(err)
		put += 50
		r.clock.Advance(time.Second)
		select {
		case b := <-batches:
			if len(b.Records) > 2 {
				t.Fatalf("a batch has %d records: half a second's share of 4 a second is 2", len(b.Records))
			}
			last := b.Records[len(b.Records)-1]
			if got := r.read(r.iterator("s", "0", broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: leat.SequenceNumber(b.Shard, last.Offset)})); string(got.Records[0].Data) != string(last.Data) {
				t.Fatal("a record is not what it is where it stands")
			}
			shown += len(b.Records)
			skipped += b.Skipped
		case err := <-done:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if shown+int(skipped) > put {
		t.Errorf("%d shown and %d passed over of %d", shown, skipped, put)
	}
	cancel()
	for range 2 {
		select {
		case <-batches:
		case err := <-done:
			if err != nil && !errors.Is(err, enough) {
				t.Errorf("a tail whose caller left ends with %v", err)
			}
			return
		}
	}
}

func TestTailStreamRefuses(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	none := func(broker.TailBatch) error { return nil }
	for _, tc := range []struct {
		req   broker.TailStreamRequest
		who   leat.Principal
		kind  leat.Kind
		field string
	}{
		{broker.TailStreamRequest{Stream: "none"}, who, leat.KindNotFound, ""},
		{broker.TailStreamRequest{Stream: "s", Shard: "7"}, who, leat.KindNotFound, "shard_id"},
		{broker.TailStreamRequest{Stream: "s", PerSecond: 5000}, who, leat.KindInvalidArgument, "per_second"},
		{broker.TailStreamRequest{Stream: "arn:aws:kinesis:" + r.Region() + ":111111111111:stream/s"}, who, leat.KindAccessDenied, ""},
	} {
		r.wantKind(r.TailStream(within(t), tc.who, tc.req, none), tc.kind, tc.field)
	}
}

func TestConsumerProgress(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "one")
	if at, err := r.ConsumerProgress(t.Context(), who, "s"); err != nil || len(at) != 0 {
		t.Fatalf("before any subscription: %+v, %v", at, err)
	}
	sub := r.subscribe("c", broker.StartingPosition{Type: broker.TrimHorizon})
	sub.next()
	await := func(about string, ok func(broker.ConsumerPlace) bool) {
		t.Helper()
		ctx := within(t)
		for {
			at, err := r.ConsumerProgress(t.Context(), who, "s")
			r.must(err)
			if len(at) == 1 && ok(at[0]) {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s: %+v", about, at)
			case <-time.After(time.Millisecond):
			}
		}
	}
	await("a reader that is caught up", func(p broker.ConsumerPlace) bool {
		return p.Connected && p.Known && p.Lag == 0 && p.Behind == 0 && p.Left == 24*time.Hour
	})
	sub.cancel()
	await("a reader that has left", func(p broker.ConsumerPlace) bool { return !p.Connected })
	for range 3 {
		r.put("s", "k", "more")
	}
	r.clock.Advance(time.Hour)
	await("a reader that is an hour behind", func(p broker.ConsumerPlace) bool {
		return p.Lag == 3 && p.Behind >= time.Hour && p.Left <= 23*time.Hour
	})
}

func TestDescribeShard(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 2)
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.settle()
	d, err := r.DescribeShard(t.Context(), who, "s", "3")
	r.must(err)
	if ids(d.Parents) != "0" || d.Below == nil || d.Below.Key.Ordinal != 2 || d.Above == nil || d.Above.Key.Ordinal != 1 {
		t.Errorf("the family of shard 3: %+v", d)
	}
	parent, err := r.DescribeShard(t.Context(), who, "s", "0")
	r.must(err)
	if len(parent.Children) != 2 || parent.Below != nil || parent.Above != nil {
		t.Errorf("the family of shard 0: %+v", parent)
	}
	_, err = r.DescribeShard(t.Context(), who, "s", "9")
	r.wantKind(err, leat.KindNotFound, "shard_id")
}

func TestStreamLoad(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 2)
	for range 60 {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(10, 1000, "hot")})
		r.must(err)
		r.clock.Advance(time.Second)
	}
	l, err := r.StreamLoad(t.Context(), who, "s")
	r.must(err)
	near(t, "records now", l.Now.RecordsIn, 10, 0.01)
	near(t, "the last step's records", l.Steps[len(l.Steps)-1].RecordsIn, 10, 0.01)
	if l.Steps[0].RecordsIn != 0 || len(l.Shards) != 2 {
		t.Errorf("the load is %+v", l)
	}
	total := 0.0
	for _, k := range l.Hot {
		total += k.Share
	}
	if len(l.Hot) == 0 || total < 0.5 {
		t.Errorf("hot keys are %+v", l.Hot)
	}
	_, err = r.StreamLoad(t.Context(), leat.Principal{Account: "111111111111"}, "arn:aws:kinesis:"+r.Region()+":000000000000:stream/s")
	r.wantKind(err, leat.KindAccessDenied, "")
}

// noRecords lets everybody do everything but read records.
type noRecords struct{ broker.SameAccount }

func (noRecords) Authorize(_ context.Context, _ leat.Principal, action broker.Action, _ broker.Resource) error {
	if action == broker.ActionGetRecords {
		return leat.Errorf(leat.KindAccessDenied, "no records")
	}
	return nil
}

// Partition keys are a part of records: who may not read those is told how hot keys are, and not which.
func TestHotKeysAreForReaders(t *testing.T) {
	r := newRig(t, broker.LimitsOff, func(c *broker.Config) { c.Authorizer = noRecords{} })
	r.stream("s", 1)
	for range 10 {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(10, 1000, "secret")})
		r.must(err)
		r.clock.Advance(time.Second)
	}
	one, err := r.StreamLoad(t.Context(), who, "s")
	r.must(err)
	for _, l := range []broker.StreamLoad{one, r.StreamLoads(t.Context(), who, []string{"s"})["s"]} {
		if len(l.Hot) == 0 || l.Hot[0].Share < 0.05 {
			t.Errorf("it is not told that there are hot keys: %+v", l.Hot)
		}
		for _, k := range l.Hot {
			if k.Key != "" || k.Hash != (leat.HashKey{}) {
				t.Errorf("the key %s is told", k.Key)
			}
		}
	}
}
