// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what all rounds measured. Rounds[r][s] is round r of system s.
type report struct {
	Head    []string // what was run, and how
	Systems []string // the first is compared with the others
	Rounds  [][]result
	Floors  []floor
}

// metric is one line of the table.
type metric struct {
	Measurement string
	Unit        string
	Lower       bool // is better
	value       func(run) float64
}

// Units of processor time.
const (
	serverCPU = "server µs/record"
	clientCPU = "client µs/record"
)

var metrics = []metric{
	{mBatch, "records/s", false, run.perSecond},
	{mBatch, "MB/s", false, run.megabytes},
	{mBatch, serverCPU, true, run.server},
	{mBatch, clientCPU, true, run.client},
	{mSingle, "records/s", false, run.perSecond},
	{mSingle, "p50 ms", true, p50},
	{mSingle, "p99 ms", true, p99},
	{mSingles, "records/s", false, run.perSecond},
	{mSingles, "p50 ms", true, p50},
	{mSingles, "p99 ms", true, p99},
	{mSingles, serverCPU, true, run.server},
	{mSingles, clientCPU, true, run.client},
	{mRead, "records/s", false, run.perSecond},
	{mRead, "MB/s", false, run.megabytes},
	{mRead, serverCPU, true, run.server},
	{mRead, clientCPU, true, run.client},
	{mReadAgain, "records/s", false, run.perSecond},
	{mReadAgain, "MB/s", false, run.megabytes},
	{mReadAgain, serverCPU, true, run.server},
	{mReadAgain, clientCPU, true, run.client},
}

func p50(r run) float64 { return float64(r.P50) / float64(time.Millisecond) }
func p99(r run) float64 { return float64(r.P99) / float64(time.Millisecond) }

// values are a metric's values of system s, one a round.
func (r *report) values(m metric, s int) []float64 {
	out := make([]float64, len(r.Rounds))
	for i, round := range r.Rounds {
		out[i] = m.value(round[s].runs[m.Measurement])
	}
	return out
}

// ratios are those of the first system's values to those of system s, one a round: both were measured within seconds.
func (r *report) ratios(m metric, s int) []float64 {
	out := r.values(m, 0)
	for i, v := range r.values(m, s) {
		out[i] /= v
	}
	return out
}

// median of an even number is the mean of the middle two.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// table writes the report for people.
func (r *report) table(w io.Writer) error {
	for _, line := range r.Head {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }
	head := append([]string{"what", "unit"}, r.Systems...)
	for _, peer := range r.Systems[1:] {
		head = append(head, r.Systems[0]+"/"+peer)
	}
	row(head...)
	for _, m := range metrics {
		cells := []string{m.Measurement, m.Unit}
		for s := range r.Systems {
			cells = append(cells, number(median(r.values(m, s))))
		}
		for s := range r.Systems[1:] {
			cells = append(cells, ratio(r.ratios(m, s+1)))
		}
		row(cells...)
	}
	row("floor: append 1 record, fdatasync", "records/s", number(r.floor(func(f floor) float64 { return f.Record.perSecond() })))
	row("floor: append 1 record, fdatasync", "p50 ms", number(r.floor(func(f floor) float64 { return p50(f.Record) })))
	row("floor: append 1 batch, fdatasync", "MB/s", number(r.floor(func(f floor) float64 { return f.Batch.megabytes() })))
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nValues are medians of %d rounds, ratios the medians of the rounds' ratios (with their range); of milliseconds and of microseconds (processor time) less is better.\n", len(r.Rounds))
	for s, name := range r.Systems {
		fmt.Fprintf(w, "Batched puts, %s: %s.\n", name, strings.Join(r.ways(s), "; "))
	}
	return nil
}

// ways are a system's ways to put batches with what each reached, the best first.
func (r *report) ways(s int) []string {
	reached := map[string][]float64{}
	for _, round := range r.Rounds {
		for way, got := range round[s].ways {
			reached[way] = append(reached[way], got.perSecond())
		}
	}
	var names []string
	for way := range reached {
		names = append(names, way)
	}
	slices.SortFunc(names, func(a, b string) int { return int(median(reached[b]) - median(reached[a])) })
	for i, way := range names {
		names[i] = fmt.Sprintf("%s %s/s", way, number(median(reached[way])))
	}
	return names
}

func (r *report) floor(of func(floor) float64) float64 {
	v := make([]float64, len(r.Floors))
	for i, f := range r.Floors {
		v[i] = of(f)
	}
	return median(v)
}

// number has three digits that count, and commas.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatInt(int64(math.Round(v)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ratio(v []float64) string {
	if len(v) < 2 {
		return number(median(v))
	}
	return fmt.Sprintf("%s (%s-%s)", number(median(v)), number(slices.Min(v)), number(slices.Max(v)))
}

// JSON's shape.
type (
	jsonReport struct {
		About   []string    `json:"about"`
		Systems []string    `json:"systems"`
		Metrics []jsonValue `json:"metrics"`
		Floors  []jsonFloor `json:"floors"`
	}
	jsonValue struct {
		What          string               `json:"what"`
		Unit          string               `json:"unit"`
		LowerIsBetter bool                 `json:"lower_is_better,omitempty"`
		Median        map[string]float64   `json:"median"`
		Ratio         map[string]float64   `json:"ratio"` // of the first system to each
		Rounds        map[string][]float64 `json:"rounds"`
	}
	jsonFloor struct {
		RecordsPerSecond float64 `json:"records_per_second"`
		RecordP50Ms      float64 `json:"record_p50_ms"`
		BatchMBPerSecond float64 `json:"batch_mb_per_second"`
	}
)

// json writes the report for programs, as one object.
func (r *report) json(w io.Writer) error {
	out := jsonReport{About: r.Head, Systems: r.Systems}
	for _, m := range metrics {
		v := jsonValue{m.Measurement, m.Unit, m.Lower, map[string]float64{}, map[string]float64{}, map[string][]float64{}}
		for s, name := range r.Systems {
			v.Rounds[name] = r.values(m, s)
			v.Median[name] = median(v.Rounds[name])
			if ratio := median(r.ratios(m, s)); s > 0 && !math.IsNaN(ratio) && !math.IsInf(ratio, 0) { // JSON has neither
				v.Ratio[name] = ratio
			}
		}
		out.Metrics = append(out.Metrics, v)
	}
	for _, f := range r.Floors {
		out.Floors = append(out.Floors, jsonFloor{f.Record.perSecond(), p50(f.Record), f.Batch.megabytes()})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
