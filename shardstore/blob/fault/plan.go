// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
)

// Always is a Hook that gives f to every call of the named operations, or to
// all calls if none is named: Always(Fault{Kind: Refuse, Err: ErrBucketGone}) is
// a bucket that vanished, Always(…ErrReadOnly, Create, Delete) a read-only one.
func Always(f Fault, ops ...Op) Hook {
	return func(op Op, _ string) Fault {
		if concerns(ops, op) {
			return f
		}
		return Fault{}
	}
}

func concerns(ops []Op, op Op) bool { return len(ops) == 0 || slices.Contains(ops, op) }

// Script gives faults to the calls of one operation in their order of arrival,
// then none. Other operations are left alone.
func Script(op Op, faults ...Fault) Hook {
	var mu sync.Mutex
	return func(o Op, _ string) Fault {
		mu.Lock()
		defer mu.Unlock()
		if o != op || len(faults) == 0 {
			return Fault{}
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
}

// Chain asks hooks in order and takes the first fault that does anything.
func Chain(hooks ...Hook) Hook {
	return func(op Op, key string) Fault {
		for _, hook := range hooks {
			if f := hook(op, key); f.Kind != None || f.Wait != nil || f.Hold != nil {
				return f
			}
		}
		return Fault{}
	}
}

// Chance is a fault, the operations that it may befall (all if none) and its
// probability, 0 to 1.
type Chance struct {
	P     float64
	Ops   []Op
	Fault Fault
}

// Seeded is a Hook that rolls for each chance in order; the first that hits is
// the call's fault. The roll for the n-th call of an operation on a key depends
// on seed, operation, key and n alone. A Flip with N = 0 gets a random place.
func Seeded(seed uint64, chances ...Chance) Hook {
	type call struct {
		op  Op
		key string
	}
	var mu sync.Mutex
	seen := make(map[call]uint64)
	return func(op Op, key string) Fault {
		mu.Lock()
		seen[call{op, key}]++
		n := seen[call{op, key}]
		mu.Unlock()
		rng := roll(seed, op, key, n)
		for _, c := range chances {
			if hit := rng.Float64() < c.P; !hit || !concerns(c.Ops, op) {
				continue
			}
			f := c.Fault
			if f.N == 0 && f.Kind == Flip {
				f.N = rng.Int64N(1 << 20)
			}
			return f
		}
		return Fault{}
	}
}

func roll(seed uint64, op Op, key string, n uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(op)) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(key))
	return rand.New(rand.NewPCG(seed^h.Sum64(), n))
}

// Chaos are the faults that a correct log has to survive: answers lost, writes
// late or doubled, errors of every sort, reads cut or spoilt. p is the chance of
// each, 0 to about 0.05. Stores that break If-None-Match are not among them: no
// log survives those.
func Chaos(p float64) []Chance {
	writes := []Op{Create, Delete}
	reads := []Op{Read}
	return []Chance{
		{p, writes, Fault{Kind: LoseAnswer, Err: ErrReset}},
		{p, writes, Fault{Kind: LoseAnswer, Err: ErrTimeout}},
		{p, writes, Fault{Kind: Late, Err: ErrTimeout}},
		{p, writes, Fault{Kind: Twice}},
		{p, writes, Fault{Kind: DuplicateLate}},
		{p, nil, Fault{Kind: Refuse, Err: ErrReset}},
		{p, nil, Fault{Kind: Refuse, Err: Status(409)}},
		{p, nil, Fault{Kind: Refuse, Err: Status(429)}},
		{p, nil, Fault{Kind: Refuse, Err: Status(503)}},
		{p, reads, Fault{Kind: CutShort}},
		{p, reads, Fault{Kind: Truncate}},
		{p, reads, Fault{Kind: Flip}},
	}
}
