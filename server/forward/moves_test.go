// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// attempt is one put of a producer, and its outcome.
type attempt struct {
	shard  leat.ShardKey
	name   string
	offset uint64
	err    error
}

// Producers at every node, while shards move and connections are cut: every ack is one place that has that record, nothing
// has two places, what was certainly not executed is nowhere, and a producer's acked records stand in their order.
func TestAppendUnderMovesAndCuts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const shards, producers, calls, most = 4, 6, 50, 1000
	r := newRig(t, 3, within)
	for i := range uint64(shards) {
		r.open(shard(i), r.nodes[i%3])
	}
	ctx, stop := context.WithCancel(t.Context())
	var chaos sync.WaitGroup
	chaos.Go(func() { r.chaos(ctx, rand.New(rand.NewPCG(seed, 0)), shards) })
	made := make([][]attempt, producers)
	var doubtful atomic.Int64
	for from := 0; from < most && doubtful.Load() == 0; from += calls { // until a connection was cut at the right moment
		var work sync.WaitGroup
		for w := range producers {
			work.Go(func() {
				some := r.produce(w, rand.New(rand.NewPCG(seed, uint64(1+w+from))), shards, from, calls)
				for _, a := range some {
					if errors.Is(a.err, shardstore.ErrUnknownOutcome) {
						doubtful.Add(1)
					}
				}
				made[w] = append(made[w], some...)
			})
		}
		work.Wait()
	}
	stop()
	chaos.Wait()
	outcomes := map[string]int{}
	for _, of := range made {
		r.check(of, outcomes)
	}
	for i := range uint64(shards) {
		seen := map[string]bool{}
		for _, rec := range r.records(shard(i)) {
			if seen[string(rec.Data)] {
				t.Errorf("%s stands twice in shard %d", rec.Data, i)
			}
			seen[string(rec.Data)] = true
		}
	}
	t.Logf("outcomes %v", outcomes)
	if outcomes["acked"] == 0 || outcomes["unknown"] == 0 {
		t.Errorf("the faults, or the puts, did not happen: %v", outcomes)
	}
}

// chaos moves shards, with a while between two owners, and cuts connections.
func (r *rig) chaos(ctx context.Context, rnd *rand.Rand, shards uint64) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if i%4 == 0 {
			r.nodes[rnd.IntN(3)].road.cut()
			continue
		}
		k := shard(rnd.Uint64N(shards))
		id, _, _, _ := r.owners.Owner(k)
		for _, n := range r.nodes {
			if n.session.Load().id == id {
				r.release(k, n)
			}
		}
		if rnd.IntN(2) == 0 {
			<-tick.C
		}
		r.open(k, r.nodes[rnd.IntN(3)])
	}
}

// produce makes calls from a number on, one after the other, that put records, each of a name of its own.
func (r *rig) produce(w int, rnd *rand.Rand, shards uint64, from, calls int) (made []attempt) {
	for c := from; c < from+calls; c++ {
		puts := make([]shardstore.Put, 1+rnd.IntN(8))
		for i := range puts {
			puts[i] = put(shard(rnd.Uint64N(shards)), "k", fmt.Sprintf("%d-%d", w, c*10+i))
		}
		err := r.nodes[rnd.IntN(3)].router.Append(r.t.Context(), puts)
		for i := range puts {
			a := attempt{shard: puts[i].Shard, name: string(puts[i].Record.Data), offset: puts[i].Record.Offset, err: puts[i].Err}
			if err != nil {
				a.err = err
			}
			made = append(made, a)
		}
	}
	return made
}

// check holds a producer's outcomes against what the shards have.
func (r *rig) check(made []attempt, outcomes map[string]int) {
	last := map[leat.ShardKey]int{}
	for _, a := range made {
		records := r.records(a.shard)
		there := -1
		for i := range records {
			if string(records[i].Data) == a.name {
				there = i
			}
		}
		switch {
		case a.err == nil:
			outcomes["acked"]++
			if there < 0 || uint64(there) != a.offset {
				r.t.Errorf("%s was acked at %d and stands at %d", a.name, a.offset, there)
			}
			if there < last[a.shard] {
				r.t.Errorf("%s stands before an earlier record of its producer", a.name)
			}
			last[a.shard] = there
		case errors.Is(a.err, shardstore.ErrUnknownOutcome):
			outcomes["unknown"]++
		case leat.KindOf(a.err) == leat.KindUnavailable:
			outcomes["refused"]++
			if there >= 0 {
				r.t.Errorf("%s was refused and stands at %d", a.name, there)
			}
		default:
			r.t.Errorf("%s ended with %v", a.name, a.err)
		}
	}
}
