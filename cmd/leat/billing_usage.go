// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// billingUsageCmd is `leat billing usage`.
type billingUsageCmd struct {
	Connection connection `embed:""`
	monthFlag  `embed:""`
	StreamID   string `name:"stream-id" help:"Show this stream hour by hour." placeholder:"ID"`
}

// usageView is the JSON form of a row.
type usageView struct {
	Stream   string           `json:"stream"`
	StreamID string           `json:"stream_id"`
	Mode     string           `json:"mode"`
	Hour     string           `json:"hour,omitempty"`
	Used     map[string]int64 `json:"used"`
}

// Run shows usage: in a table a row for each meter, in JSON an object for each stream and mode.
func (cmd *billingUsageCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	from, to, err := cmd.hours()
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Billing.GetUsage(ctx, &leatv1.GetUsageRequest{
			Account: c.Account, StartTime: timestamppb.New(from), EndTime: timestamppb.New(to), StreamId: cmd.StreamID,
		})
		if err != nil {
			return err
		}
		head := []string{"STREAM", "MODE", "HOUR", "METER", "QUANTITY"}
		p := newPrinter(t.out, c.Output, head...)
		for _, r := range res.GetRows() {
			v := usageView{r.GetStreamName(), r.GetStreamId(), short(r.GetMode().String()), rfc3339(r.GetHour()), r.GetQuantities()}
			if c.Output == formatJSON {
				if err := p.Row(v); err != nil {
					return err
				}
				continue
			}
			meters := make([]string, 0, len(v.Used))
			for m := range v.Used {
				meters = append(meters, m)
			}
			slices.Sort(meters)
			for _, m := range meters {
				hour := ""
				if r.GetHour() != nil {
					hour = r.GetHour().AsTime().UTC().Format("2006-01-02T15Z")
				}
				if err := p.Row(nil, v.Stream, v.Mode, hour, m, used(m, v.Used[m])); err != nil {
					return err
				}
			}
		}
		return p.Flush()
	})
}

// used tells a quantity for people: times in hours, everything else as it is.
func used(meter string, n int64) string {
	switch meter {
	case "shard.hours", "shard.extended_hours", "stream.hours", "consumer.hours", "consumer.shard_hours":
		return strconv.FormatFloat(float64(n)/float64(time.Hour.Microseconds()), 'f', 3, 64) + " h"
	case "storage.day", "storage.week", "storage.long":
		return strconv.FormatInt(n, 10) + " byte-hours"
	}
	return strconv.FormatInt(n, 10)
}
