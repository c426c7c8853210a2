// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"errors"
	"strings"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

// codec is gRPC's own, but for the one message whose decoding decides how much a node takes: a batch of records. That
// is read by hand out of one copy of the bytes that arrived: two allocations, where the generated code makes three for
// each record and copies all data once more (BenchmarkDecodePutRecords).
type codec struct{ wiremem.Codec }

// Messages between nodes, which carry as much, write and read themselves.
type (
	marshaler interface {
		MarshalWire(memory mem.BufferPool) mem.BufferSlice
	}
	unmarshaler interface {
		UnmarshalWire(data mem.BufferSlice, memory mem.BufferPool) error
	}
)

// Marshal writes a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(marshaler); ok {
		return m.MarshalWire(c.Memory()), nil
	}
	return c.Codec.Marshal(v)
}

// Unmarshal reads a message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(unmarshaler); ok {
		return m.UnmarshalWire(data, c.Memory())
	}
	req, ok := v.(*leatv1.PutRecordsRequest)
	if !ok {
		return c.Codec.Unmarshal(data, v)
	}
	return decodePutRecords(data.Materialize(), req)
}

// errWire says what the generated code says of malformed bytes.
var errWire = errors.New("proto: cannot parse invalid wire-format data")

// Numbers of the fields, as record_service.proto has them.
const (
	putStream, putRecords              = 1, 2
	entryKey, entryData, entryExplicit = 1, 2, 3
)

// decodePutRecords reads a batch. The request's data and strings alias raw, which belongs to it from then on and MUST
// NOT be changed. Fields that are not known are passed over. A batch of more records than allowed is read no further:
// it is refused by their number.
func decodePutRecords(raw []byte, req *leatv1.PutRecordsRequest) error {
	req.Reset()
	n, err := countEntries(raw)
	if err != nil {
		return err
	}
	entries := make([]leatv1.PutRecordsRequestEntry, min(n, leat.MaxPutRecords+1))
	req.Records = make([]*leatv1.PutRecordsRequestEntry, 0, len(entries))
	return eachField(raw, func(field protowire.Number, value []byte) (err error) {
		switch field {
		case putStream:
			req.Stream, err = textOf(value)
			req.Stream = strings.Clone(req.Stream) // names outlive the request; keys do not
		case putRecords:
			if len(req.Records) < len(entries) {
				e := &entries[len(req.Records)]
				req.Records = append(req.Records, e)
				err = decodeEntry(value, e)
			}
		}
		return err
	})
}

func countEntries(raw []byte) (n int, err error) {
	err = eachField(raw, func(field protowire.Number, _ []byte) error {
		if field == putRecords {
			n++
		}
		return nil
	})
	return n, err
}

func decodeEntry(raw []byte, e *leatv1.PutRecordsRequestEntry) error {
	return eachField(raw, func(field protowire.Number, value []byte) (err error) {
		switch field {
		case entryKey:
			e.PartitionKey, err = textOf(value)
		case entryData:
			e.Data = value[:len(value):len(value)]
		case entryExplicit:
			e.ExplicitHashKey, err = textOf(value)
		}
		return err
	})
}

// eachField calls f for each field of a message that is length-delimited, as all that a put has are.
func eachField(raw []byte, f func(protowire.Number, []byte) error) error {
	for len(raw) > 0 {
		field, kind, n := protowire.ConsumeTag(raw)
		if n < 0 || field > protowire.MaxValidNumber {
			return errWire
		}
		raw = raw[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(field, kind, raw); n < 0 {
				return errWire
			}
			raw = raw[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(raw)
		if n < 0 {
			return errWire
		}
		if err := f(field, value); err != nil {
			return err
		}
		raw = raw[n:]
	}
	return nil
}

// textOf views bytes that are never changed as a string.
func textOf(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", errors.New("proto: a string field contains invalid UTF-8")
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), nil
}
