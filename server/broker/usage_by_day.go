// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

// UsageByDay promises what GetUsage does, by stream and day. CompareCost promises what a month's usage, as far as it is booked, comes to by
// the copies of AWS's public prices. Both are for those who may see the usage or the invoice itself; the console alone asks.

// UsageByDay returns what an account used, day by day; a day is 24 hours from the first one on.
func (b *Broker) UsageByDay(ctx context.Context, who leat.Principal, req UsageRequest) ([]NamedUsage, error) {
	if !req.From.Before(req.To) || req.To.Sub(req.From) > maxUsageWindow {
		return nil, leat.Invalid("end_time", "must be after start_time, by 366 days at most")
	}
	account, err := b.billed(ctx, who, ActionGetUsage, req.Account)
	if err != nil {
		return nil, err
	}
	usage, err := b.billing.Days(ctx, account, req.From, req.To)
	if err != nil {
		return nil, maybe(err)
	}
	names, err := b.billing.StreamNames(ctx, account)
	if err != nil {
		return nil, maybe(err)
	}
	out := make([]NamedUsage, 0, len(usage))
	for i := range usage {
		if req.Stream.IsZero() || req.Stream == usage[i].Stream {
			out = append(out, NamedUsage{usage[i], names[usage[i].Stream]})
		}
	}
	return out, nil
}

// The copies of AWS's prices that a month is compared with.
var comparedBooks = [...]string{"aws-kinesis", "aws-firehose"}

// CompareCost rates a month's usage at AWS's prices: one bill for each service.
func (b *Broker) CompareCost(ctx context.Context, who leat.Principal, account, month string) (bills []rating.Bill, err error) {
	if account, err = b.billed(ctx, who, ActionGetInvoice, account); err != nil {
		return nil, err
	}
	for _, name := range comparedBooks {
		book, err := rating.Preset(name)
		if err != nil {
			return nil, err
		}
		bill, err := b.billing.Compare(ctx, account, month, book)
		if err != nil {
			return nil, maybe(err)
		}
		bills = append(bills, bill)
	}
	return bills, nil
}

// BilledMonth is the month, YYYY-MM, that usage counts for now: in the price book's time zone. Empty where no bills are kept.
func (b *Broker) BilledMonth() string {
	if b.billing == nil {
		return ""
	}
	return b.billing.Prices().Month(b.clock.Now()).String()
}
