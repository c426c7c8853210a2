// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 20, 15, 0, 0, 0, time.FixedZone("here", 3600))
	for text, want := range map[string]string{
		"10m":                       "2026-11-20T13:50:00Z",
		"-1h30m":                    "2026-11-20T12:30:00Z",
		"2026-11-20T14:00:00Z":      "2026-11-20T14:00:00Z",
		"2026-11-20T14:00:00.5Z":    "2026-11-20T14:00:00.5Z",
		"2026-11-20T14:00:00+02:00": "2026-11-20T12:00:00Z",
		"2026-11-20 14:00:30":       "2026-11-20T13:00:30Z",
		"2026-11-20 14:00":          "2026-11-20T13:00:00Z",
		"2026-11-20":                "2026-11-19T23:00:00Z",
		"1700000000":                "2023-11-14T22:13:20Z",
		"1700000000.25":             "2023-11-14T22:13:20.25Z",
	} {
		got, err := parseTime(text, now)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %s, %v, want %s", text, got.UTC().Format(time.RFC3339Nano), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "--1h", "2026-13-01", "NaN", "-5"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(1234567): "1,234,567",
		size(0): "0 B", size(1023): "1023 B", size(1024): "1.0 KiB", size(10 << 20): "10.0 MiB",
		span(90 * time.Second): "1m30s", span(1234 * time.Millisecond): "1.23s", span(1234567): "1.23ms", span(999): "1µs",
		hours(24 * time.Hour): "24h", hours(48 * time.Hour): "48h (2 days)", hours(25 * time.Hour): "25h",
		plural(1, "shard"): "1 shard", plural(2000, "shard"): "2,000 shards",
		figure(0.1234, "ms"): "0.123 ms", figure(0, "ms"): "0.000 ms", figure(12.04, "MB/s"): "12 MB/s", figure(123456.7, "puts/s"): "123,456 puts/s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	p := newPrinter(&b, "table", "NAME", "SHARDS")
	for _, row := range [][]string{{"orders", "4"}, {"a\tb\nc", ""}, {"\x1b[2J", "1"}} {
		if err := p.Row(nil, row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "NAME       SHARDS\norders     4\na b c      -\n\"\\x1b[2J\"  1\n"; b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	p = newPrinter(&b, formatJSON, "NAME")
	for range 2 {
		if err := p.Row(map[string]string{"name": "<a&b>"}, "not shown"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "{\"name\":\"<a&b>\"}\n{\"name\":\"<a&b>\"}\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestRecordPrinter(t *testing.T) {
	rec := &client.ReadRecord{
		ShardID: "shardId-000000000001", SequenceNumber: strings.Repeat("4", 56), PartitionKey: "k",
		Data: []byte("text \xff"), Arrival: time.Date(2026, 11, 20, 14, 0, 0, 123456000, time.UTC),
	}
	text := *rec
	text.Data = []byte("plain")
	empty := *rec
	empty.Data = nil
	printed := func(format string, verbose bool, recs ...*client.ReadRecord) string {
		var b bytes.Buffer
		p := newRecordPrinter(&b, format, verbose)
		for _, r := range recs {
			if err := p.Print(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := printed("table", false, rec, &text, &empty); got != "text \xff\nplain\n\n" {
		t.Errorf("data changed on its way: %q", got)
	}
	if got := printed("table", true, rec, &text); !strings.Contains(got, "SEQUENCE NUMBER") || !strings.Contains(got, `"text \xff"`+"\n") || !strings.HasSuffix(got, "k                 plain\n") {
		t.Errorf("got %s", got)
	}
	odd := text
	odd.PartitionKey = "k\x1b[2J\n"
	if got := printed("table", true, &odd); !strings.HasSuffix(got, `"k\x1b[2J\n"`+"      plain\n") {
		t.Errorf("got %q", got)
	}
	head := `{"shard_id":"shardId-000000000001","sequence_number":"` + rec.SequenceNumber + `","partition_key":"k","approximate_arrival":"2026-11-20T14:00:00.123456Z",`
	want := head + `"data":"dGV4dCD/"}` + "\n" + head + `"data":"cGxhaW4=","text":"plain"}` + "\n" + head + `"data":"","text":""}` + "\n"
	if got := printed(formatJSON, false, rec, &text, &empty); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	if median(nil) != 0 || median([]float64{3, 1, 2}) != 2 || median([]float64{2, 1}) != 2 {
		t.Error("the middle is not in the middle")
	}
}
