// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// Numbers of the fields, as record_service.proto and record.proto have them: records are the first of a page and of a push.
const (
	pageRecords                                     = 1
	recordNumber, recordTime, recordKey, recordData = 1, 2, 3, 4
)

// readPage reads a page or a push, m, whose records are at a place of it, as the generated code does (FuzzReadPage).
func (c codec) readPage(data mem.BufferSlice, m proto.Message, at *[]*leatv1.Record) error {
	records, rest, ok := readRecords(data)
	if !ok {
		return c.Codec.Unmarshal(data, m)
	}
	if err := proto.Unmarshal(rest, m); err != nil {
		return err
	}
	*at = records
	return nil
}

// readRecords reads the records of a page or of a push from the buffers that came from the connection, each byte copied once, and
// returns the message's other fields as they are. false: it holds what is not known here, or is malformed, and the generated code
// shall read it all or say what is wrong.
func readRecords(data mem.BufferSlice) (records []*leatv1.Record, rest []byte, ok bool) {
	p := pieces{next: data, left: data.Len()}
	var m slabs
	for p.left > 0 {
		tag, ok := p.varint()
		if !ok {
			return nil, nil, false
		}
		if tag != protowire.EncodeTag(pageRecords, protowire.BytesType) {
			if rest, ok = p.field(rest, tag); !ok {
				return nil, nil, false
			}
			continue
		}
		size, ok := p.varint()
		if !ok || size > uint64(p.left) {
			return nil, nil, false
		}
		if records == nil { // the others are likely as long
			records = make([]*leatv1.Record, 0, min(1024, 1+p.left/max(1, int(size))))
		}
		r := m.record(int(size))
		if !readRecord(&p, int(size), &m, r) {
			return nil, nil, false
		}
		records = append(records, r)
	}
	return records, rest, true
}

// readRecord reads the next size bytes, which p has.
func readRecord(p *pieces, size int, m *slabs, r *leatv1.Record) bool {
	end := p.left - size
	for p.left > end {
		tag, ok := p.varint()
		if !ok {
			return false
		}
		n, ok := p.varint()
		if !ok {
			return false
		}
		if tag == protowire.EncodeTag(recordTime, protowire.VarintType) {
			r.ApproximateArrivalUnixMicros = int64(n) //nolint:gosec // as the generated code reads it
			continue
		}
		if p.left < end || n > uint64(p.left-end) {
			return false
		}
		switch tag {
		case protowire.EncodeTag(recordNumber, protowire.BytesType):
			r.SequenceNumber, ok = m.number(p, int(n))
		case protowire.EncodeTag(recordKey, protowire.BytesType):
			r.PartitionKey, ok = m.partitionKey(p, int(n))
		case protowire.EncodeTag(recordData, protowire.BytesType):
			r.Data = m.bytes(p, int(n))
		default:
			return false
		}
		if !ok {
			return false
		}
	}
	return p.left == end
}

// pieces reads a message that lies in several buffers. What is read moves a number and no pointer, of which the collector would
// want to know.
type pieces struct {
	cur  []byte
	at   int             // what of cur was read
	next mem.BufferSlice // the buffers after it
	left int             // bytes that were not read
}

// read fills b, for which there are bytes enough.
func (p *pieces) read(b []byte) {
	p.left -= len(b)
	for len(b) > 0 {
		if p.at == len(p.cur) {
			p.cur, p.at, p.next = p.next[0].ReadOnlyData(), 0, p.next[1:]
		}
		n := copy(b, p.cur[p.at:])
		b, p.at = b[n:], p.at+n
	}
}

// varint reads a number.
func (p *pieces) varint() (uint64, bool) {
	if v, n := protowire.ConsumeVarint(p.cur[p.at:]); n > 0 {
		p.at, p.left = p.at+n, p.left-n
		return v, true
	}
	var buf [binary.MaxVarintLen64]byte // it goes on in the next buffer, or is malformed
	b := buf[:min(len(buf), p.left)]
	ahead := *p
	ahead.read(b)
	v, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, false
	}
	p.read(b[:n])
	return v, true
}

// view returns n bytes, which there are, where they lie or in a copy. They stay until the message is given back.
func (p *pieces) view(n int) []byte {
	if n > len(p.cur)-p.at {
		b := make([]byte, n)
		p.read(b)
		return b
	}
	p.at, p.left = p.at+n, p.left-n
	return p.cur[p.at-n : p.at]
}

// field reads the value of a field that is a number or a text, and appends tag and value to b.
func (p *pieces) field(b []byte, tag uint64) ([]byte, bool) {
	kind := protowire.Type(tag & 7)
	v, ok := p.varint()
	if !ok || kind != protowire.VarintType && (kind != protowire.BytesType || v > uint64(p.left)) {
		return b, false
	}
	b = protowire.AppendVarint(protowire.AppendVarint(b, tag), v)
	if kind == protowire.BytesType {
		b = append(b, p.view(int(v))...)
	}
	return b, true
}

// Sizes of what records share.
const (
	dataSlab   = 16 << 10 // far below what the allocator makes one by one
	numberSlab = 1 << 10
)

// slabs is memory that records of a page share. Whoever keeps a record keeps a slab of each at most, and not the page.
type slabs struct {
	data, numbers slab
	key           string // of the last record
	records       []leatv1.Record
}

// record makes a record of a size.
func (m *slabs) record(size int) *leatv1.Record {
	if size > dataSlab/8 {
		return new(leatv1.Record) // with others it would keep much
	}
	if len(m.records) == 0 {
		m.records = make([]leatv1.Record, 8)
	}
	r := &m.records[0]
	m.records = m.records[1:]
	return r
}

// number reads n bytes, which there are, as a sequence number.
func (m *slabs) number(p *pieces, n int) (string, bool) {
	b := m.numbers.take(n, numberSlab, p.left)
	p.read(b)
	return unsafe.String(unsafe.SliceData(b), n), utf8.Valid(b)
}

// partitionKey reads n bytes, which there are, as a partition key.
func (m *slabs) partitionKey(p *pieces, n int) (string, bool) {
	b := p.view(n)
	if m.key != string(b) {
		m.key = string(b)
	}
	return m.key, utf8.ValidString(m.key)
}

// bytes reads n bytes, which there are.
func (m *slabs) bytes(p *pieces, n int) []byte {
	b := m.data.take(n, dataSlab, p.left)
	p.read(b)
	return b
}

// slab is what is left of one.
type slab []byte

// take cuts n bytes off, or makes them: of a new slab, no larger than what is left of the message, where they are a small part of it.
func (s *slab) take(n, size, left int) []byte {
	if n > len(*s) {
		if size = min(size, left); n > size/4 {
			return make([]byte, n)
		}
		*s = make([]byte, size)
	}
	b := (*s)[:n:n]
	*s = (*s)[n:]
	return b
}
