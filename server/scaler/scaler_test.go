// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/scaler"
)

// stepped is a clock whose timers fire when the test takes a step. It belongs to one goroutine but for its channels.
type stepped struct {
	now   time.Time
	armed chan time.Duration // a timer was made
	fire  chan time.Time
}

func (c *stepped) Now() time.Time { return c.now }

func (c *stepped) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.armed <- d
	return c.fire, func() {}
}

// bench runs a Scaler over streams that it makes up. Between two steps the scaler rests, and its fields may be changed.
type bench struct {
	t       *testing.T
	clock   *stepped
	session leat.SessionID
	streams []leat.Stream
	rates   map[leat.StreamID][]broker.ShardRate
	floors  map[leat.StreamID]int
	err     error // of what is asked of the catalog

	quota        int // of shards of all streams; 0: none
	asked, holds int
	why          string // the last one was held
	begun        []catalog.ScaleDecision
	by           []leat.SessionID
}

func (b *bench) OnDemandStreams() []leat.Stream                 { return b.streams }
func (b *bench) ShardRates(id leat.StreamID) []broker.ShardRate { return b.rates[id] }
func (b *bench) ShardRoom(string) int {
	if b.quota == 0 {
		return 1000
	}
	room := b.quota
	for _, rates := range b.rates {
		for i := range rates {
			if rates[i].Shard.Open() {
				room--
			}
		}
	}
	return room
}

func (b *bench) HoldScaling(_ context.Context, _ leat.StreamID, _ uint64, why string) error {
	b.holds++
	b.why = why
	return b.err
}

func (b *bench) ScaleFloors(context.Context) (map[leat.StreamID]int, error) {
	b.asked++
	return b.floors, b.err
}

func (b *bench) ScaleOnDemand(_ context.Context, _ leat.Stream, session leat.SessionID, d []catalog.ScaleDecision) error {
	if b.err != nil {
		return b.err
	}
	b.begun, b.by = append(b.begun, d...), append(b.by, session)
	return nil
}

func (b *bench) owns(k leat.ShardKey) bool {
	return slices.ContainsFunc(b.rates[k.Stream], func(r broker.ShardRate) bool { return r.Shard.Key == k && r.Shard.Owner == b.session })
}

var (
	mine   = leat.SessionID{1}
	theirs = leat.SessionID{2}
)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		t: t, session: mine, rates: map[leat.StreamID][]broker.ShardRate{}, floors: map[leat.StreamID]int{},
		clock: &stepped{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), armed: make(chan time.Duration), fire: make(chan time.Time)},
	}
	s, err := scaler.New(scaler.Config{Streams: b, Session: func() leat.SessionID { return b.session }, Owns: b.owns, Clock: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-b.clock.armed
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

// stream makes a stream of n even shards, each with a share of what it takes.
func (b *bench) stream(id byte, n int, share float64) {
	st := leat.Stream{ID: leat.StreamID{id}, Name: "s", Mode: leat.ModeOnDemand, Status: leat.StreamActive}
	b.streams = append(b.streams, st)
	b.floors[st.ID] = 1
	rate := broker.Rate{RecordsIn: share * leat.ShardRecordsIn}
	for i, r := range leat.SplitEvenly(n) {
		s := leat.Shard{Key: leat.ShardKey{Stream: st.ID, Ordinal: uint64(i)}, Range: r, Owner: mine}
		b.rates[st.ID] = append(b.rates[st.ID], broker.ShardRate{Shard: s, Last15s: rate, Last5m: rate, Balance: broker.Balance{At: r.Middle(), Below: 0.5}})
	}
	closed := leat.Shard{Key: leat.ShardKey{Stream: st.ID, Ordinal: 99}, Range: leat.FullRange, Closed: b.clock.now, Owner: mine}
	b.rates[st.ID] = append(b.rates[st.ID], broker.ShardRate{Shard: closed, Last15s: rate})
	slices.Reverse(b.rates[st.ID]) // the scaler puts them in order
}

// pass lets the scaler look for as long as d, and returns what it has begun meanwhile.
func (b *bench) pass(d time.Duration) []catalog.ScaleDecision {
	b.t.Helper()
	b.begun = nil
	for end := b.clock.now.Add(d); b.clock.now.Before(end); {
		b.clock.now = b.clock.now.Add(5 * time.Second)
		b.clock.fire <- b.clock.now
		if every := <-b.clock.armed; every != 5*time.Second {
			b.t.Fatalf("it looks every %v", every)
		}
	}
	return b.begun
}

func TestScalerSplitsWhatIsHot(t *testing.T) {
	b := newBench(t)
	b.stream(1, 2, 0.9)
	if got := b.pass(30 * time.Second); len(got) != 0 {
		t.Errorf("after 30 s: %+v", got)
	}
	got := b.pass(5 * time.Second)
	if len(got) != 2 || got[0].Step.Kind != catalog.StepSplit || b.by[0] != mine {
		t.Errorf("it begins %+v as %v: want a split of each shard", got, b.by)
	}
	if got := b.pass(25 * time.Second); len(got) != 0 {
		t.Errorf("during the cool-down: %+v", got)
	}
}

func TestScalerMergesWhatIsCold(t *testing.T) {
	b := newBench(t)
	b.stream(1, 4, 0.1)
	b.floors[leat.StreamID{1}] = 3
	if got := b.pass(15 * time.Minute); len(got) != 0 {
		t.Errorf("after 15 minutes: %+v", got)
	}
	got := b.pass(10 * time.Second)
	if len(got) != 1 || got[0].Step != catalog.Merge(0, 1) {
		t.Errorf("it begins %+v: want one merge, since three shards must stay", got)
	}
	if b.asked != 1 {
		t.Errorf("it asked %d times for what does not change", b.asked)
	}
}

// TestScalerKeepsOut: it does nothing where another is responsible, or what it has seen is of no use.
func TestScalerKeepsOut(t *testing.T) {
	for name, change := range map[string]func(b *bench){
		"this node stands by":          func(b *bench) { b.session = leat.SessionID{} },
		"another node owns the shards": func(b *bench) { b.session = theirs },
		"the stream is updating":       func(b *bench) { b.streams[0].Status = leat.StreamUpdating },
		"the stream is provisioned":    func(b *bench) { b.streams = nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.stream(1, 4, 0.9)
			change(b)
			if got := b.pass(time.Minute); len(got) != 0 {
				t.Errorf("it begins %+v", got)
			}
		})
	}
}

// TestScalerActsOnItsOwn: of a stream with several owners each node splits its own shards, and merges neighbours that are
// both its own, within what the whole stream must keep.
func TestScalerActsOnItsOwn(t *testing.T) {
	alternate := func(b *bench, foreign ...uint64) {
		rates := b.rates[leat.StreamID{1}]
		for i := range rates {
			if slices.Contains(foreign, rates[i].Shard.Key.Ordinal) {
				rates[i].Shard.Owner = theirs
			}
		}
	}
	for name, test := range map[string]struct {
		share   float64
		least   int
		foreign []uint64
		pass    time.Duration
		want    []catalog.Step
	}{
		"hot":                         {0.9, 1, []uint64{1, 2}, 40 * time.Second, []catalog.Step{halve(0, 4), halve(3, 4)}},
		"cold":                        {0.1, 1, []uint64{0}, 15*time.Minute + 10*time.Second, []catalog.Step{catalog.Merge(1, 2)}},
		"no neighbours":               {0.1, 1, []uint64{1, 3}, 15*time.Minute + 10*time.Second, nil},
		"others keep it at its least": {0.1, 4, []uint64{0}, 15*time.Minute + 10*time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.stream(1, 4, test.share)
			b.floors[leat.StreamID{1}] = test.least
			alternate(b, test.foreign...)
			var got []catalog.Step
			for _, d := range b.pass(test.pass) {
				got = append(got, d.Step)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("it begins %+v: want %+v", got, test.want)
			}
		})
	}
}

// halve is the split of one of n even shards in its middle.
func halve(shard uint64, n int) catalog.Step {
	return catalog.Split(shard, leat.SplitEvenly(n)[shard].Middle())
}

// TestScalerTakesOverAShard: what a shard did while another node owned it does not count.
func TestScalerTakesOverAShard(t *testing.T) {
	b := newBench(t)
	b.stream(1, 2, 0.9)
	rates := b.rates[leat.StreamID{1}]
	at := slices.IndexFunc(rates, func(r broker.ShardRate) bool { return r.Shard.Key.Ordinal == 1 })
	rates[at].Shard.Owner = theirs
	if got := b.pass(35 * time.Second); len(got) != 1 || got[0].Step != halve(0, 2) {
		t.Fatalf("it begins %+v: want the split of its own shard", got)
	}
	rates[at].Shard.Owner = mine
	b.rates[leat.StreamID{1}] = rates[at : at+1] // the other one is carried out
	if got := b.pass(30 * time.Second); len(got) != 0 {
		t.Errorf("30 s after it has taken the shard over it begins %+v", got)
	}
	if got := b.pass(10 * time.Second); len(got) != 1 || got[0].Step != halve(1, 2) {
		t.Errorf("then it begins %+v: want a split", got)
	}
}

// TestScalerWatchesAnewInANewSession: what another life of the node has seen does not count.
func TestScalerWatchesAnewInANewSession(t *testing.T) {
	b := newBench(t)
	b.stream(1, 1, 0.9)
	b.pass(30 * time.Second)
	b.session = theirs
	for i := range b.rates[leat.StreamID{1}] {
		b.rates[leat.StreamID{1}][i].Shard.Owner = theirs
	}
	if got := b.pass(30 * time.Second); len(got) != 0 {
		t.Errorf("at once: %+v", got)
	}
	if got := b.pass(10 * time.Second); len(got) != 1 {
		t.Errorf("after half a minute: %+v, want a split", got)
	}
}

// TestScalerOutlastsFaults: a catalog that is away, or a stream that has changed, is asked again.
func TestScalerOutlastsFaults(t *testing.T) {
	for name, err := range map[string]error{"away": errors.New("away"), "changed": leat.Errorf(leat.KindInUse, "not ACTIVE")} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.stream(1, 1, 0.9)
			b.stream(2, 4, 0)
			b.err = err
			if got := b.pass(20 * time.Minute); len(got) != 0 {
				t.Fatalf("begun: %+v", got)
			}
			b.err = nil
			if got := b.pass(10 * time.Second); len(got) != 3 {
				t.Errorf("once the catalog is back it begins %+v: want a split and two merges", got)
			}
		})
	}
}

// TestScalerKeepsTheQuota: all streams of an account share what its quota leaves, and who gets nothing is told why.
func TestScalerKeepsTheQuota(t *testing.T) {
	b := newBench(t)
	b.stream(1, 2, 0.9)
	b.stream(2, 2, 0.9)
	b.quota = 5
	if got := b.pass(35 * time.Second); len(got) != 1 {
		t.Errorf("it begins %+v: want one split, for which there is room", got)
	}
	if b.holds != 3 || !strings.Contains(b.why, "quota shards") {
		t.Errorf("said why not %d times, at last %q: want of three shards", b.holds, b.why)
	}
	b.quota = 3 // it was lowered
	if got := b.pass(time.Minute); len(got) != 0 {
		t.Errorf("beyond the quota it begins %+v", got)
	}
}

func TestScalerSaysWhyNot(t *testing.T) {
	b := newBench(t)
	b.stream(1, 1, 0.9)
	for i := range b.rates[leat.StreamID{1}] {
		b.rates[leat.StreamID{1}][i].Shard.Range.End = leat.HashKey{Hi: 1 << 40}
	}
	if got := b.pass(30 * time.Minute); len(got) != 0 || b.holds != 1 {
		t.Errorf("begun %+v, and said why not %d times: want once", got, b.holds)
	}
	b.pass(31 * time.Minute)
	if b.holds != 2 {
		t.Errorf("said why not %d times in an hour: want twice", b.holds)
	}
}
