// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore/blob"
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

// stagedResult is how the outcome of transforms is kept.
type stagedResult struct {
	Version int // 1
	Result  spec.Result
	Counts  []uint64 // how many records of each part of the plan were there
}

// staged runs transforms whose outcome may be another one next time. The first outcome that is kept counts, whoever it
// came from.
func (j *job) staged(ctx context.Context) (spec.Result, error) {
	if r, err := j.readStaged(ctx); !errors.Is(err, blob.ErrNotFound) {
		return r, err
	}
	r, err := j.apply(ctx)
	if err != nil {
		return r, err
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(stagedResult{Version: 1, Result: r, Counts: j.counts()}); err != nil {
		return r, err
	}
	switch err := j.e.cfg.Blobs.Create(ctx, stagingKey(j.p.id), b.Bytes()); {
	case errors.Is(err, blob.ErrExists):
		return j.readStaged(ctx)
	case err != nil:
		return r, err
	}
	return r, nil
}

func (j *job) readStaged(ctx context.Context) (spec.Result, error) {
	body, err := j.e.cfg.Blobs.Read(ctx, stagingKey(j.p.id), 0, -1)
	if err != nil {
		return spec.Result{}, err
	}
	var s stagedResult
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&s); err != nil || s.Version != 1 {
		return spec.Result{}, leat.Errorf(leat.KindCorrupt, "what is kept of the transforms of plan %s cannot be read", j.p.id)
	}
	err = j.relocate(&s.Result, s.Counts)
	return s.Result, err
}

// unstage lets go of what was kept of a plan, once that is committed for ever: with a ledger, when that says so.
func (j *job) unstage(ctx context.Context, plan string) {
	for _, key := range []string{stagingKey(plan), sentKey(plan)} {
		if err := j.e.cfg.Blobs.Delete(ctx, key); err != nil {
			j.e.cfg.Logger.Warn("what was kept of a committed plan stays", "plan", plan, "error", err)
		}
	}
}

func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
