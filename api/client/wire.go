// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

// codec is gRPC's own, but for answers to batches of puts and for what is read: the generated code makes three or four allocations
// for each record of one, and takes twice as long.
type codec struct{ wiremem.Codec }

// Unmarshal reads a message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *leatv1.PutRecordsResponse:
		return c.readPut(data, m)
	case *leatv1.GetRecordsResponse:
		return c.readPage(data, m, &m.Records)
	case *leatv1.SubscribeToShardResponse:
		return c.readPage(data, m, &m.Records)
	}
	return c.Codec.Unmarshal(data, v)
}

func (c codec) readPut(data mem.BufferSlice, m *leatv1.PutRecordsResponse) error {
	buf := data.MaterializeToBuffer(c.Memory())
	defer buf.Free()
	raw := buf.ReadOnlyData()
	proto.Reset(m)
	if readPutAnswer(raw, m) {
		return nil
	}
	return proto.Unmarshal(raw, m)
}

// Numbers of the fields, as record_service.proto has them.
const (
	answerFailed, answerRecords                           = 1, 2
	outcomeShard, outcomeNumber, outcomeCode, outcomeText = 1, 2, 3, 4
)

// wireField is a field of a message on the wire.
type wireField struct {
	number   protowire.Number
	text     bool   // length-delimited, else a varint
	from, to int    // where the content of a text is
	value    uint64 // of a varint
}

// readField reads the field at raw[at:] and tells where the next one is. false: it is malformed, or of a kind that no message here has.
func readField(raw []byte, at int) (f wireField, next int, ok bool) {
	number, kind, n := protowire.ConsumeTag(raw[at:])
	if n < 0 || number > protowire.MaxValidNumber {
		return f, 0, false
	}
	f.number = number
	at += n
	switch kind {
	case protowire.VarintType:
		if f.value, n = protowire.ConsumeVarint(raw[at:]); n < 0 {
			return f, 0, false
		}
		return f, at + n, true
	case protowire.BytesType:
		size, n := protowire.ConsumeVarint(raw[at:])
		if n < 0 || size > uint64(len(raw)-at-n) {
			return f, 0, false
		}
		f.text, f.from = true, at+n
		f.to = f.from + int(size)
		return f, f.to, true
	}
	return f, 0, false
}

// readPutAnswer reads an answer as the generated code does (FuzzReadPutAnswer), in three allocations: its records and its texts lie
// beside each other. false: it holds what is not known here, or is malformed, and the generated code shall read it or say what is wrong.
func readPutAnswer(raw []byte, m *leatv1.PutRecordsResponse) bool {
	n := 0
	for at := 0; at < len(raw); {
		f, next, ok := readField(raw, at)
		if !ok {
			return false
		}
		if f.number == answerRecords {
			n++
		}
		at = next
	}
	if n == 0 {
		return false
	}
	text := string(raw)
	entries := make([]leatv1.PutRecordsResponseEntry, n)
	records := make([]*leatv1.PutRecordsResponseEntry, n)
	failed, i := int32(0), 0
	for at := 0; at < len(raw); {
		f, next, _ := readField(raw, at)
		switch {
		case f.number == answerRecords && f.text:
			if !readOutcome(raw[:f.to], text, f.from, &entries[i]) {
				return false
			}
			records[i] = &entries[i]
			i++
		case f.number == answerFailed && !f.text:
			failed = int32(f.value) //nolint:gosec // as the generated code cuts it
		default:
			return false
		}
		at = next
	}
	m.FailedRecordCount, m.Records = failed, records
	return true
}

// readOutcome reads the entry that fills raw from a place on; text is raw and more.
func readOutcome(raw []byte, text string, at int, e *leatv1.PutRecordsResponseEntry) bool {
	for at < len(raw) {
		f, next, ok := readField(raw, at)
		if !ok || f.text == (f.number == outcomeCode) {
			return false
		}
		s := text[f.from:f.to]
		if !utf8.ValidString(s) {
			return false
		}
		switch f.number {
		case outcomeShard:
			e.ShardId = s
		case outcomeNumber:
			e.SequenceNumber = s
		case outcomeText:
			e.ErrorMessage = s
		case outcomeCode:
			e.ErrorCode = leatv1.PutRecordsErrorCode(int32(f.value)) //nolint:gosec // as the generated code cuts it
		default:
			return false
		}
		at = next
	}
	return true
}
