// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/broker"
)

// PutRecordBatch: see broker.PutDeliveryRecords for what it promises. Answers are in the order of the records. One
// record that is too large refuses the whole call; throttling and faults are told record by record.
//
// Differs from AWS: as PutRecord does.

const (
	maxBatch      = 500
	maxBatchBytes = 4 << 20
)

type putRecordBatchInput struct {
	DeliveryStreamName *string
	Records            []record
}

type putRecordBatchOutput struct {
	FailedPutCount   int
	RequestResponses []putOutcome
}

type putOutcome struct {
	ErrorCode    string `json:"ErrorCode,omitempty"`
	ErrorMessage string `json:"ErrorMessage,omitempty"`
	RecordId     string `json:"RecordId,omitempty"`
}

func missing(member string) error {
	return leat.Invalid(member, "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

func (r *record) data(at string) ([]byte, error) {
	if r.Data == nil {
		return nil, missing(at + ".Data")
	}
	return r.Data, nil
}

func (h *Handler) putRecordBatch(ctx context.Context, c *call, in *putRecordBatchInput) (*putRecordBatchOutput, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if n := len(in.Records); n < 1 || n > maxBatch {
		return nil, leat.Invalid("Records", "%d Records must be from 1 to %d", n, maxBatch)
	}
	all, size := make([][]byte, len(in.Records)), 0
	for i := range in.Records {
		if all[i], err = in.Records[i].data(fmt.Sprintf("Records.%d", i+1)); err != nil {
			return nil, err
		}
		size += len(all[i])
	}
	if size > maxBatchBytes {
		return nil, leat.Invalid("Records", "Records size exceeds 4 MB limit")
	}
	puts, err := h.broker.PutDeliveryRecords(ctx, c.who, broker.PutDeliveryRecordsRequest{Delivery: name, Records: all})
	if err != nil {
		return nil, err
	}
	out := &putRecordBatchOutput{RequestResponses: make([]putOutcome, len(puts))}
	for i := range puts {
		if puts[i].Err == nil {
			out.RequestResponses[i] = putOutcome{RecordId: puts[i].ID}
			continue
		}
		out.FailedPutCount++
		out.RequestResponses[i] = putOutcome{ErrorCode: "InternalFailure", ErrorMessage: "Internal Service Failure"}
		switch e := awswire.KindOf(puts[i].Err); e.Kind {
		case leat.KindThroughputExceeded, leat.KindUnavailable: // certainly not written
			out.RequestResponses[i] = putOutcome{ErrorCode: "ServiceUnavailableException", ErrorMessage: e.Message}
		default:
			h.log.Error("a record failed", "request_id", c.id, "error", puts[i].Err)
		}
	}
	return out, nil
}
