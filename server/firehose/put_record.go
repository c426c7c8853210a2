// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// PutRecord: see broker.PutDeliveryRecords for what it promises. The record id is the record's sequence number.
//
// Differs from AWS: Encrypted is not answered; DescribeDeliveryStream tells it.

type putRecordInput struct {
	DeliveryStreamName *string
	Record             *record
}

type record struct{ Data []byte }

type putRecordOutput struct{ RecordId string }

func (h *Handler) putRecord(ctx context.Context, c *call, in *putRecordInput) (*putRecordOutput, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if in.Record == nil {
		return nil, missing("Record")
	}
	data, err := in.Record.data("Record")
	if err != nil {
		return nil, err
	}
	puts, err := h.broker.PutDeliveryRecords(ctx, c.who, broker.PutDeliveryRecordsRequest{Delivery: name, Records: [][]byte{data}, One: true})
	if err != nil {
		return nil, err
	}
	if puts[0].Err != nil {
		return nil, puts[0].Err
	}
	return &putRecordOutput{puts[0].ID}, nil
}
