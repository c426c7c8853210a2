// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"strings"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// putCall is a PutRecordsRequest as it is given to the broker. Its records refer to the message that it was read from, and
// belong to it: neither may be used after it was given back.
type putCall struct {
	stream  string
	puts    []broker.Put   // of the first records, at most one more than allowed
	hashes  []leat.HashKey // what the puts' pointers point to; it never grows, so they stay where they are
	records int            // in the message
	refused error          // why a record is not well-formed: the first one's

	message mem.Buffer
	lent    bool // the broker has it, or a panic has taken it from there
}

// putCalls keep what is not in use.
type putCalls struct{ pool sync.Pool }

func (p *putCalls) get() *putCall {
	if c, ok := p.pool.Get().(*putCall); ok {
		return c
	}
	return &putCall{puts: make([]broker.Put, 0, leat.MaxPutRecords), hashes: make([]leat.HashKey, 0, leat.MaxPutRecords)}
}

// put gives back a call and its message. After a panic nobody knows who still has them: they are left to the collector.
func (p *putCalls) put(c *putCall) {
	if c.lent {
		return
	}
	if c.message != nil {
		c.message.Free()
	}
	clear(c.puts)
	*c = putCall{puts: c.puts[:0], hashes: c.hashes[:0]}
	p.pool.Put(c)
}

// Numbers of the fields, as record_service.proto has them.
const (
	putStream, putRecords              = 1, 2
	entryKey, entryData, entryExplicit = 1, 2, 3
)

// UnmarshalWire reads a batch.
func (c *putCall) UnmarshalWire(data mem.BufferSlice, memory mem.BufferPool) error {
	c.message = data.MaterializeToBuffer(memory)
	return c.read(c.message.ReadOnlyData())
}

// read reads a batch whose data and keys alias raw. Fields that are not known are passed over. A batch of more records
// than allowed is read no further: it is refused by their number.
func (c *putCall) read(raw []byte) error {
	return eachField(raw, func(field protowire.Number, value []byte) (err error) {
		switch field {
		case putStream:
			c.stream, err = textOf(value)
			c.stream = strings.Clone(c.stream) // names outlive the call; keys do not
		case putRecords:
			if c.records++; c.records <= leat.MaxPutRecords {
				err = c.entry(value)
			}
		}
		return err
	})
}

// entry reads a record.
func (c *putCall) entry(raw []byte) error {
	c.puts = append(c.puts, broker.Put{})
	r := &c.puts[len(c.puts)-1].Record
	var explicit string
	err := eachField(raw, func(field protowire.Number, value []byte) (err error) {
		switch field {
		case entryKey:
			r.PartitionKey, err = textOf(value)
		case entryData:
			r.Data = value[:len(value):len(value)]
		case entryExplicit:
			explicit, err = textOf(value)
		}
		return err
	})
	if err != nil || explicit == "" {
		return err
	}
	hash, err := leat.ParseHashKey(explicit)
	if err != nil {
		if c.refused == nil {
			c.refused = inEntry(len(c.puts)-1, err)
		}
		return nil // the message can be read, its sender has not signed in yet
	}
	c.hashes = append(c.hashes, hash)
	r.ExplicitHash = &c.hashes[len(c.hashes)-1]
	return nil
}
