// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// functions are what templates call.
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset": a.url, "icon": icon, "bytes": formatBytes, "num": formatCount, "rate": formatRate, "pct": formatShare, "fine": func(v float64) string { return strconv.FormatFloat(v*100, 'f', 3, 64) + " %" },
		"dur": formatSpan, "span": formatSpan, "when": when, "ago": ago, "spark": spark, "lower": strings.ToLower,
		"shardID": leat.ShardID, "short": shortShard, "plural": plural, "words": func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", " ")) },
		"micros": time.UnixMicro, "list": func(v ...any) []any { return v }, "hours": func(d time.Duration) int { return int(d.Hours()) },
		"statusTone": statusTone, "join": strings.Join, "kv": kv, "progress": progressOf, "shortARN": shortARN, "money": formatMoney, "used": formatUsed, "charted": charted, "chartUnit": chartUnit, "meterName": meterName,
		"upper": func(v any) string { return strings.ToUpper(fmt.Sprint(v)) }, "left": func(p spec.Progress) uint64 { return p.Tail - p.Next },
	}
}

// kv makes the argument of a part that takes several.
func kv(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}

// number reads what templates hand over.
func number(v any) float64 {
	switch n := v.(type) {
	case float64:
		return n
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case uint64:
		return float64(n)
	case time.Duration:
		return n.Seconds()
	}
	return math.NaN()
}

// formatBytes writes bytes in units of 1,024.
func formatBytes(v any) string {
	n := number(v)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if n < 1024 {
			return digits3(n, unit == "B") + " " + unit
		}
		n /= 1024
	}
	return digits3(n, false) + " PiB"
}

// formatRate writes a number a second; "" as the unit is plain counts, "B" bytes.
func formatRate(v any, unit string) string {
	if unit == "B" {
		return formatBytes(v) + "/s"
	}
	n := number(v)
	if n > 0 && n < 10 {
		return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + "/s"
	}
	return formatCount(n) + "/s"
}

func digits3(n float64, whole bool) string {
	switch {
	case n == 0 || whole || n >= 100:
		return strconv.FormatFloat(math.Round(n), 'f', 0, 64)
	case n >= 10:
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return strconv.FormatFloat(n, 'f', 2, 64)
}

// formatCount writes a whole number with commas.
func formatCount(v any) string {
	s := strconv.FormatFloat(math.Round(number(v)), 'f', 0, 64)
	minus := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	if minus {
		return "-" + s
	}
	return s
}

// formatShare writes 0 to 1 as a percentage.
func formatShare(v any) string {
	n := number(v) * 100
	if n > 0 && n < 10 {
		return strconv.FormatFloat(n, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " %"
}

// formatSpan writes a duration in its largest one or two units.
func formatSpan(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + formatSpan(-d)
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return two(int(d/time.Minute), "min", int(d%time.Minute/time.Second), "s")
	case d < 48*time.Hour:
		return two(int(d/time.Hour), "h", int(d%time.Hour/time.Minute), "min")
	}
	const day = 24 * time.Hour
	return two(int(d/day), "d", int(d%day/time.Hour), "h")
}

func two(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// when is a time in UTC that script can show as local time.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `">` + t.Format("2006-01-02 15:04:05") + `<span class="zone"> UTC</span></time>`) //nolint:gosec // of digits and marks alone
}

// ago is how long before now a time is.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "–"
	case d < time.Second:
		return "just now"
	default:
		s, _, _ := strings.Cut(formatSpan(d), ".")
		p := strings.Fields(s)
		if len(p) == 1 {
			p = append(p, "s")
		}
		return p[0] + " " + p[1] + " ago"
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return formatCount(n) + " " + many
}

// shortShard is a shard's id without its zeros; of a number or of where one is.
func shortShard(ordinal any) string {
	if p, ok := ordinal.(*uint64); ok {
		ordinal = *p
	}
	return fmt.Sprintf("shard %d", ordinal)
}

// statusTone chooses the colour of a state.
func statusTone(s any) string {
	switch fmt.Sprint(s) {
	case "ACTIVE", "LIVE", "OPEN", "true":
		return "good"
	case "CREATING", "UPDATING", "DRAINING", "PAUSED", "DRAFT":
		return "busy"
	case "DELETING", "FENCING", "WAITING":
		return "bad"
	}
	return "calm"
}

// spark is a line of numbers as a picture, with a text for those who do not see it.
func spark(values []float64, label string) template.HTML {
	const width, height, pad = 120.0, 28.0, 2.0
	top := 0.0
	for _, v := range values {
		top = math.Max(top, v)
	}
	var line strings.Builder
	for i, v := range values {
		x := float64(i) * width / float64(max(len(values)-1, 1))
		y := height - pad
		if top > 0 {
			y -= v / top * (height - 2*pad)
		}
		fmt.Fprintf(&line, "%.1f,%.1f ", x, y)
	}
	class := "spark"
	if top == 0 {
		class = "spark flat"
	}
	points := strings.TrimSpace(line.String())
	return template.HTML(fmt.Sprintf(`<svg class="%s" viewBox="0 0 120 28" preserveAspectRatio="none" role="img" aria-label="%s"><polygon points="0,%g %s %g,%g"/><polyline points="%s"/></svg>`, //nolint:gosec // the label is escaped, the rest are numbers
		class, template.HTMLEscapeString(label), height, points, width, height, points))
}
