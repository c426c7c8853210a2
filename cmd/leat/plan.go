// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/leatstream/leat/internal/plan"
)

// planCmd is `leat plan`.
type planCmd struct {
	In          float64       `name:"mib-per-second" required:"" help:"What producers send in the busiest hour, MiB/s of data and keys." placeholder:"N"`
	RecordBytes int           `name:"record-bytes" default:"1024" help:"Mean size of a record." placeholder:"N"`
	Shards      int           `default:"0" help:"Number of shards; 0 for as many as the traffic needs." placeholder:"N"`
	Consumers   int           `default:"1" help:"How many consumers read everything." placeholder:"N"`
	FanOut      bool          `help:"They are pushed to (enhanced fan-out)."`
	Retention   time.Duration `default:"24h" help:"How long records are kept: 24h to 8760h." placeholder:"TIME"`
	Profile     string        `default:"balanced" enum:"balanced,cost,latency" help:"As of leat serve: how long records wait for others before a PUT, and so how many PUTs there are."`
	Compression float64       `default:"1" help:"How many times smaller your records are when compressed." placeholder:"N"`
	Output      string        `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat plan --help`.
func (planCmd) Help() string {
	return "Estimates nodes, database, requests and cost of a month for some traffic, beside Kinesis and Kafka. It is arithmetic on public prices of AWS in us-east-1 as they were known in " + plan.PricesOf + " and on docs/performance.md, not a quote: the traffic is taken to be that of the busiest hour all month long."
}

// Run plans.
func (c *planCmd) Run(t *terminal) error {
	traffic := plan.Traffic{
		In: c.In, RecordBytes: c.RecordBytes, Shards: c.Shards, Consumers: c.Consumers, FanOut: c.FanOut,
		Retention: c.Retention, Profile: c.Profile, Compression: c.Compression,
	}
	if err := traffic.Validate(); err != nil {
		return err
	}
	p := plan.Make(traffic)
	if c.Output == formatJSON {
		return newEncoder(t.out).Encode(map[string]any{
			"shards": p.Shards, "nodes": p.Nodes, "stored_gib": p.StoredGiB, "puts_per_second": p.PutsPerSecond, "gets_per_second": p.GetsPerSecond,
			"database": p.Database, "database_gib": p.DatabaseGiB, "statements_per_second": p.Statements, "prices_of": plan.PricesOf,
			"leat": p.Leat, "kinesis_provisioned": p.Kinesis, "kinesis_on_demand": p.OnDemand, "kafka": p.Kafka,
		})
	}
	fmt.Fprintf(t.out, `%s share %s; %.1f GiB in the bucket, %.0f PUTs and %.1f GETs a second
PostgreSQL: %s, some %.1f GiB, %.0f small statements a second
records wait up to %s for others and then for one PUT
`, plural(p.Nodes, "node"), plural(p.Shards, "shard"), p.StoredGiB, p.PutsPerSecond, p.GetsPerSecond,
		p.Database, p.DatabaseGiB, p.Statements, plan.Gathering[c.Profile])
	printBill(t.out, "Leat on EC2, RDS and S3", p.Leat)
	printBill(t.out, "Kinesis, provisioned", p.Kinesis)
	printBill(t.out, "Kinesis, on demand", p.OnDemand)
	printBill(t.out, "Kafka (MSK, three copies)", p.Kafka)
	fmt.Fprintf(t.out, "\nUSD a month by prices of us-east-1 as known in %s, without discounts and taxes: an estimate, see leat plan --help.\n", plan.PricesOf)
	return nil
}

func printBill(w io.Writer, who string, bill []plan.Line) {
	fmt.Fprintf(w, "\n%-52s %14s USD\n", who, fmt.Sprintf("%.2f", plan.Total(bill)))
	for _, l := range bill {
		fmt.Fprintf(w, "  %-34s %14s %-20s %9.2f\n", l.What, fmt.Sprintf("%.1f", l.N), l.Unit, l.USD)
	}
}
