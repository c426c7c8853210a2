// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/datapoints"
)

// What calls do is counted here for metricData, each by the node that was asked, once it is known which stream it is about:
// what CloudWatch calls the operations of a stream. What shards take and give is counted where they are owned (flows.go).

// putCall is which operation's statistics a call goes: PutRecord and PutRecords have their own.
type putCall int

const (
	onePut putCall = iota
	manyPuts
)

// measuredPuts is what became of the records of a call.
type measuredPuts struct {
	records, bytes    int // all that were asked
	ok, okBytes       int
	throttled, failed int
	milliseconds      float64
	now               time.Time
}

func measurePuts(puts []Put, refused error, began, now time.Time) measuredPuts {
	m := measuredPuts{records: len(puts), milliseconds: float64(now.Sub(began)) / 1e6, now: now}
	for i := range puts {
		p := &puts[i]
		size := p.Record.Size()
		m.bytes += size
		err := refused
		if err == nil {
			err = p.Err
		}
		switch {
		case err == nil:
			m.ok++
			m.okBytes += size
		case tooMuch(err):
			m.throttled++
		default:
			m.failed++
		}
	}
	return m
}

func some(n int) float64 {
	if n > 0 {
		return 1
	}
	return 0
}

// pointPuts counts a call of PutRecord or PutRecords.
func (b *Broker) pointPuts(v *streamView, call putCall, puts []Put, refused error, began time.Time) {
	if b.points == nil {
		return
	}
	m := measurePuts(puts, refused, began, b.points.Now())
	s := datapoints.Series{Space: datapoints.Streams, Account: v.Account, Name: v.Name}
	ok, okBytes, throttled := float64(m.ok), float64(m.okBytes), float64(m.throttled)
	if call == onePut {
		b.points.ObserveAt(s, m.now,
			datapoints.Value{Metric: datapoints.IncomingBytes, V: okBytes}, datapoints.Value{Metric: datapoints.IncomingRecords, V: ok},
			datapoints.Value{Metric: datapoints.WriteExceeded, V: throttled}, datapoints.Value{Metric: datapoints.PutRecordBytes, V: okBytes},
			datapoints.Value{Metric: datapoints.PutRecordLatency, V: m.milliseconds}, datapoints.Value{Metric: datapoints.PutRecordSuccess, V: ok})
		return
	}
	b.points.ObserveAt(s, m.now,
		datapoints.Value{Metric: datapoints.IncomingBytes, V: okBytes}, datapoints.Value{Metric: datapoints.IncomingRecords, V: ok},
		datapoints.Value{Metric: datapoints.WriteExceeded, V: throttled}, datapoints.Value{Metric: datapoints.PutRecordsBytes, V: okBytes},
		datapoints.Value{Metric: datapoints.PutRecordsLatency, V: m.milliseconds}, datapoints.Value{Metric: datapoints.PutRecordsSuccess, V: some(m.ok)},
		datapoints.Value{Metric: datapoints.PutRecordsRecords, V: ok}, datapoints.Value{Metric: datapoints.PutRecordsTotal, V: float64(m.records)},
		datapoints.Value{Metric: datapoints.PutRecordsSuccessful, V: ok}, datapoints.Value{Metric: datapoints.PutRecordsFailed, V: float64(m.failed)},
		datapoints.Value{Metric: datapoints.PutRecordsThrottled, V: throttled})
}

// pointDirectPuts counts a call of Firehose's PutRecord or PutRecordBatch.
func (b *Broker) pointDirectPuts(account, delivery string, call putCall, puts []Put, refused error, began time.Time) {
	if b.points == nil {
		return
	}
	m := measurePuts(puts, refused, began, b.points.Now())
	s := datapoints.Series{Space: datapoints.Deliveries, Account: account, Name: delivery}
	b.points.ObserveAt(s, m.now,
		datapoints.Value{Metric: datapoints.IncomingBytes, V: float64(m.okBytes)}, datapoints.Value{Metric: datapoints.IncomingRecords, V: float64(m.ok)},
		datapoints.Value{Metric: datapoints.DirectThrottled, V: float64(m.throttled)})
	if call == onePut {
		b.points.ObserveAt(s, m.now,
			datapoints.Value{Metric: datapoints.DirectPutBytes, V: float64(m.okBytes)}, datapoints.Value{Metric: datapoints.DirectPutLatency, V: m.milliseconds},
			datapoints.Value{Metric: datapoints.DirectPutRequests, V: 1})
		return
	}
	b.points.ObserveAt(s, m.now,
		datapoints.Value{Metric: datapoints.DirectBatchBytes, V: float64(m.okBytes)}, datapoints.Value{Metric: datapoints.DirectBatchLatency, V: m.milliseconds},
		datapoints.Value{Metric: datapoints.DirectBatchRecords, V: float64(m.ok)}, datapoints.Value{Metric: datapoints.DirectBatchRequests, V: 1})
}

// pointRead counts a call of GetRecords.
func (b *Broker) pointRead(v *streamView, records, bytes int, behind time.Duration, err error, began time.Time) {
	if b.points == nil || leat.KindOf(err) == leat.KindCanceled {
		return
	}
	now := b.points.Now()
	s := datapoints.Series{Space: datapoints.Streams, Account: v.Account, Name: v.Name}
	if err != nil {
		exceeded := 0.0
		if tooMuch(err) {
			exceeded = 1
		}
		b.points.ObserveAt(s, now, datapoints.Value{Metric: datapoints.GetSuccess, V: 0}, datapoints.Value{Metric: datapoints.ReadExceeded, V: exceeded})
		return
	}
	b.points.ObserveAt(s, now,
		datapoints.Value{Metric: datapoints.GetSuccess, V: 1}, datapoints.Value{Metric: datapoints.ReadExceeded, V: 0},
		datapoints.Value{Metric: datapoints.GetRecords, V: float64(records)}, datapoints.Value{Metric: datapoints.GetBytes, V: float64(bytes)},
		datapoints.Value{Metric: datapoints.GetLatency, V: float64(now.Sub(began)) / 1e6},
		datapoints.Value{Metric: datapoints.GetIteratorAge, V: float64(behind.Milliseconds())})
}

// pointSubscription counts a call of SubscribeToShard, which another one of the same consumer may keep out.
func (b *Broker) pointSubscription(v *streamView, consumer string, err error) {
	if b.points == nil {
		return
	}
	success, exceeded := 1.0, 0.0
	if err != nil {
		success = 0
		if kind := leat.KindOf(err); kind == leat.KindInUse || kind == leat.KindLimitExceeded {
			exceeded = 1
		}
	}
	b.points.Observe(datapoints.Series{Space: datapoints.Streams, Account: v.Account, Name: v.Name, Consumer: consumer},
		datapoints.Value{Metric: datapoints.SubscribeSuccess, V: success}, datapoints.Value{Metric: datapoints.SubscribeRateExceeded, V: exceeded})
}

// pointEvent counts an event of a subscription.
func (b *Broker) pointEvent(consumer string, e *Event, err error) {
	if b.points == nil {
		return
	}
	s := datapoints.Series{Space: datapoints.Streams, Account: e.Stream.Account, Name: e.Stream.Name, Consumer: consumer}
	if err != nil {
		b.points.Observe(s, datapoints.Value{Metric: datapoints.EventSuccess, V: 0})
		return
	}
	bytes := 0
	for i := range e.Records {
		bytes += e.Records[i].Size()
	}
	b.points.Observe(s,
		datapoints.Value{Metric: datapoints.EventSuccess, V: 1}, datapoints.Value{Metric: datapoints.EventRecords, V: float64(len(e.Records))},
		datapoints.Value{Metric: datapoints.EventBytes, V: float64(bytes)}, datapoints.Value{Metric: datapoints.EventBehind, V: float64(e.Behind.Milliseconds())})
}
