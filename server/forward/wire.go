// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"errors"
	"time"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/wiremem"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// The two messages that carry records write and read themselves, in the format of proto/leat/internal/v1: out of the
// engine's own structs into one buffer and back, where generated code would make three allocations for each record and
// copy all data once more. TestWire holds them against the generated code.

// marshaler is a message that writes itself.
type marshaler interface {
	MarshalWire(memory mem.BufferPool) mem.BufferSlice
}

// unmarshaler is a message that reads itself. It MUST copy data, or hold a reference to it.
type unmarshaler interface {
	UnmarshalWire(data mem.BufferSlice, memory mem.BufferPool) error
}

// codec is gRPC's own but for messages that write and read themselves.
type codec struct{ wiremem.Codec }

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
	return c.Codec.Unmarshal(data, v)
}

// Numbers of the fields, as engine.proto has them.
const (
	appendSession, appendShards, appendRecords = 1, 2, 3

	shardStream, shardOrdinal, shardEpoch = 1, 2, 3

	recordKey, recordExplicit, recordData, recordChecksum, recordOffset, recordTime, recordShard = 1, 2, 3, 4, 5, 6, 7

	pageNext, pageHorizon, pageTail, pageEnded, pageBehind, pageRecords, pageReshard = 1, 2, 3, 4, 5, 6, 7
)

// errWire says that bytes are not the message that they should be.
var errWire = errors.New("forward: malformed message between nodes")

// target is a shard in the epoch in which its owner is believed to own it.
type target struct {
	shard leat.ShardKey
	epoch uint64
}

func (t target) size() int {
	return 1 + protowire.SizeBytes(len(t.shard.Stream)) + fieldSize(t.shard.Ordinal) + fieldSize(t.epoch)
}

func (t target) append(b []byte) []byte {
	b = appendBytes(b, shardStream, t.shard.Stream[:])
	b = appendNumber(b, shardOrdinal, t.shard.Ordinal)
	return appendNumber(b, shardEpoch, t.epoch)
}

func (t *target) read(raw []byte) error {
	return eachField(raw, func(field protowire.Number, number uint64, value []byte) error {
		switch field {
		case shardStream:
			if len(value) != len(t.shard.Stream) {
				return errWire
			}
			copy(t.shard.Stream[:], value)
		case shardOrdinal:
			t.shard.Ordinal = number
		case shardEpoch:
			t.epoch = number
		}
		return nil
	})
}

// recordSize is how many bytes appendRecord writes.
func recordSize(r *leat.Record, shard uint32) int {
	n := 1 + protowire.SizeBytes(len(r.PartitionKey)) + 1 + protowire.SizeBytes(len(r.Data)) + 1 + protowire.SizeFixed32()
	if r.ExplicitHash != nil {
		n += 1 + protowire.SizeBytes(16)
	}
	return n + fieldSize(r.Offset) + fieldSize(uint64(r.Time)) + fieldSize(uint64(shard))
}

func appendRecord(b []byte, r *leat.Record, shard uint32) []byte {
	b = protowire.AppendTag(b, recordKey, protowire.BytesType)
	b = protowire.AppendString(b, r.PartitionKey)
	if r.ExplicitHash != nil {
		h := r.ExplicitHash.Bytes()
		b = appendBytes(b, recordExplicit, h[:])
	}
	b = appendBytes(b, recordData, r.Data)
	b = protowire.AppendFixed32(protowire.AppendTag(b, recordChecksum, protowire.Fixed32Type), r.CRC)
	b = appendNumber(b, recordOffset, r.Offset)
	b = appendNumber(b, recordTime, uint64(r.Time))
	return appendNumber(b, recordShard, uint64(shard))
}

// readRecord reads a record whose key and data alias raw.
func readRecord(raw []byte, r *leat.Record) (shard uint64, err error) {
	err = eachField(raw, func(field protowire.Number, number uint64, value []byte) error {
		switch field {
		case recordKey:
			r.PartitionKey = unsafe.String(unsafe.SliceData(value), len(value)) // raw is never changed
		case recordExplicit:
			if len(value) != 16 {
				return errWire
			}
			h := leat.HashKeyFromBytes([16]byte(value))
			r.ExplicitHash = &h
		case recordData:
			r.Data = value[:len(value):len(value)]
		case recordChecksum:
			r.CRC = uint32(number)
		case recordOffset:
			r.Offset = number
		case recordTime:
			r.Time = int64(number)
		case recordShard:
			shard = number
		}
		return nil
	})
	return shard, err
}

// outgoing is an AppendRequest on its way out: of the puts of a call those at some indexes.
type outgoing struct {
	session leat.SessionID
	targets []target
	puts    []shardstore.Put
	at      []int
	of      []uint32 // the target of each
}

// MarshalWire copies everything, since puts belong to the caller once the call is over, be it sent or not.
func (m *outgoing) MarshalWire(memory mem.BufferPool) mem.BufferSlice {
	size := 1 + protowire.SizeBytes(len(m.session))
	for _, t := range m.targets {
		size += 1 + protowire.SizeBytes(t.size())
	}
	for i, at := range m.at {
		size += 1 + protowire.SizeBytes(recordSize(&m.puts[at].Record, m.of[i]))
	}
	return written(memory, size, func(b []byte) []byte {
		b = appendBytes(b, appendSession, m.session[:])
		for _, t := range m.targets {
			b = t.append(appendHead(b, appendShards, t.size()))
		}
		for i, at := range m.at {
			r := &m.puts[at].Record
			b = appendRecord(appendHead(b, appendRecords, recordSize(r, m.of[i])), r, m.of[i])
		}
		return b
	})
}

// incoming is an AppendRequest that has arrived. Its puts alias a buffer until free.
type incoming struct {
	session leat.SessionID
	targets []target
	puts    []shardstore.Put
	of      []uint32 // the target of each put
	buffer  mem.Buffer
	lent    bool // the session has the puts, or a panic has taken them from there
}

// free gives the buffer back: the engine has copied what it took. After a panic nobody knows who still reads it: it is left
// to the collector.
func (m *incoming) free() {
	if m.lent {
		return
	}
	m.puts = nil
	m.buffer.Free()
}

// UnmarshalWire reads a request of at most leat.MaxPutRecords records.
func (m *incoming) UnmarshalWire(data mem.BufferSlice, memory mem.BufferPool) error {
	m.buffer = data.MaterializeToBuffer(memory)
	if err := m.read(m.buffer.ReadOnlyData()); err != nil {
		m.free()
		return err
	}
	return nil
}

func (m *incoming) read(raw []byte) error {
	n := 0
	err := eachField(raw, func(field protowire.Number, _ uint64, value []byte) (err error) {
		switch field {
		case appendSession:
			m.session, err = sessionOf(value)
		case appendShards:
			var t target
			err = t.read(value)
			m.targets = append(m.targets, t)
		case appendRecords:
			n++
		}
		return err
	})
	if err != nil {
		return err
	}
	if n > leat.MaxPutRecords || len(m.targets) > leat.MaxPutRecords {
		return errWire
	}
	m.puts, m.of = make([]shardstore.Put, 0, n), make([]uint32, 0, n)
	return eachField(raw, func(field protowire.Number, _ uint64, value []byte) error {
		if field != appendRecords {
			return nil
		}
		m.puts = m.puts[:len(m.puts)+1]
		p := &m.puts[len(m.puts)-1]
		of, err := readRecord(value, &p.Record)
		if err != nil || of >= uint64(len(m.targets)) {
			return errWire
		}
		p.Shard, m.of = m.targets[of].shard, append(m.of, uint32(of))
		return nil
	})
}

func sessionOf(b []byte) (id leat.SessionID, err error) {
	if len(b) != len(id) {
		return id, errWire
	}
	return leat.SessionID(b), nil
}

// page is a ReadResponse.
type page struct{ shardstore.Page }

// MarshalWire copies the records, which alias the store's memory.
func (m *page) MarshalWire(memory mem.BufferPool) mem.BufferSlice {
	ended := protowire.EncodeBool(m.Ended)
	size := fieldSize(m.Next) + fieldSize(m.Horizon) + fieldSize(m.Tail) + fieldSize(ended) + fieldSize(uint64(m.Behind))
	for i := range m.Records {
		size += 1 + protowire.SizeBytes(recordSize(&m.Records[i], 0))
	}
	var became []byte
	if m.Became != nil {
		became = m.became()
		size += 1 + protowire.SizeBytes(len(became))
	}
	return written(memory, size, func(b []byte) []byte {
		b = appendNumber(b, pageNext, m.Next)
		b = appendNumber(b, pageHorizon, m.Horizon)
		b = appendNumber(b, pageTail, m.Tail)
		b = appendNumber(b, pageEnded, ended)
		b = appendNumber(b, pageBehind, uint64(m.Behind))
		for i := range m.Records {
			b = appendRecord(appendHead(b, pageRecords, recordSize(&m.Records[i], 0)), &m.Records[i], 0)
		}
		if became != nil {
			b = appendBytes(b, pageReshard, became)
		}
		return b
	})
}

// became writes the split or merge of the last page of a shard, which is seldom enough for generated code.
func (m *page) became() []byte {
	b, err := protobuf.Marshal(wireReshard(m.Became))
	if err != nil {
		panic("forward: a reshard cannot be written: " + err.Error()) // its id is not UTF-8
	}
	return b
}

// UnmarshalWire reads a page. Its records alias one copy of the bytes that arrived, which is theirs.
func (m *page) UnmarshalWire(data mem.BufferSlice, _ mem.BufferPool) error {
	raw, n := data.Materialize(), 0
	err := eachField(raw, func(field protowire.Number, number uint64, value []byte) (err error) {
		switch field {
		case pageNext:
			m.Next = number
		case pageHorizon:
			m.Horizon = number
		case pageTail:
			m.Tail = number
		case pageEnded:
			m.Ended = protowire.DecodeBool(number)
		case pageBehind:
			m.Behind = time.Duration(number)
		case pageRecords:
			n++
		case pageReshard:
			r := &internalv1.Reshard{}
			if err = protobuf.Unmarshal(value, r); err == nil {
				m.Became, err = reshardOf(r)
			}
		}
		return err
	})
	if err != nil || n == 0 {
		return err
	}
	m.Records = make([]leat.Record, 0, n)
	return eachField(raw, func(field protowire.Number, _ uint64, value []byte) (err error) {
		if field == pageRecords {
			m.Records = m.Records[:len(m.Records)+1]
			_, err = readRecord(value, &m.Records[len(m.Records)-1])
		}
		return err
	})
}

// written makes a message of a size that is known. gRPC gives its buffer back to the pool when it was sent.
func written(memory mem.BufferPool, size int, write func([]byte) []byte) mem.BufferSlice {
	if size == 0 {
		return nil
	}
	buf := memory.Get(size)
	if b := write((*buf)[:0]); len(b) != size {
		panic("forward: a message has not the size that was computed")
	}
	return mem.BufferSlice{mem.NewBuffer(buf, memory)}
}

// fieldSize is how many bytes appendNumber writes.
func fieldSize(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b // proto3 leaves out what is zero
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// appendHead begins a message of a size in a message.
func appendHead(b []byte, field protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(size))
}

// eachField calls f for each field of a message: with its number where it is a varint or a fixed32, with its bytes where
// it has a length. Others are passed over.
func eachField(raw []byte, f func(field protowire.Number, number uint64, value []byte) error) error {
	for len(raw) > 0 {
		field, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return errWire
		}
		raw = raw[n:]
		var number uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(raw)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(raw)
			number = uint64(v)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(raw)
		default:
			field, n = 0, protowire.ConsumeFieldValue(field, kind, raw)
		}
		if n < 0 {
			return errWire
		}
		if raw = raw[n:]; field == 0 {
			continue
		}
		if err := f(field, number, value); err != nil {
			return err
		}
	}
	return nil
}
