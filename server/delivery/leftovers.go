// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// failedRecord is a line of an object in the error prefix: the shape of Firehose, and where the record is. The times are of
// its arrival, so that a retry writes the same line.
type failedRecord struct {
	AttemptsMade           int    `json:"attemptsMade"`
	ArrivalTimestamp       int64  `json:"arrivalTimestamp"` // milliseconds
	ErrorCode              string `json:"errorCode"`
	ErrorMessage           string `json:"errorMessage"`
	AttemptEndingTimestamp int64  `json:"attemptEndingTimestamp"`
	RawData                []byte `json:"rawData"` // base64
	ShardID                string `json:"shardId"`
	SequenceNumber         string `json:"sequenceNumber"`
	PartitionKey           string `json:"partitionKey"`
	PartOfRecord           bool   `json:"partOfRecord,omitempty"` // rawData is what transforms made of it
}

// errorTypes are all that records can fail with.
var errorTypes = []spec.ErrorType{spec.ProcessingFailed, spec.PartitioningFailed, spec.ConversionFailed, spec.HTTPFailed}

// writeErrors writes what failed to the error prefix, an object for each type of error.
func (j *job) writeErrors(ctx context.Context) error {
	for _, kind := range errorTypes {
		d := &draft{Object: Object{Role: Errors}}
		var b bytes.Buffer
		lines := json.NewEncoder(&b)
		lines.SetEscapeHTML(false)
		for i := range j.failed {
			f := &j.failed[i]
			if f.Type != kind {
				continue
			}
			if err := lines.Encode(j.failedLine(f)); err != nil {
				return err
			}
			d.Units++
			if f.stands {
				r := &j.records[f.Source]
				d.add(r.Shard, r.Offset)
			}
		}
		if d.Units == 0 {
			continue
		}
		var err error
		if d.Key, err = j.t.namer.Key(j.keyOf("errors "+string(kind), kind, nil, 0)); err != nil {
			return err
		}
		d.bucket, d.Backup = j.t.errorBucket()
		j.fill(d, b.Bytes())
		if err := j.put(ctx, d, "application/x-ndjson"); err != nil {
			return err
		}
		j.objects = append(j.objects, d)
	}
	return nil
}

func (j *job) failedLine(f *failure) failedRecord {
	r := &j.records[f.Source]
	line := failedRecord{
		AttemptsMade: max(f.Attempts, 1), ArrivalTimestamp: r.Time / 1000, AttemptEndingTimestamp: r.Time / 1000, ErrorCode: f.Code, ErrorMessage: f.Message,
		RawData: r.Data, ShardID: leat.ShardID(r.Shard), SequenceNumber: r.Sequence, PartitionKey: r.PartitionKey,
	}
	if line.SequenceNumber == "" { // without a pipeline nobody else asks for it
		line.SequenceNumber = leat.SequenceNumber(leat.ShardKey{Stream: j.delivery.Stream, Ordinal: r.Shard}, r.Offset)
	}
	if f.Data != nil && !bytes.Equal(f.Data, r.Data) {
		line.RawData, line.PartOfRecord = f.Data, true
	}
	if line.RawData == nil {
		line.RawData = []byte{}
	}
	return line
}

// writeBackup writes the source records as they came.
func (j *job) writeBackup(ctx context.Context) error {
	if j.t.backup == nil || !j.t.config.Backup.All || len(j.records) == 0 {
		return nil
	}
	key, err := j.t.keepAll.Key(j.keyOf("backup", "", nil, 0))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	enc, err := j.t.keepEncode(&b)
	if err != nil {
		return err
	}
	d := &draft{Object: Object{Role: Backup, Key: key, Backup: true}, bucket: j.t.backup}
	for i := range j.records {
		if err := enc.Add(j.records[i].Data); err != nil {
			return err
		}
		d.Units++
		d.add(j.records[i].Shard, j.records[i].Offset)
	}
	if err := enc.Close(); err != nil {
		return err
	}
	j.fill(d, b.Bytes())
	if err := j.put(ctx, d, "application/octet-stream"); err != nil {
		return err
	}
	j.objects = append(j.objects, d)
	return nil
}

func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
