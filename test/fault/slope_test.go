// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What is flat is not taken for a leak, however it jumps about; what leaks is found in the noise.
func TestTheilSen(t *testing.T) {
	series := func(seed uint64, slope, noise float64) (points []Point) {
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range 60 {
			x := float64(i) * 10
			y := 100 + slope*x + noise*r.NormFloat64()
			if i%17 == 5 {
				y += 50 * noise // a burst
			}
			points = append(points, Point{x, y})
		}
		return points
	}
	missed, false99 := 0, 0
	const runs = 300
	for seed := range uint64(runs) {
		if s := TheilSen(series(seed, 0, 5)); s.Low > 0 {
			false99++
		}
		if s := TheilSen(series(seed, 0.05, 5)); s.Low <= 0 || s.Median < 0.03 || s.Median > 0.07 { // three a minute
			missed++
		}
	}
	if false99 > runs*3/100 || missed > runs/100 {
		t.Errorf("of %d series %d flat ones were taken for leaks, %d leaks were missed", runs, false99, missed)
	}
	if s := TheilSen([]Point{{0, 1}, {10, 2}, {20, 3}, {30, 4}, {40, 5}, {50, 6}, {60, 7}, {70, 8}}); math.Abs(s.Median-0.1) > 1e-12 || math.Abs(s.Low-0.1) > 1e-12 {
		t.Errorf("a straight line has the slope %+v", s)
	}
	if s := TheilSen([]Point{{1, 1}, {1, 2}}); !math.IsInf(s.High, 1) {
		t.Errorf("two points say %+v", s)
	}
}
