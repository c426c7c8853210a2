// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler_test

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/scaler"
)

// seeded runs a simulation from several seeds, always the same: what is bounded here a rare load may exceed. LEAT_SCALER_SEED begins elsewhere.
func seeded(t *testing.T, times int, test func(t *testing.T, seed uint64)) {
	t.Helper()
	first := uint64(1)
	if s := os.Getenv("LEAT_SCALER_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("LEAT_SCALER_SEED: %v", err)
		}
	}
	for i := range times {
		t.Run("", func(t *testing.T) {
			t.Logf("LEAT_SCALER_SEED=%d", first+uint64(i))
			test(t, first+uint64(i))
		})
	}
}

// TestConstantLoadComesToRest: a stream takes its load in time, and is then left alone.
func TestConstantLoadComesToRest(t *testing.T) {
	seeded(t, 8, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 4)
		w.load(50+w.rng.IntN(2000), 60*w.rng.Float64(), 0.3)
		w.run(15 * time.Minute)
		if w.hottest() >= w.params.Hot || float64(len(w.shards)) < w.total() {
			t.Errorf("after 15 minutes: %v", w)
		}
		w.run(2 * time.Hour)
		if n := w.run(6 * time.Hour); n != 0 {
			t.Errorf("%d decisions after two hours of the same load: %v", n, w)
		}
		if len(w.holds) != 0 {
			t.Errorf("holds: %v", w.holds)
		}
	})
}

// TestNoisyLoadDoesNotOscillate: what was merged is not split again, and what scaling does comes to an end.
func TestNoisyLoadDoesNotOscillate(t *testing.T) {
	seeded(t, 8, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 4)
		w.noise = 0.2
		w.load(20+w.rng.IntN(500), 30*w.rng.Float64(), 0.5)
		w.run(10 * time.Hour)
		if len(w.remade) != 0 {
			t.Errorf("boundaries %v were made, merged away and made again: %v", w.remade, w)
		}
		if most := 2*int(math.Ceil(w.total()/w.params.Cold)) + 40; w.splits+w.merges > most {
			t.Errorf("more than %d decisions: %v", most, w)
		}
	})
}

// TestCapacityFollowsInSteps: each step doubles what hot shards take, so a stream has room for any load after as many
// steps as its logarithm.
func TestCapacityFollowsInSteps(t *testing.T) {
	seeded(t, 10, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 4)
		w.load(20_000, 10+190*w.rng.Float64(), 0.05)
		steps := math.Ceil(math.Log2(w.total()/4/w.params.Hot)) + 2 // halves are not quite even
		step := w.params.HotFor + w.params.Cooldown
		w.run(time.Duration(steps) * step)
		if float64(len(w.shards)) < w.total() || w.hottest() > 1 {
			t.Errorf("after %.0f steps of %v: %v", steps, step, w)
		}
	})
}

// TestOneHotKey: its shard is made narrow, the other keys get room, and then it is said why there is no more to do.
func TestOneHotKey(t *testing.T) {
	seeded(t, 8, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 4)
		w.load(500, 2, 0.05)
		w.keys = append(w.keys, loadKey{w.rng.Uint64(), 3})
		w.sortKeys()
		w.run(4 * time.Hour)
		var hot int
		for _, s := range w.shards {
			if s.history[len(s.history)-1] >= w.params.Hot {
				hot++
				if s.hashes.End.Hi-s.hashes.Start.Hi >= 1<<(64-w.params.NarrowBits) {
					t.Errorf("the hot shard has the wide range %v", s.hashes)
				}
			}
		}
		if hot != 1 {
			t.Errorf("%d shards are hot, want the one with the hot key: %v", hot, w)
		}
		// Two cuts for each 6 bits of width, and those of the other keys.
		if most := 2*(w.params.NarrowBits/6+1) + 6; w.splits > most {
			t.Errorf("more than %d splits: %v", most, w)
		}
		if len(w.holds) == 0 || len(w.holds) > 4 || !strings.Contains(w.holds[0].Reason, "one partition key") {
			t.Errorf("it is held %d times in four hours: %+v", len(w.holds), w.holds)
		}
		if n := w.run(4 * time.Hour); n != 0 {
			t.Errorf("%d decisions after four hours: %v", n, w)
		}
	})
}

// TestIdleStreamShrinks: what grew comes back to what the stream keeps at least, with even ranges.
func TestIdleStreamShrinks(t *testing.T) {
	seeded(t, 10, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 8)
		w.load(5000, 25, 0.05)
		w.run(30 * time.Minute)
		grown := len(w.shards)
		if grown < 25 {
			t.Fatalf("did not grow: %v", w)
		}
		w.rest()
		if w.run(w.params.ColdFor) != 0 {
			t.Errorf("merged before it was cold for %v: %v", w.params.ColdFor, w)
		}
		w.run(3 * time.Hour)
		if len(w.shards) != w.bounds.Least {
			t.Errorf("idle, from %d: %v", grown, w)
		}
		for _, s := range w.shards {
			if s.hashes.End.Hi-s.hashes.Start.Hi > math.MaxUint64/8*5 {
				t.Errorf("one shard of %d has most of the hash keys: %v", len(w.shards), s.hashes)
			}
		}
	})
}

// TestChangingLoadKeepsTheRules: whatever the load does, plans are such that the catalog takes them.
func TestChangingLoadKeepsTheRules(t *testing.T) {
	seeded(t, 10, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 1+rand.New(rand.NewPCG(seed, 2)).IntN(20))
		w.params.MaxShards = 30
		for range 30 {
			w.load(1+w.rng.IntN(300), 40*math.Pow(w.rng.Float64(), 2), 2)
			w.bounds.Warm = 6 * w.rng.IntN(2)
			w.run(time.Duration(w.rng.IntN(40)) * time.Minute) // carryOut checks
		}
	})
}

func TestShortPeaksDoNotSplit(t *testing.T) {
	w := newWorld(t, 1, 4)
	for range 20 {
		w.load(2000, 12, 0.1)
		if w.hottest() < 1 {
			t.Fatalf("no peak: %v", w)
		}
		w.run(20 * time.Second)
		w.rest()
		w.run(time.Minute)
	}
	if w.splits != 0 {
		t.Errorf("peaks of 20 s split shards: %v", w)
	}
}

func TestMostShards(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.params.MaxShards = 6
	w.load(2000, 20, 0.1)
	w.run(10 * time.Minute)
	if len(w.shards) != 6 || len(w.holds) == 0 || !strings.Contains(w.holds[0].Reason, "as many shards as on-demand scaling makes: 6") {
		t.Errorf("%v: want 6 shards and a reason: %v", w, w.holds)
	}
}

func TestWarmThroughput(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.bounds.Warm = 11
	w.run(4 * w.params.Every)
	if len(w.shards) != 11 {
		t.Errorf("warm throughput of 11 MiB/s: %v", w)
	}
	if w.run(2*time.Hour) != 0 {
		t.Errorf("it does not keep what is warm: %v", w)
	}
	w.bounds.Warm = 0
	w.run(2 * time.Hour)
	if len(w.shards) != w.bounds.Least {
		t.Errorf("no longer warm: %v", w)
	}
}

// TestBoundsAreThoseOfTheStream: shards of other nodes count, and are left alone.
func TestBoundsAreThoseOfTheStream(t *testing.T) {
	var p scaler.Params
	p.Defaults()
	p.MaxShards = 5
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	hot := scaler.Flow{Bytes: leat.ShardBytesIn}
	var shards []scaler.Shard
	for i, r := range leat.SplitEvenly(4) {
		shards = append(shards, scaler.Shard{
			Ordinal: uint64(i), Range: r, Short: hot, Long: hot, Foreign: i%2 == 0, Balance: broker.Balance{At: r.Middle(), Below: 0.5},
		})
	}
	var w scaler.Watch
	w.Look(now, p, shards)
	if plan := w.Decide(now, p, scaler.Bounds{Warm: 8}, shards); len(plan.Decisions) != 1 || shards[plan.Decisions[0].Step.Shard].Foreign {
		t.Errorf("for warm throughput %+v: want one split of its own, since 5 shards are the most", plan)
	}
	now = now.Add(p.HotFor)
	w.Look(now, p, shards)
	plan := w.Decide(now, p, scaler.Bounds{}, shards)
	if len(plan.Decisions) != 1 || shards[plan.Decisions[0].Step.Shard].Foreign || len(plan.Holds) != 1 || shards[plan.Holds[0].Shard].Foreign {
		t.Errorf("%+v: want one split and one hold, both of its own", plan)
	}
}

func TestDecideWaitsAfterActing(t *testing.T) {
	var p scaler.Params
	p.Defaults()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	halves := leat.SplitEvenly(2)
	hot := scaler.Flow{Bytes: leat.ShardBytesIn}
	shards := []scaler.Shard{
		{Ordinal: 0, Range: halves[0], Short: hot, Long: hot, Balance: broker.Balance{At: halves[0].Middle(), Below: 0.5}},
		{Ordinal: 1, Range: halves[1], Balance: broker.Balance{At: halves[1].Middle(), Below: 0.5}},
	}
	var w scaler.Watch
	w.Look(now, p, shards)
	if plan := w.Decide(now, p, scaler.Bounds{}, shards); len(plan.Decisions) != 0 {
		t.Errorf("at first sight: %+v", plan)
	}
	w.Acted(now)
	now = now.Add(p.HotFor)
	p.Cooldown = p.HotFor + time.Second
	w.Look(now, p, shards)
	if plan := w.Decide(now, p, scaler.Bounds{}, shards); len(plan.Decisions) != 0 {
		t.Errorf("within the cool-down: %+v", plan)
	}
	now = now.Add(time.Second)
	w.Look(now, p, shards)
	plan := w.Decide(now, p, scaler.Bounds{}, shards)
	if len(plan.Decisions) != 1 || plan.Decisions[0].Step != catalog.Split(0, halves[0].Middle()) {
		t.Errorf("a shard that was hot for %v: %+v", p.Cooldown, plan)
	}
	if want := "writes were hot for 31s, now 100% of what a shard takes (1.00 MiB/s, 0 records/s); cut so that 50% of them lie below"; plan.Decisions[0].Reason != want {
		t.Errorf("reason: %s\nwant:   %s", plan.Decisions[0].Reason, want)
	}
}

// TestReasonOfClosingIn: a cut that leaves all load on one side says what it is good for.
func TestReasonOfClosingIn(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.keys = []loadKey{{at: 1 << 62, share: 2}}
	w.sortKeys()
	var reason string
	shards := w.look()
	for range 10 {
		w.now = w.now.Add(w.params.Every)
		w.watch.Look(w.now, w.params, shards)
		for _, d := range w.watch.Decide(w.now, w.params, w.bounds, shards).Decisions {
			reason = d.Reason
		}
	}
	if !strings.HasSuffix(reason, "nearly all of them lie close together, so it is cut to close in on them") {
		t.Errorf("reason: %s", reason)
	}
}

func TestParamsAreChecked(t *testing.T) {
	var p scaler.Params
	p.Defaults()
	if err := p.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, spoil := range map[string]func(*scaler.Params){
		"cold above what is split":              func(p *scaler.Params) { p.Cold = 0.7 },
		"no time":                               func(p *scaler.Params) { p.Every = -1 },
		"no shards":                             func(p *scaler.Params) { p.MaxShards = -1 },
		"narrower than a hash key's upper half": func(p *scaler.Params) { p.NarrowBits = 64 },
	} {
		bad := p
		spoil(&bad)
		if bad.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
