// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// The maps of a stream's shards are drawn here, as pictures of a few shapes each: shards of one heat are one shape, so that
// thousands of them are as quick as ten. Where shards are wide enough to be pointed at each is a link of its own.

// heats is how many steps of heat there are; 0 is no load.
const heats = 9

// linked is how many shards are drawn as links of their own.
const linked = 256

// heat turns a load into a step: cool ones by the share of the hottest shard, warm ones from half of what a shard takes on.
func heat(load, hottest, limit float64) int {
	const cool, warm = 3, heats - 4
	switch share := load / limit; {
	case load <= 0 || hottest <= 0:
		return 0
	case share < 0.5:
		return 1 + int(math.Min(load/hottest, 0.9999)*cool)
	default:
		return 1 + cool + int(math.Min((share-0.5)*2, 0.9999)*warm)
	}
}

// part is where a hash key lies in the space, 0 to 1.
func part(k leat.HashKey) float64 {
	return float64(k.Hi)/math.Exp2(64) + float64(k.Lo)/math.Exp2(128)
}

// width is how much of the space a range takes.
func width(r leat.HashKeyRange) float64 {
	return math.Max(part(r.End)-part(r.Start), 0)
}

// measure is what heat is of.
type measure struct {
	of    func(broker.Rate) float64
	unit  string
	limit float64 // what a shard takes or gives a second as in AWS
}

var measures = map[string]measure{
	"bytes":   {func(r broker.Rate) float64 { return r.BytesIn }, "B", leat.ShardBytesIn},
	"records": {func(r broker.Rate) float64 { return r.RecordsIn }, "", leat.ShardRecordsIn},
	"read":    {func(r broker.Rate) float64 { return r.BytesOut }, "B", leat.ShardBytesOut},
}

// shapes gathers rectangles by heat.
type shapes [heats]strings.Builder

func (s *shapes) add(heat int, x, y, w, h float64) {
	fmt.Fprintf(&s[heat], "M%.2f %.2fh%.2fv%.2fh%.2fz", x, y, w, h, -w)
}

func (s *shapes) write(to *strings.Builder) {
	for i := range s {
		if s[i].Len() > 0 {
			fmt.Fprintf(to, `<path class="heat%d" d="%s"/>`, i, s[i].String())
		}
	}
}

// role is what a map of n shards is: a picture, or a group of links.
func role(n int) string {
	if n <= linked {
		return "group"
	}
	return "img"
}

// bar draws the open shards side by side by their ranges.
func bar(stream string, open []shardRow, hottest float64, m measure, label string) template.HTML {
	const w, h = 1000.0, 56.0
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="bar-map" viewBox="0 0 %g %g" preserveAspectRatio="none" role="%s" aria-label="%s">`, w, h, role(len(open)), template.HTMLEscapeString(label))
	gap := 0.0
	if len(open) <= linked {
		gap = math.Min(1.5, w/float64(max(len(open), 1))*0.15)
	}
	var all shapes
	for i := range open {
		s := &open[i]
		x, wide := part(s.Range.Start)*w, width(s.Range)*w
		n := heat(m.of(s.Rate), hottest, m.limit)
		if len(open) > linked {
			all.add(n, x, 0, wide, h)
			continue
		}
		fmt.Fprintf(&b, `<a href="%s/shards/%d" tabindex="-1"><rect class="heat%d" x="%.2f" width="%.2f" height="%g"><title>%s: %s</title></rect></a>`,
			streamPath(stream), s.Key.Ordinal, n, x, math.Max(wide-gap, 0.3), h, leat.ShardID(s.Key.Ordinal), formatRate(m.of(s.Rate), m.unit))
	}
	all.write(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // of numbers; the label is escaped, a stream's name has no marks
}

// genealogy draws every shard as the time that it lived, from left to right, and its range, from top to bottom: a split is
// where one becomes two, a merge where two become one.
func genealogy(stream string, all []shardRow, hottest float64, m measure, from, now time.Time) template.HTML {
	const w, h = 1000.0, 320.0
	span := now.Sub(from).Seconds()
	if span <= 0 {
		span = 1
	}
	at := func(t time.Time) float64 { return math.Min(math.Max(t.Sub(from).Seconds()/span, 0), 1) * w }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="genealogy" viewBox="0 0 %g %g" preserveAspectRatio="none" role="%s" aria-label="%s">`, w, h, role(len(all)),
		fmt.Sprintf("The lives of %d shards: time from left to right, hash range from top to bottom", len(all)))
	var open shapes
	var closed strings.Builder
	links := len(all) <= linked
	for i := range all {
		s := &all[i]
		end := now
		n := heat(m.of(s.Rate), hottest, m.limit)
		if !s.Open() {
			end = s.Closed
		}
		x, y, tall := at(s.Created), part(s.Range.Start)*h, width(s.Range)*h
		wide := math.Max(at(end)-x, 0.8)
		if !links {
			if s.Open() {
				open.add(n, x, y, wide, tall)
			} else {
				fmt.Fprintf(&closed, "M%.2f %.2fh%.2fv%.2fh%.2fz", x, y, wide, tall, -wide)
			}
			continue
		}
		class := fmt.Sprintf("heat%d", n)
		if !s.Open() {
			class = "closed"
		}
		fmt.Fprintf(&b, `<a href="%s/shards/%d" tabindex="-1"><rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"><title>%s, %s</title></rect></a>`,
			streamPath(stream), s.Key.Ordinal, class, x, y, wide, math.Max(tall-math.Min(1, tall*0.2), 0.2), leat.ShardID(s.Key.Ordinal), s.Life())
	}
	if closed.Len() > 0 {
		fmt.Fprintf(&b, `<path class="closed" d="%s"/>`, closed.String())
	}
	open.write(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // as above
}
