// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

// Load is a stream with a steady load.
type Load struct {
	Mode             leat.StreamMode
	Shards           int
	RecordsPerSecond int64
	RecordBytes      int64
	Retention        time.Duration // 0 means 24 hours
	Readers          int           // applications that read all of it with GetRecords
	Consumers        int           // that all of it is pushed to
}

// payloadUnit is what puts are counted in, as with Kinesis.
const payloadUnit = 25 << 10

// inAnHour is what the load uses in an hour, once the stream is as full as its retention says.
func (l *Load) inAnHour() (q rating.Quantities) {
	records := l.RecordsPerSecond * 3600
	bytes := records * l.RecordBytes
	retention := max(l.Retention, 24*time.Hour)
	hours := int64(retention / time.Hour)
	shards, consumers := int64(l.Shards), int64(l.Consumers)
	q[rating.PutRecords], q[rating.PutBytes] = records, bytes
	q[rating.PutUnits] = records * max(1, (l.RecordBytes+payloadUnit-1)/payloadUnit)
	q[rating.StorageDay] = bytes * 24
	q[rating.StorageWeek] = bytes * (min(hours, 168) - 24)
	q[rating.StorageLong] = bytes * max(0, hours-168)
	q[rating.StreamHours] = hourMicros
	q[rating.ShardHours] = shards * hourMicros
	if retention > 24*time.Hour {
		q[rating.ShardExtendedHours] = shards * hourMicros
	}
	q[rating.ConsumerHours] = consumers * hourMicros
	q[rating.ConsumerShardHours] = consumers * shards * hourMicros
	q[rating.ReadRecords], q[rating.ReadBytes] = records*int64(l.Readers), bytes*int64(l.Readers)
	q[rating.PushRecords], q[rating.PushBytes] = records*consumers, bytes*consumers
	return q
}

// Estimate is what a load would cost in the present month, all of it, by a book; nil: the server's own.
func (b *Billing) Estimate(book *rating.Book, account string, l Load) (Invoice, error) {
	if book == nil {
		book = b.opts.Book
	}
	bill, err := rateHours(book, book.Month(b.now()), account, l.Mode, l.inAnHour())
	return Invoice{Bill: bill, Through: bill.Period.End}, err
}

// rateHours prices a period in which each hour is the same.
func rateHours(book *rating.Book, p rating.Period, account string, mode leat.StreamMode, q rating.Quantities) (rating.Bill, error) {
	bills, err := rating.Rate(book, p, func(yield func(*rating.Usage, error) bool) {
		u := rating.Usage{Account: account, Mode: mode, Quantities: q}
		for u.Hour = leat.Micros(p.Start); u.Hour < leat.Micros(p.End); u.Hour += hourMicros {
			if !yield(&u, nil) {
				return
			}
		}
	}, rating.Options{})
	if err != nil || len(bills) == 0 {
		return rating.Bill{}, err
	}
	return bills[0], nil
}
