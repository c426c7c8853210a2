// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

func names(streams []leat.Stream) (out []string) {
	for _, s := range streams {
		out = append(out, s.Name)
	}
	return out
}

func TestCreateStream(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, err := b.CreateStream(ctx, spec("s", 3))
		b.must(err)
		_, err = b.CreateStream(ctx, spec("s", 1))
		b.want(err, leat.KindInUse, "Stream s under account 123456789012 already exists.")
		got, err := b.StreamByName(ctx, account, "s")
		b.must(err)
		if !got.Equal(&st) || got.Status != leat.StreamCreating || got.NextOrdinal != 3 || got.Retention != 24*time.Hour || !got.Created.Equal(b.clock.now) {
			t.Errorf("read back %+v, created %+v", got, st)
		}
		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		for i, r := range leat.SplitEvenly(3) {
			if s := shards[i]; s.Range != r || s.Key.Ordinal != uint64(i) || !s.Open() || !s.Owner.IsZero() || s.Epoch != 0 || s.Parent != nil {
				t.Errorf("shard %d is %+v", i, s)
			}
		}
		b.must(b.ActivateStream(ctx, st.ID))
		got, err = b.StreamByID(ctx, st.ID)
		b.must(err)
		if got.Status != leat.StreamActive || got.Version <= st.Version {
			t.Errorf("active stream %+v", got)
		}
		_, err = b.StreamByName(ctx, "999999999999", "s")
		b.want(err, leat.KindNotFound, "Stream s under account 999999999999 not found.")
		_, err = b.StreamByID(ctx, leat.StreamID{1})
		b.want(err, leat.KindNotFound, "")
		_, err = b.CreateStream(ctx, spec("none", 0))
		b.want(err, leat.KindInvalidArgument, "")
	})
}

// A create whose answer is lost is recognised, not refused as a duplicate of itself.
func TestCreateStreamUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for i, plan := range []string{"a-", "b-", "aa-"} {
			b.link.cut(plan)
			st, err := b.CreateStream(t.Context(), spec(fmt.Sprint("s", i), 2))
			b.must(err)
			got, err := b.StreamByID(t.Context(), st.ID)
			b.must(err)
			if !got.Equal(&st) {
				t.Errorf("%s: %+v, read back %+v", plan, st, got)
			}
		}
	})
}

func TestListStreamsAndChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for _, n := range []string{"b", "a-b", "B", "ab", "a_b", "a.b"} {
			b.stream(n, 1)
		}
		want := []string{"B", "a-b", "a.b", "a_b", "ab", "b"} // byte order, whatever the database's locale
		var got []string
		for after, page := "", []leat.Stream(nil); ; after = page[len(page)-1].Name {
			var err error
			page, err = b.ListStreams(ctx, account, after, 4)
			b.must(err)
			if len(page) == 0 {
				break
			}
			got = append(got, names(page)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed %q", got)
		}
		all, err := b.Streams(ctx)
		b.must(err)
		if !slices.Equal(names(all), want) {
			t.Errorf("all are %q", names(all))
		}

		before, err := b.Revision(ctx)
		b.must(err)
		b.must(b.ActivateStream(ctx, all[0].ID)) // it is active: nothing changes
		if after, err := b.Revision(ctx); err != nil || after != before {
			t.Errorf("revision %d became %d without a change: %v", before, after, err)
		}
		long := 48 * time.Hour
		_, err = b.UpdateStream(ctx, all[1].ID, catalog.StreamUpdate{Retention: &long})
		b.must(err)
		ch, err := b.Changes(ctx, before)
		b.must(err)
		if ch.Revision <= before || ch.Total != 6 || !slices.Equal(names(ch.Streams), []string{"a-b"}) {
			t.Errorf("changes %+v", ch)
		}
		s := b.session()
		b.take(s)
		if now, err := b.Revision(ctx); err != nil || now <= ch.Revision {
			t.Errorf("taking shards left the revision at %d: %v", now, err)
		}
	})
}

// What expired under a retention stays expired when it is raised (kinesis-semantics 6).
func TestUpdateStream(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		set := func(d time.Duration) leat.Stream {
			t.Helper()
			s, err := b.UpdateStream(ctx, st.ID, catalog.StreamUpdate{Retention: &d})
			b.must(err)
			got, err := b.StreamByID(ctx, st.ID)
			b.must(err)
			if !got.Equal(&s) {
				t.Errorf("returned %+v, stored %+v", s, got)
			}
			return s
		}
		b.clock.advance(100 * time.Hour)
		raised := b.clock.Now().Add(-24 * time.Hour)
		if s := set(72 * time.Hour); !s.ExpiredBefore.Equal(raised) || s.Retention != 72*time.Hour {
			t.Errorf("raised to %+v", s)
		}
		b.clock.advance(time.Hour)
		if s := set(72 * time.Hour); !s.ExpiredBefore.Equal(raised) {
			t.Errorf("set to what it was: %+v", s)
		}
		if s := set(48 * time.Hour); !s.ExpiredBefore.Equal(raised) {
			t.Errorf("lowered to %+v", s)
		}
		b.clock.advance(time.Hour) // now-48h is earlier than what had expired before
		if s := set(96 * time.Hour); !s.ExpiredBefore.Equal(raised) {
			t.Errorf("raised again to %+v", s)
		}
		mode, size := leat.ModeOnDemand, leat.MaxRecordBytes
		s, err := b.UpdateStream(ctx, st.ID, catalog.StreamUpdate{Mode: &mode, MaxRecordBytes: &size})
		b.must(err)
		if s.Mode != mode || s.MaxRecordBytes != size || s.Retention != 96*time.Hour {
			t.Errorf("updated to %+v", s)
		}
		_, err = b.UpdateStream(ctx, st.ID, catalog.StreamUpdate{Version: s.Version - 1, Mode: &mode})
		b.want(err, leat.KindInUse, "")
		_, err = b.UpdateStream(ctx, st.ID, catalog.StreamUpdate{Version: s.Version, Mode: &mode})
		b.must(err)
		_, err = b.UpdateStream(ctx, leat.StreamID{1}, catalog.StreamUpdate{})
		b.want(err, leat.KindNotFound, "")
	})
}

// A deleted stream leaves nothing but its usage and a queue of what it held alone (I7).
func TestRemoveStream(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, other := b.stream("s", 2), b.stream("other", 1)
		k0, k1, ko := leat.ShardKey{Stream: st.ID}, leat.ShardKey{Stream: st.ID, Ordinal: 1}, leat.ShardKey{Stream: other.ID}
		dead := b.session()
		b.take(dead)
		mixed := []shardstore.Extent{extent(k0, 1, 0, 10, ""), extent(ko, 1, 0, 10, "")}
		slices.SortFunc(mixed, func(a, b shardstore.Extent) int { return a.Shard.Compare(b.Shard) })
		shared := pack(dead, 0, 0, 0, mixed...)
		b.register(shared)
		var alone []string
		for n := range uint64(8) { // more than one batch of removal
			p := pack(dead, n+1, 0, 0, extent(k1, 1, n*10, 10, ""))
			alone = append(alone, p.Object)
			b.register(p)
		}
		b.fence(dead, 2, shardstore.ClosedShard{Shard: k0, Epoch: 1, Final: 11, Extents: []shardstore.Extent{extent(k0, 1, 10, 1, segment(dead, 0))}})
		_, err := b.BeginReshard(ctx, st.ID, catalog.Merge(0, 1))
		b.must(err)
		_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: "c", Active: b.clock.now})
		b.must(err)

		b.want(b.RemoveStream(ctx, st.ID), leat.KindInUse, "")
		b.want(b.BeginDelete(ctx, st.ID, false), leat.KindInUse, "")
		b.must(b.BeginDelete(ctx, st.ID, true))
		b.must(b.BeginDelete(ctx, st.ID, false))
		b.same("queue before", b.queued())
		unsettled, err := b.UnsettledStreams(ctx)
		b.must(err)
		if len(unsettled) != 1 || unsettled[0].Status != leat.StreamDeleting || !unsettled[0].Since.Equal(b.clock.now) {
			t.Errorf("unsettled %+v", unsettled)
		}
		b.link.cut("a-b-a-b-a-b-a-b-") // every second answer is lost
		b.must(b.RemoveStream(ctx, st.ID))
		b.must(b.RemoveStream(ctx, st.ID))
		b.same("queue", b.queued(), append(alone, segment(dead, 0), segment(dead, 1))...)
		_, err = b.StreamByID(ctx, st.ID)
		b.want(err, leat.KindNotFound, "")
		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		extents := 0
		for e, err := range b.AllExtents(ctx) {
			b.must(err)
			if e.Shard != ko {
				t.Errorf("left: %+v", e)
			}
			extents++
		}
		if len(shards) != 0 || extents != 1 {
			t.Errorf("%d shards and %d extents left", len(shards), extents)
		}
		if n := b.used(); n != 100 {
			t.Errorf("usage of %d records", n)
		}
		b.stream("s", 1) // the name is free
	})
}

func TestConsumers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		later := b.clock.now.Add(time.Second)
		b.link.cut("a-")
		c, err := b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: "c", Active: later})
		b.must(err)
		if c.Status != leat.ConsumerCreating || c.Name != "c" || !c.Created.Equal(b.clock.now) {
			t.Errorf("registered %+v", c)
		}
		_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: "c", Active: later})
		b.want(err, leat.KindInUse, "Consumer c of stream s under account 123456789012 already exists.")
		for i := range 4 {
			_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: fmt.Sprint("d", i), Active: later})
			b.must(err)
		}
		_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: "e", Active: later})
		b.want(err, leat.KindLimitExceeded, "")
		b.clock.advance(time.Second)
		if c, err := b.Consumer(ctx, st.ID, "c"); err != nil || c.Status != leat.ConsumerActive {
			t.Errorf("after a second: %+v, %v", c, err)
		}
		for i := range 15 {
			_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: fmt.Sprintf("f%02d", i), Active: b.clock.now})
			b.must(err)
		}
		_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: st.ID, Name: "g", Active: b.clock.now})
		b.want(err, leat.KindLimitExceeded, "")
		page, err := b.ListConsumers(ctx, st.ID, "d3", 3)
		b.must(err)
		if len(page) != 3 || page[0].Name != "f00" || page[2].Name != "f02" {
			t.Errorf("page %+v", page)
		}
		b.must(b.DeregisterConsumer(ctx, st.ID, "c", 0))
		b.want(b.DeregisterConsumer(ctx, st.ID, "c", 0), leat.KindNotFound, "")
		_, err = b.Consumer(ctx, st.ID, "c")
		b.want(err, leat.KindNotFound, "")
		_, err = b.RegisterConsumer(ctx, catalog.NewConsumer{Stream: leat.StreamID{1}, Name: "c", Active: later})
		b.want(err, leat.KindNotFound, "")
	})
}

// Shards of a stream that is being deleted get no new owner: their last owner may have left their records out of packs,
// and nobody shall miss those.
func TestDeletingShardsGetNoOwner(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		gone, kept := b.stream("gone", 2), b.stream("kept", 1)
		s := b.session()
		b.take(s)
		b.must(b.BeginDelete(t.Context(), gone.ID, true))
		owned, err := b.Owned(t.Context(), s)
		b.must(err)
		b.fence(s, 1)
		taken := b.take(b.session())
		for _, all := range [][]catalog.Taken{owned, taken} {
			if len(all) != 1 || all[0].Shard.Stream != kept.ID {
				t.Errorf("got %+v, want the shard of the other stream alone", all)
			}
		}
		b.must(b.RemoveStream(t.Context(), gone.ID))
	})
}
