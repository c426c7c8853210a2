// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package plan estimates what a cluster needs and costs for some traffic, beside Kinesis and Kafka. It is arithmetic on
// constants that stand here with where they come from; it measures nothing and asks nobody.
package plan

import (
	"math"
	"time"

	"github.com/leatstream/leat"
)

// Traffic is what a cluster shall take and give, at its busiest hour all month long.
type Traffic struct {
	In          float64       // MiB/s of data and keys
	RecordBytes int           // mean
	Shards      int           // 0: as many as the traffic needs with the limits of Kinesis
	Consumers   int           // each reads all
	FanOut      bool          // they are pushed to
	Retention   time.Duration // 24 h to 365 days
	Profile     string        // cost, balanced or latency
	Compression float64       // how many times smaller records are when stored; 1 when they do not shrink
}

// Validate returns everything that is wrong with a field.
func (t *Traffic) Validate() error {
	switch {
	case t.In <= 0 || t.In > 1e5:
		return leat.Invalid("mib-per-second", "%g MiB/s: give more than 0, to 100000", t.In)
	case t.RecordBytes < 1 || t.RecordBytes > leat.MaxRecordBytes:
		return leat.Invalid("record-bytes", "records of %d bytes: give 1 to %d", t.RecordBytes, leat.MaxRecordBytes)
	case t.Shards < 0 || t.Shards > 100_000:
		return leat.Invalid("shards", "%d shards: give up to 100000, or 0", t.Shards)
	case t.Consumers < 0 || t.Consumers > 1000:
		return leat.Invalid("consumers", "%d consumers: give up to 1000", t.Consumers)
	case t.Compression < 1 || t.Compression > 100:
		return leat.Invalid("compression", "compression %g: give 1 to 100", t.Compression)
	case segmentCap[t.Profile] == 0:
		return leat.Invalid("profile", "profile %q: give cost, balanced or latency", t.Profile)
	}
	return leat.ValidateRetention(t.Retention)
}

// PricesOf is when the authors knew the prices below, of us-east-1, on demand, without discounts and taxes. They may have
// changed: look at AWS's own pages before you rely on them.
const PricesOf = "2025"

// Prices in USD, of an hour, a GiB, a GiB-month or a million.
const (
	hours = 730.0 // of a month

	nodeHour  = 0.1008 // EC2 m7i.large: 2 vCPU, 8 GiB
	s3Puts    = 5.0    // a million PUT, LIST
	s3Gets    = 0.4    // a million GET, HEAD
	s3Storage = 0.023
	zoneGiB   = 0.02 // from one zone to another: both ends pay 0.01

	dbSmallHour = 0.130 // RDS db.t4g.medium, two zones
	dbLargeHour = 0.336 // RDS db.m7g.large, two zones
	dbStorage   = 0.23  // gp3, two zones

	kinesisShardHour    = 0.015
	kinesisPutUnits     = 0.014 // a million of 25 KB
	kinesisExtendedHour = 0.020 // of a shard, beyond 24 hours up to 7 days
	kinesisLong         = 0.023 // beyond 7 days
	kinesisFanOutHour   = 0.015 // of a shard and consumer
	kinesisFanOutGiB    = 0.013

	demandIn, demandOut, demandFanOut, demandExtended = 0.08, 0.04, 0.05, 0.10
	demandHour                                        = 0.04 // of a stream

	brokerHour    = 0.204 // MSK kafka.m7g.large
	brokerStorage = 0.10
)

// What a node does. Measured: 96 to 112 MB/s of puts with client, server and MinIO on two shared processors, and reads of
// 840 MB/s from a folder (docs/performance.md). Planned with less than half of the one and a fifth of the other.
const (
	nodeIn     = 40.0  // MiB/s of puts that enter it, hops from other nodes included
	nodeOut    = 160.0 // MiB/s that readers take
	fewest     = 3     // one may go while another one is exchanged
	segmentMiB = 4.0
	packMiB    = 128.0
	packEvery  = 60.0 // seconds
	written    = 2.0  // times that each byte is written after the log: packs, and merges of those
	windowMiB  = 4.0  // of a ranged GET

	extentRows  = 56.0 // of a cold shard after 30 days, at most (TestDays)
	extentBytes = 300.0
	statements  = 15.0 // a second for each node, at rest (docs/scale.md)
)

// A broker of Kafka: an assumption, with room for one of three to be away and for reading.
const (
	brokerIn    = 15.0 // MiB/s of what producers send, replicated to two others
	replication = 3.0
)

// segmentCap is how many segments that are not full a node writes in a second.
var segmentCap = map[string]float64{"cost": 4, "balanced": 10, "latency": 100}

// Gathering is how long records wait for others before they are written.
var Gathering = map[string]time.Duration{"cost": 250 * time.Millisecond, "balanced": 50 * time.Millisecond, "latency": 10 * time.Millisecond}

// Line is one item of a bill.
type Line struct {
	What string  `json:"what"`
	Unit string  `json:"of"`
	N    float64 `json:"quantity"`
	USD  float64 `json:"usd"`
}

// Plan is what a cluster needs, and each bill by month.
type Plan struct {
	Shards        int
	Nodes         int
	StoredGiB     float64 // in the bucket
	PutsPerSecond float64 // of the bucket, all nodes
	GetsPerSecond float64
	Database      string  // class at RDS
	DatabaseGiB   float64 // data, without its own logs
	Statements    float64 // a second

	Leat, Kinesis, OnDemand, Kafka []Line
}

// Total is the sum of a bill.
func Total(bill []Line) (usd float64) {
	for _, l := range bill {
		usd += l.USD
	}
	return usd
}

const mibPerGiB = 1024.0

func ceil(f float64) float64 { return math.Ceil(f - 1e-9) }

// Make plans for some traffic, which is valid.
func Make(t Traffic) (p Plan) {
	records := t.In * (1 << 20) / float64(t.RecordBytes) // a second
	out := t.In * float64(t.Consumers)
	kinesis := max(1, ceil(t.In), ceil(records/1000))
	if !t.FanOut {
		kinesis = max(kinesis, ceil(out/2))
	}
	p.Shards = t.Shards
	if p.Shards == 0 {
		p.Shards = int(max(1, ceil(t.In), ceil(records/1000)))
	}
	kinesis = max(kinesis, float64(t.Shards))

	// Most records enter at a node that does not own their shard, and enter another one.
	p.Nodes = int(max(fewest, ceil(2*t.In/nodeIn)+1, ceil(2*out/nodeOut)+1))
	nodes := float64(p.Nodes)
	perNode := t.In / nodes
	segments := max(min(segmentCap[t.Profile], records/nodes), perNode/segmentMiB)
	packs := max(1/packEvery, perNode/packMiB) * written
	p.PutsPerSecond = nodes * (segments + packs)
	p.GetsPerSecond = t.In * (written - 1) / windowMiB // merges; readers of the tail read from memory
	p.StoredGiB = t.In * t.Retention.Seconds() / mibPerGiB / t.Compression
	p.DatabaseGiB = float64(p.Shards)*extentRows*extentBytes*2/(1<<30) + 1
	p.Statements = statements * nodes
	p.Database = "db.t4g.medium"
	db := dbSmallHour
	if p.Shards > 1000 || p.Nodes > 6 {
		p.Database, db = "db.m7g.large", dbLargeHour
	}

	month := hours * 3600
	in, read := t.In*month/mibPerGiB, out*month/mibPerGiB // GiB
	p.Leat = leatBill(&p, db, in, read, month)
	p.Kinesis = provisioned(&t, kinesis, records, in, read)
	p.OnDemand = onDemand(&t, in, read)
	p.Kafka = kafka(&t, in, read)
	return p
}

func line(what, unit string, n, price float64) Line { return Line{what, unit, n, n * price} }

func leatBill(p *Plan, db, in, read, month float64) []Line {
	nodes := float64(p.Nodes)
	hop := (nodes - 1) / nodes
	const otherZone = 2.0 / 3 // of three zones, without clients that prefer their own
	return []Line{
		line("nodes, m7i.large", "hours", nodes*hours, nodeHour),
		line("PostgreSQL, "+p.Database+" in two zones", "hours", hours, db),
		line("PostgreSQL storage", "GiB-months", max(20, ceil(4*p.DatabaseGiB)), dbStorage),
		line("bucket, PUT", "million", p.PutsPerSecond*month/1e6, s3Puts),
		line("bucket, GET", "million", p.GetsPerSecond*month/1e6, s3Gets),
		line("bucket, storage", "GiB-months", p.StoredGiB, s3Storage),
		line("between zones", "GiB", (in+read)*otherZone*(1+hop), zoneGiB),
	}
}

func provisioned(t *Traffic, shards, records, in, read float64) []Line {
	const unit = 25_000.0
	bill := []Line{
		line("shard hours", "hours", shards*hours, kinesisShardHour),
		line("PUT payload units of 25 KB", "million", records*ceil(float64(t.RecordBytes)/unit)*hours*3600/1e6, kinesisPutUnits),
	}
	if t.Retention > day {
		bill = append(bill, line("retention up to 7 days", "shard hours", shards*hours, kinesisExtendedHour))
	}
	if t.Retention > 7*day {
		bill = append(bill, line("retention beyond 7 days", "GiB-months", beyond(t, 7*day), kinesisLong))
	}
	if t.FanOut && t.Consumers > 0 {
		bill = append(bill, line("fan-out", "consumer-shard hours", float64(t.Consumers)*shards*hours, kinesisFanOutHour),
			line("fan-out, data", "GiB", read, kinesisFanOutGiB))
	}
	return bill
}

const day = 24 * time.Hour

// beyond is how many GiB are stored that are older than something.
func beyond(t *Traffic, age time.Duration) float64 {
	return t.In * max(0, (t.Retention-age).Seconds()) / mibPerGiB
}

func onDemand(t *Traffic, in, read float64) []Line {
	out := demandOut
	if t.FanOut {
		out = demandFanOut
	}
	bill := []Line{
		line("stream hours", "hours", hours, demandHour),
		line("data in, of records rounded up to 1 KB", "GiB", in*max(1, ceil(float64(t.RecordBytes)/1024)*1024/float64(t.RecordBytes)), demandIn),
		line("data out", "GiB", read, out),
	}
	if t.Retention > day {
		bill = append(bill, line("retention up to 7 days", "GiB-months", beyond(t, day)-beyond(t, 7*day), demandExtended))
	}
	if t.Retention > 7*day {
		bill = append(bill, line("retention beyond 7 days", "GiB-months", beyond(t, 7*day), kinesisLong))
	}
	return bill
}

func kafka(t *Traffic, in, read float64) []Line {
	brokers := max(3, ceil(t.In/brokerIn/3)*3) // as many in each zone
	stored := t.In * t.Retention.Seconds() / mibPerGiB / t.Compression * replication
	const otherZone, room = 2.0 / 3, 1.25
	return []Line{
		line("brokers, MSK kafka.m7g.large", "hours", brokers*hours, brokerHour),
		line("disks, three copies and a quarter of room", "GiB-months", stored*room, brokerStorage),
		line("clients in other zones", "GiB", (in+read)*otherZone, zoneGiB),
	}
}
