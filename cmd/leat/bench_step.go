// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// sample measures one thing for a while and returns figures by name.
type sample func(ctx context.Context, d time.Duration) (map[string]float64, error)

// step is something to measure together with its floors.
type step struct {
	mode, about string
	before      func(ctx context.Context) error // nil for none
	samples     []sample                        // taken in turn, round after round, since the machine's moods change
	results     func(m medians) []result
}

// medians are the middle ones of each figure over the rounds.
type medians map[string]float64

// result is one line of the table.
type result struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	FloorName string  `json:"floor_name,omitempty"`
	Floor     float64 `json:"floor,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"` // value / floor
}

// against makes a result with its ratio.
func against(name string, value float64, unit, floorName string, floor float64) result {
	r := result{Name: name, Value: value, Unit: unit, FloorName: floorName, Floor: floor}
	if floor > 0 {
		r.Ratio = math.Round(value/floor*1000) / 1000
	}
	return r
}

// measure takes every sample once a round.
func (s *step) measure(ctx context.Context, rounds int, d time.Duration) (medians, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return nil, err
		}
	}
	all := map[string][]float64{}
	for range rounds {
		for _, take := range s.samples {
			figures, err := take(ctx, d)
			if err != nil {
				return nil, err
			}
			for name, v := range figures {
				all[name] = append(all[name], v)
			}
		}
	}
	m := medians{}
	for name, values := range all {
		m[name] = median(values)
	}
	return m, nil
}

// median returns the middle value; of an even number the upper one of the two. The values are sorted.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// crowd lets n callers call do over and over for d. It returns how often they did, how long it took, and the latency of
// each call in milliseconds. errEnough has a caller rest and counts in none of these but the time; any other error ends it.
func crowd(ctx context.Context, n int, d time.Duration, do func(ctx context.Context, caller int) error) (calls int, took time.Duration, latencies []float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for caller := range n {
		wg.Go(func() {
			var mine []float64
			for time.Since(began) < d && ctx.Err() == nil {
				t := time.Now()
				err := do(ctx, caller)
				took := time.Since(t)
				if errors.Is(err, errEnough) {
					if rest(ctx) == nil {
						continue
					}
					break
				}
				if err != nil {
					cancel(err)
					break
				}
				mine = append(mine, milliseconds(took))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, mine...)
		})
	}
	wg.Wait()
	return len(latencies), time.Since(began), latencies, context.Cause(ctx)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// mbs is a rate in MB/s, millions of bytes.
func mbs(bytes float64, took time.Duration) float64 { return bytes / took.Seconds() / 1e6 }
