// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package datapoints

import "encoding/json"

// Stat is what was measured of one metric in some time. The zero Stat is of nothing.
type Stat struct {
	Count    float64 // how often
	Sum      float64
	Min, Max float64
}

// Add adds a measurement.
func (s *Stat) Add(v float64) { s.Merge(Stat{1, v, v, v}) }

// Merge adds those of another one.
func (s *Stat) Merge(o Stat) {
	switch {
	case o.Count == 0:
	case s.Count == 0:
		*s = o
	default:
		s.Count += o.Count
		s.Sum += o.Sum
		s.Min = min(s.Min, o.Min)
		s.Max = max(s.Max, o.Max)
	}
}

// Mean is the mean of what was measured; 0 of nothing.
func (s Stat) Mean() float64 {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / s.Count
}

// stats are those of the metrics that a series has in a minute: a dozen.
type stats []entry

type entry struct {
	metric Metric
	Stat
}

// add adds what was measured of a metric.
func (s *stats) add(metric Metric, what Stat) {
	for i := range *s {
		if e := &(*s)[i]; e.metric == metric {
			e.Merge(what)
			return
		}
	}
	*s = append(*s, entry{metric, what})
}

func (s *stats) merge(o stats) {
	for i := range o {
		s.add(o[i].metric, o[i].Stat)
	}
}

// of returns those of one metric.
func (s stats) of(metric Metric) Stat {
	for i := range s {
		if s[i].metric == metric {
			return s[i].Stat
		}
	}
	return Stat{}
}

// text is how they stand in a row, with a bit for each metric that there is.
func (s stats) text() (bits int64, text string, err error) {
	there := make(map[Metric][4]float64, len(s))
	for i := range s {
		e := &s[i]
		bits |= 1 << e.metric
		there[e.metric] = [4]float64{e.Count, e.Sum, e.Min, e.Max}
	}
	b, err := json.Marshal(there)
	return bits, string(b), err
}

// readStats reads what stands in a row.
func readStats(text string) (s stats, err error) {
	var there map[Metric][4]float64
	if err := json.Unmarshal([]byte(text), &there); err != nil {
		return nil, err
	}
	for metric, n := range there {
		s.add(metric, Stat{n[0], n[1], n[2], n[3]})
	}
	return s, nil
}
