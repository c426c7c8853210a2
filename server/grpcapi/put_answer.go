// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"strings"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// putAnswer is a PutRecordsResponse that is written already, as generated code would write it (FuzzPutAnswer).
type putAnswer struct{ wire mem.BufferSlice }

// MarshalWire gives the bytes to gRPC, which frees them. It MUST be called once at most.
func (a *putAnswer) MarshalWire(mem.BufferPool) mem.BufferSlice { return a.wire }

// Numbers of the fields, as record_service.proto has them.
const (
	answerFailed, answerRecords                           = 1, 2
	outcomeShard, outcomeNumber, outcomeCode, outcomeText = 1, 2, 3, 4
)

// What a record that was taken needs: a head, the shard's id and a sequence number.
const outcomeBytes = 2 + 2 + 20 + 2 + 56

// answer writes what became of the records of a call.
func (s *Server) answer(ctx context.Context, failed int, puts []broker.Put) *putAnswer {
	buf := s.memory.Get(protowire.SizeTag(answerFailed) + protowire.SizeVarint(uint64(failed)) + len(puts)*outcomeBytes)
	b := (*buf)[:0]
	if failed != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, answerFailed, protowire.VarintType), uint64(failed))
	}
	var scratch [outcomeBytes]byte
	for i := range puts {
		b = protowire.AppendBytes(protowire.AppendTag(b, answerRecords, protowire.BytesType), s.outcome(ctx, scratch[:0], &puts[i]))
	}
	if cap(b) != cap(*buf) { // long errors
		s.memory.Put(buf)
		return &putAnswer{mem.BufferSlice{mem.SliceBuffer(b)}}
	}
	*buf = b
	return &putAnswer{mem.BufferSlice{mem.NewBuffer(buf, s.memory)}}
}

// outcome appends a PutRecordsResponseEntry.
func (s *Server) outcome(ctx context.Context, b []byte, p *broker.Put) []byte {
	if p.Err == nil {
		b = appendShort(b, outcomeShard, func(b []byte) []byte { return leat.AppendShardID(b, p.Shard.Ordinal) })
		return appendShort(b, outcomeNumber, func(b []byte) []byte { return leat.AppendSequenceNumber(b, p.Shard, p.Record.Offset) })
	}
	code, text := s.failure(ctx, p.Err)
	b = protowire.AppendVarint(protowire.AppendTag(b, outcomeCode, protowire.VarintType), uint64(code))
	if text = strings.ToValidUTF8(text, "\ufffd"); text != "" {
		b = protowire.AppendString(protowire.AppendTag(b, outcomeText, protowire.BytesType), text)
	}
	return b
}

// appendShort appends a field of fewer than 128 bytes.
func appendShort(b []byte, field protowire.Number, write func([]byte) []byte) []byte {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0)
	at := len(b)
	b = write(b)
	b[at-1] = byte(len(b) - at)
	return b
}
