// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// PutDeliveryRecords promises: one oversize record refuses the whole call and nothing is written; otherwise every record
// has its own outcome, in the order asked, and one without an error is durable: it is in the hidden stream of the delivery
// stream, which the same engine keeps. Records have no order among each other.
//
// Differs from AWS: nothing that a client of the AWS wire can see. No SQL is on this path, as with streams.

// MaxDeliveryRecordBytes is Firehose's: 1,000 KiB.
const MaxDeliveryRecordBytes = 1000 << 10

// PutDeliveryRecordsRequest is up to 500 records.
type PutDeliveryRecordsRequest struct {
	Delivery string
	Records  [][]byte
	One      bool // by Firehose's PutRecord, which has statistics of its own
}

// DeliveryPut is the outcome of one record.
type DeliveryPut struct {
	ID  string // names the record for ever; empty when it has failed
	Err error
}

// PutDeliveryRecords puts records into a delivery stream that has no source stream.
func (b *Broker) PutDeliveryRecords(ctx context.Context, who leat.Principal, req PutDeliveryRecordsRequest) ([]DeliveryPut, error) {
	began := b.points.Now()
	puts := make([]Put, len(req.Records))
	for i, data := range req.Records {
		if len(data) > MaxDeliveryRecordBytes {
			return nil, leat.Invalid(fmt.Sprintf("records[%d]", i), "record %d has %d bytes: %d at most", i, len(data), MaxDeliveryRecordBytes)
		}
		// Any key that spreads records over the shards will do.
		b.spread.Add(1)
		puts[i].Record = leat.Record{PartitionKey: fmt.Sprintf("%016x", b.spread.Load()*0x9e3779b97f4a7c15), Data: data}
	}
	if err := checkPuts(puts); err != nil {
		return nil, err
	}
	if err := b.delivery(ctx, who, ActionPutDeliveryRecords, req.Delivery); err != nil {
		return nil, err
	}
	v, err := b.writable(ctx, Resource{Account: spec.HiddenAccount(who.Account), Stream: req.Delivery})
	if leat.KindOf(err) == leat.KindNotFound {
		return nil, b.noDirectPut(ctx, who, req.Delivery)
	}
	if err != nil {
		return nil, err
	}
	err = b.put(ctx, v, puts)
	call := manyPuts
	if req.One {
		call = onePut
	}
	b.pointDirectPuts(who.Account, req.Delivery, call, puts, err, began)
	if err != nil {
		return nil, err
	}
	out := make([]DeliveryPut, len(puts))
	for i := range puts {
		if out[i].Err = puts[i].Err; out[i].Err == nil {
			out[i].ID = leat.SequenceNumber(puts[i].Shard, puts[i].Record.Offset)
		}
	}
	return out, nil
}

// noDirectPut says why records cannot be put.
func (b *Broker) noDirectPut(ctx context.Context, who leat.Principal, name string) error {
	d, err := b.deliveries.Describe(ctx, who.Account, name)
	switch {
	case err != nil:
		return err
	case !d.Config.Source.Direct():
		return leat.Invalid("delivery", "delivery stream %s takes its records from stream %s: put them there", name, d.Config.Source.Stream)
	}
	return &leat.Error{Kind: leat.KindUnavailable, Message: "delivery stream " + name + " is being made: retry", After: retryMoved}
}
