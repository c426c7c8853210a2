// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"math"
	"slices"
)

// Point is one sample of a series.
type Point struct{ X, Y float64 }

// Slope is how a series goes on: the Theil-Sen estimator, the median of the slopes between all pairs of points, which some outliers do
// not move. Low and High bound it with 99 % confidence (Sen 1968, by Kendall's statistic): what was
// only noise has a Low of 0 or less.
type Slope struct{ Median, Low, High float64 }

// TheilSen returns the slope of a series. Of fewer than three points it says nothing: its bounds are infinite.
func TheilSen(points []Point) Slope {
	const z99 = 2.576
	n := len(points)
	slopes := make([]float64, 0, n*(n-1)/2)
	for i := range points {
		for j := range i {
			if dx := points[i].X - points[j].X; dx != 0 {
				slopes = append(slopes, (points[i].Y-points[j].Y)/dx)
			}
		}
	}
	if n < 3 || len(slopes) == 0 {
		return Slope{0, math.Inf(-1), math.Inf(1)}
	}
	slices.Sort(slopes)
	pairs, of := float64(len(slopes)), float64(n)
	reach := z99 * math.Sqrt(of*(of-1)*(2*of+5)/18)
	at := func(rank float64) float64 {
		return slopes[min(max(int(math.Round(rank)), 0), len(slopes)-1)]
	}
	s := Slope{Low: at((pairs-reach)/2 - 1), High: at((pairs + reach) / 2)}
	if k := len(slopes) / 2; len(slopes)%2 == 1 {
		s.Median = slopes[k]
	} else {
		s.Median = (slopes[k-1] + slopes[k]) / 2
	}
	return s
}
