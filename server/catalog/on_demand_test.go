// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
)

// onDemand makes an active stream in on-demand mode.
func (b *bundle) onDemand(name string, shards int) leat.Stream {
	b.t.Helper()
	n := spec(name, shards)
	n.Mode = leat.ModeOnDemand
	s, err := b.CreateStream(b.t.Context(), n)
	b.must(err)
	b.must(b.ActivateStream(b.t.Context(), s.ID))
	return s
}

func (b *bundle) events(s leat.Stream) (all []string) {
	b.t.Helper()
	events, err := b.ScaleEvents(b.t.Context(), s.ID, catalog.ScaleEventPlace{}, 10)
	b.must(err)
	for _, e := range events {
		all = append(all, fmt.Sprintf("%s %v %s", e.Action, e.Shards, e.Reason))
	}
	return all
}

// split is the decision to cut one of four even shards in the middle.
func split(shard uint64) catalog.ScaleDecision {
	return catalog.ScaleDecision{Step: catalog.Split(shard, leat.SplitEvenly(4)[shard].Middle()), Reason: "hot"}
}

func TestScaleOnDemand(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.onDemand("s", 4)
		s := b.session()
		b.take(s)
		b.link.cut("a-")
		b.must(b.ScaleOnDemand(ctx, st.ID, 0, s, []catalog.ScaleDecision{split(3), split(1)}))
		pending, err := b.PendingReshards(ctx, st.ID)
		b.must(err)
		if len(pending) != 2 {
			t.Fatalf("%d reshards are pending: want 2, whatever became of the answer", len(pending))
		}
		b.same("events", b.events(st), "split [1] hot", "split [3] hot")
		b.want(b.ScaleOnDemand(ctx, st.ID, 0, s, []catalog.ScaleDecision{split(0)}), leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
		for i, r := range pending {
			now, err := b.StreamByID(ctx, st.ID)
			b.must(err)
			if now.Status != leat.StreamUpdating {
				t.Errorf("the stream is %s after %d of 2 splits", now.Status, i)
			}
			b.must(b.FinishReshard(ctx, done(r, 77, 0)))
		}
		now, err := b.StreamByID(ctx, st.ID)
		b.must(err)
		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		open := 0
		for i := range shards {
			if shards[i].Open() {
				open++
			}
		}
		if now.Status != leat.StreamActive || open != 6 {
			t.Errorf("the stream is %s with %d open shards: want ACTIVE with 6", now.Status, open)
		}
	})
}

// TestScaleOnDemandOfTwoNodes: each begins what its own shards need, and of two that have decided about the same stream
// one has to look again.
func TestScaleOnDemandOfTwoNodes(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.onDemand("s", 4)
		here, there := b.session(), b.session()
		if taken, err := b.TakeShards(ctx, here, 2); err != nil || len(taken) != 2 {
			t.Fatal(taken, err)
		}
		b.take(there)
		shards, err := b.Shards(ctx, st.ID)
		b.must(err)
		own := map[leat.SessionID][]uint64{}
		for i := range shards {
			own[shards[i].Owner] = append(own[shards[i].Owner], shards[i].Key.Ordinal)
		}
		st, err = b.StreamByID(ctx, st.ID)
		b.must(err)
		begin := func(version uint64, s leat.SessionID, of leat.SessionID, n int) error {
			return b.ScaleOnDemand(ctx, st.ID, version, s, []catalog.ScaleDecision{split(own[of][n])})
		}
		b.want(begin(st.Version, here, there, 0), leat.KindInUse, "")
		b.must(begin(st.Version, here, here, 0))
		b.want(begin(st.Version, there, there, 0), leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
		pending, err := b.PendingReshards(ctx, st.ID)
		b.must(err)
		b.must(b.FinishReshard(ctx, done(pending[0], 5)))
		b.want(begin(st.Version, there, there, 0), leat.KindInUse, "Stream s under account 123456789012 has changed since its scaling was decided.")
		now, err := b.StreamByID(ctx, st.ID)
		b.must(err)
		b.must(begin(now.Version, there, there, 0))
	})
}

func TestScaleOnDemandRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, provisioned := b.onDemand("s", 5), b.stream("p", 4)
		s := b.session()
		b.take(s)
		merge := func(a uint64) catalog.ScaleDecision {
			return catalog.ScaleDecision{Step: catalog.Merge(a, a+1), Reason: "cold"}
		}
		b.want(b.ScaleOnDemand(ctx, provisioned.ID, 0, s, []catalog.ScaleDecision{split(0)}), leat.KindInUse, "Stream p under account 123456789012 is not in on-demand mode.")
		b.want(b.ScaleOnDemand(ctx, st.ID, 0, b.session(), []catalog.ScaleDecision{merge(0)}), leat.KindInUse, "shard shardId-000000000000 of stream s belongs to another node")
		b.want(b.ScaleOnDemand(ctx, st.ID, 0, s, []catalog.ScaleDecision{merge(0), merge(1)}), leat.KindInvalidArgument, "two steps at once would reshard shardId-000000000001 of stream s")
		b.want(b.ScaleOnDemand(ctx, st.ID, 0, s, []catalog.ScaleDecision{merge(0), merge(2)}), leat.KindInUse, "Stream s under account 123456789012 keeps 4 shards at least.")
		b.want(b.ScaleOnDemand(ctx, st.ID, 0, s, []catalog.ScaleDecision{merge(7)}), leat.KindNotFound, "")
		b.same("events of what was refused", b.events(st))
		pending, err := b.PendingReshards(ctx, st.ID)
		b.must(err)
		if len(pending) != 0 {
			t.Errorf("%d reshards are pending of what was refused", len(pending))
		}
		b.must(b.ScaleOnDemand(ctx, st.ID, 0, s, []catalog.ScaleDecision{merge(3)}))
		b.same("events", b.events(st), "merge [3 4] cold")
	})
}

func TestScaleFloors(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		want := map[leat.StreamID]int{}
		for shards, least := range map[int]int{1: 1, 3: 3, 4: 4, 16: 4, 40: 10} {
			want[b.onDemand(fmt.Sprint("s", shards), shards).ID] = least
		}
		changed := b.stream("p", 20)
		mode := leat.ModeOnDemand
		_, err := b.UpdateStream(t.Context(), changed.ID, catalog.StreamUpdate{Mode: &mode})
		b.must(err)
		want[changed.ID] = leat.DefaultOnDemand
		b.stream("q", 20)
		floors, err := b.ScaleFloors(t.Context())
		b.must(err)
		if fmt.Sprint(floors) != fmt.Sprint(want) {
			t.Errorf("floors %v: want %v", floors, want)
		}
	})
}

func TestScaleEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, other := b.onDemand("s", 4), b.onDemand("other", 4)
		hold := func(n int) catalog.ScaleEvent {
			return catalog.ScaleEvent{At: b.clock.Now(), Action: catalog.ScaleHold, Shards: []uint64{2}, Reason: fmt.Sprint(n)}
		}
		b.must(b.AddScaleEvent(ctx, other.ID, hold(0)))
		const written = 1010
		b.link.cut(strings.Repeat("a-", 5)) // an answer that is lost doubles nothing
		for n := range written {
			if n%2 == 0 {
				b.clock.advance(time.Microsecond) // two of each moment
			}
			b.must(b.AddScaleEvent(ctx, st.ID, hold(n)))
		}
		if newest := strings.Join(b.events(st)[:3], ", "); newest != "hold [2] 1009, hold [2] 1008, hold [2] 1007" {
			t.Errorf("the newest are %s", newest)
		}
		all, err := b.ScaleEvents(ctx, st.ID, catalog.ScaleEventPlace{}, 2000)
		b.must(err)
		if len(all) != 1000 || all[999].Reason != "10" {
			t.Errorf("%d events are kept, the oldest is %s: want the last 1000 of %d", len(all), all[len(all)-1].Reason, written)
		}
		older, err := b.ScaleEvents(ctx, st.ID, all[2].Place, 1)
		b.must(err)
		if len(older) != 1 || older[0].Reason != "1006" {
			t.Errorf("before the third newest: %+v", older)
		}
		b.same("of another stream", b.events(other), "hold [2] 0")

		b.must(b.BeginDelete(ctx, st.ID, true))
		b.want(b.AddScaleEvent(ctx, st.ID, hold(0)), leat.KindInUse, "")
		b.must(b.RemoveStream(ctx, st.ID))
		b.want(b.AddScaleEvent(ctx, st.ID, hold(0)), leat.KindNotFound, "")
		var left int
		b.must(b.db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.Row("SELECT count(*) FROM scale_events WHERE stream = $1", st.ID).Scan(&left)
		}))
		if left != 0 {
			t.Errorf("%d events outlive their stream", left)
		}
	})
}
