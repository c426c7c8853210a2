// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

type putRecordInput struct {
	DryRun                    *bool   `json:"DryRun,omitempty" check:"reserved"`
	Data                      []byte  `json:"Data,omitempty" check:"required,len=0..10485760"`
	ExplicitHashKey           *string `json:"ExplicitHashKey,omitempty" check:"pattern=hashKey"`
	PartitionKey              *string `json:"PartitionKey,omitempty" check:"required,len=1..256"`
	SequenceNumberForOrdering *string `json:"SequenceNumberForOrdering,omitempty" check:"pattern=sequenceNumber"`
	StreamARN                 *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId                  *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	StreamName                *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
}

type putRecordsInput struct {
	DryRun     *bool      `json:"DryRun,omitempty" check:"reserved"`
	Records    []putEntry `json:"Records,omitempty" check:"required,items=1..500"`
	StreamARN  *string    `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId   *string    `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	StreamName *string    `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
}

type putEntry struct {
	Data            []byte  `json:"Data,omitempty" check:"required,len=0..10485760"`
	ExplicitHashKey *string `json:"ExplicitHashKey,omitempty" check:"pattern=hashKey"`
	PartitionKey    *string `json:"PartitionKey,omitempty" check:"required,len=1..256"`
}

// putMemory is what one put needs, used again and again: a batch of 500 records allocates nothing of its own. The input
// refers to it and to the request's body, so it MUST NOT be used after the memory was given back.
type putMemory struct {
	in      putRecordsInput
	one     putRecordInput
	entries []putEntry
	strings []string // what the inputs' pointers point to; it never grows, so they stay where they are
	data    []byte   // decoded data and keys; it never grows either
	scratch []byte   // base64 without its escapes
	puts    []broker.Put
	hashes  []leat.HashKey
}

// putMemories keep what is not in use.
type putMemories struct{ pool sync.Pool }

const memberStrings = 4 // of a request itself: names and a sequence number

func newPutMemories() *putMemories {
	return &putMemories{sync.Pool{New: func() any {
		return &putMemory{
			entries: make([]putEntry, 0, maxListed),
			strings: make([]string, 0, 2*maxListed+memberStrings),
			puts:    make([]broker.Put, 0, leat.MaxPutRecords),
			hashes:  make([]leat.HashKey, 0, leat.MaxPutRecords),
		}
	}}}
}

func (p *putMemories) get() *putMemory { return p.pool.Get().(*putMemory) }

func (p *putMemories) put(m *putMemory) {
	m.reset()
	if cap(m.data) > largestKept {
		m.data = nil
	}
	if cap(m.scratch) > largestKept {
		m.scratch = nil
	}
	p.pool.Put(m)
}

// giveBack gives back what a call had. After a panic nobody knows who still reads it: it is left to the collector.
func (h *Handler) giveBack(c *call, m *putMemory) {
	if !c.lent {
		h.puts.put(m)
	}
}

// reset forgets everything that was read and whatever it refers to.
func (m *putMemory) reset() {
	m.in, m.one = putRecordsInput{}, putRecordInput{}
	clear(m.entries)
	clear(m.strings)
	clear(m.puts)
	m.entries, m.strings, m.puts = m.entries[:0], m.strings[:0], m.puts[:0]
	m.hashes, m.data = m.hashes[:0], m.data[:0]
}

// room makes data large enough for whatever a body of n bytes decodes to.
func (m *putMemory) room(n int) {
	if cap(m.data) < n {
		m.data = make([]byte, 0, n)
	}
	m.data = m.data[:0]
}

// text keeps a string and returns a pointer to it; nil when there is no room.
func (m *putMemory) text(s string) *string {
	if len(m.strings) == cap(m.strings) {
		return nil
	}
	m.strings = append(m.strings, s)
	return &m.strings[len(m.strings)-1]
}

// entry adds a record; nil when there are as many as are kept.
func (m *putMemory) entry() *putEntry {
	if len(m.entries) == cap(m.entries) {
		return nil
	}
	m.entries = append(m.entries, putEntry{})
	return &m.entries[len(m.entries)-1]
}
