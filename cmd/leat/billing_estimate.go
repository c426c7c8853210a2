// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// billingEstimateCmd is `leat billing estimate`.
type billingEstimateCmd struct {
	Connection       connection    `embed:""`
	Book             string        `help:"A price book that comes with Leat, such as aws-kinesis-ondemand; the server's own when it is left out." placeholder:"NAME"`
	OnDemand         bool          `help:"In on-demand mode."`
	Shards           int32         `help:"Open shards." default:"1"`
	RecordsPerSecond int64         `name:"records-per-second" help:"Records put in a second." default:"0"`
	RecordBytes      int64         `name:"record-bytes" help:"Their size, with their partition keys." default:"1024"`
	Retention        time.Duration `help:"How long records are kept." default:"24h"`
	Readers          int32         `help:"Applications that read everything with GetRecords." default:"0"`
	Consumers        int32         `help:"Consumers that everything is pushed to." default:"0"`
}

// Run shows what a stream would cost.
func (cmd *billingEstimateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	mode := leatv1.StreamMode_STREAM_MODE_PROVISIONED
	if cmd.OnDemand {
		mode = leatv1.StreamMode_STREAM_MODE_ON_DEMAND
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.EstimateCost(ctx, &leatv1.EstimateCostRequest{
			PriceBook: cmd.Book, Mode: mode, ShardCount: cmd.Shards, RecordsPerSecond: cmd.RecordsPerSecond, RecordBytes: cmd.RecordBytes,
			RetentionHours: int32(cmd.Retention / time.Hour), Readers: cmd.Readers, Consumers: cmd.Consumers,
		})
		if err != nil {
			return err
		}
		return printInvoice(t, c.Output, res.GetEstimate())
	})
}

// billingIdleCmd is `leat billing idle`.
type billingIdleCmd struct {
	Connection connection `embed:""`
}

// Run lists what costs and is not used.
func (cmd *billingIdleCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.FindSavings(ctx, &leatv1.FindSavingsRequest{Account: c.Account})
		if err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output, "WHAT", "STREAM", "CONSUMER", "A MONTH, "+res.GetCurrency(), "WHY")
		for _, s := range res.GetSavings() {
			v := map[string]any{
				"kind": s.GetKind(), "stream": s.GetStreamName(), "stream_id": s.GetStreamId(), "consumer": s.GetConsumerName(), "reason": s.GetReason(),
				"shards": s.GetShardCount(), "shards_needed": s.GetShardsNeeded(), "monthly_amount": s.GetMonthlyAmount(), "currency": res.GetCurrency(),
			}
			if err := p.Row(v, s.GetKind(), s.GetStreamName(), s.GetConsumerName(), s.GetMonthlyAmount(), s.GetReason()); err != nil {
				return err
			}
		}
		if p.empty() && c.Output != formatJSON {
			fmt.Fprintf(t.err, "nothing found from %s to %s\n", local(res.GetStartTime()), local(res.GetEndTime()))
		}
		return p.Flush()
	})
}
