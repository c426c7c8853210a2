// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/plan"
)

var update = flag.Bool("update", false, "write testdata")

func small() plan.Traffic {
	return plan.Traffic{In: 1, RecordBytes: 1024, Consumers: 2, Retention: 24 * time.Hour, Profile: "balanced", Compression: 1}
}

func TestGolden(t *testing.T) {
	for name, change := range map[string]func(*plan.Traffic){
		"small": func(*plan.Traffic) {},
		"week": func(t *plan.Traffic) {
			t.In, t.Retention, t.Profile, t.Compression = 20, 7*24*time.Hour, "cost", 3
		},
		"large": func(t *plan.Traffic) {
			t.In, t.RecordBytes, t.Shards, t.Consumers, t.FanOut, t.Retention, t.Profile = 400, 5000, 2000, 5, true, 30*24*time.Hour, "latency"
		},
	} {
		traffic := small()
		change(&traffic)
		if err := traffic.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(plan.Make(traffic), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != string(got)+"\n" {
			t.Errorf("%s: %v: got %s", name, err, got)
		}
	}
}

// By hand: one stream of 1 MiB/s in records of 1 KiB, read twice, kept for a day, is 2 shards of Kinesis (1,024 records a
// second are more than one takes), 2,691 million payload units, and three nodes of Leat that write ten segments a second each.
func TestByHand(t *testing.T) {
	p := plan.Make(small())
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > want*0.001 {
			t.Errorf("%s: %g, want %g", what, got, want)
		}
	}
	near("Kinesis", plan.Total(p.Kinesis), 2*730*0.015+1024*730*3600/1e6*0.014)
	near("on demand", plan.Total(p.OnDemand), 730*0.04+730*3600/1024.0*0.08+2*730*3600/1024.0*0.04)
	near("nodes", float64(p.Nodes), 3)
	near("PUTs", p.PutsPerSecond, 3*(10+2/60.0))
	near("stored", p.StoredGiB, 24*3600/1024.0)
}

// More of anything never costs less.
func TestMoreIsNotCheaper(t *testing.T) {
	before := plan.Make(small())
	for name, change := range map[string]func(*plan.Traffic){
		"traffic": func(t *plan.Traffic) { t.In *= 10 }, "consumers": func(t *plan.Traffic) { t.Consumers *= 4 },
		"retention": func(t *plan.Traffic) { t.Retention *= 20 }, "shards": func(t *plan.Traffic) { t.Shards = 5000 },
		"latency": func(t *plan.Traffic) { t.Profile = "latency" },
	} {
		traffic := small()
		change(&traffic)
		after := plan.Make(traffic)
		for i, pair := range [][2][]plan.Line{{before.Leat, after.Leat}, {before.Kinesis, after.Kinesis}, {before.OnDemand, after.OnDemand}, {before.Kafka, after.Kafka}} {
			if plan.Total(pair[1]) < plan.Total(pair[0]) {
				t.Errorf("more %s: bill %d falls from %.2f to %.2f", name, i, plan.Total(pair[0]), plan.Total(pair[1]))
			}
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for field, change := range map[string]func(*plan.Traffic){
		"mib-per-second": func(t *plan.Traffic) { t.In = 0 }, "record-bytes": func(t *plan.Traffic) { t.RecordBytes = 0 },
		"shards": func(t *plan.Traffic) { t.Shards = -1 }, "consumers": func(t *plan.Traffic) { t.Consumers = -1 },
		"compression": func(t *plan.Traffic) { t.Compression = 0.5 }, "profile": func(t *plan.Traffic) { t.Profile = "fast" },
		"retention": func(t *plan.Traffic) { t.Retention = time.Hour },
	} {
		traffic := small()
		change(&traffic)
		if err := traffic.Validate(); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// The price books that bills are shown in have the same prices of Kinesis.
func TestPricesAreThoseOfTheBooks(t *testing.T) {
	source, err := os.ReadFile("plan.go")
	if err != nil {
		t.Fatal(err)
	}
	for book, names := range map[string]map[string]string{
		"aws-kinesis-provisioned": {"shard-hours": "kinesisShardHour", "put-payload-units": "kinesisPutUnits", "extended-retention": "kinesisExtendedHour", "long-term-retention": "kinesisLong", "fan-out-consumer-hours": "kinesisFanOutHour", "fan-out-data": "kinesisFanOutGiB"},
		"aws-kinesis-ondemand":    {"stream-hours": "demandHour"},
	} {
		text, err := os.ReadFile("../../billing/rating/presets/" + book + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for item, constant := range names {
			price := regexp.MustCompile(`(?s)name: ` + item + `\n.*?price: ([0-9.]+)`).FindSubmatch(text)
			ours := regexp.MustCompile(constant + `\s+= ([0-9.]+)`).FindSubmatch(source)
			if price == nil || ours == nil {
				t.Errorf("%s of %s was not found", item, book)
				continue
			}
			a, err1 := strconv.ParseFloat(string(price[1]), 64)
			b, err2 := strconv.ParseFloat(string(ours[1]), 64)
			if err1 != nil || err2 != nil || a != b {
				t.Errorf("%s: %s in the book, %s here", item, price[1], ours[1])
			}
		}
	}
}
