// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package waltest

import (
	"encoding/binary"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// Segments makes the segments of one session with one shard, one record each.
type Segments struct {
	Session leat.SessionID
	Cluster leat.ClusterID
	Trim    uint64 // in the headers of those made from now on

	coder *segment.Coder
}

// NewSegments begins a session.
func NewSegments() *Segments {
	return &Segments{Session: leat.NewID[leat.SessionID](nil), Cluster: leat.NewID[leat.ClusterID](nil), coder: segment.NewCoder()}
}

// Make returns segment n whole. Each call makes another one, with a nonce of its own. The record's offset is n and its
// data are size bytes; controls follow it.
func (g *Segments) Make(t testing.TB, n uint64, size int, controls ...segment.ControlKind) []byte {
	t.Helper()
	h := segment.Header{Kind: segment.KindSegment, Cluster: g.Cluster, Session: g.Session, N: n, Nonce: leat.NewID[leat.SessionID](nil), Trim: g.Trim, Created: int64(n)}
	c := segment.NewChunk(leat.ShardKey{Stream: leat.StreamID{1}}, 1, n)
	r := leat.Record{PartitionKey: "key", Data: data(n, size), Offset: n, Time: int64(n)}
	r.CRC = r.Checksum()
	c.Append(&r)
	cs := make([]segment.Control, len(controls))
	for i, k := range controls {
		cs[i].Kind = k
	}
	object, _, err := g.coder.Encode(h, []*segment.Chunk{c}, cs, segment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// Fence returns a fence for place n, as another recoverer would make it.
func (g *Segments) Fence(n uint64) []byte {
	return segment.Fence(segment.Header{Cluster: g.Cluster, Session: g.Session, N: n, Nonce: leat.NewID[leat.SessionID](nil)})
}

// Header is the part of a segment that Verify compares.
func Header(object []byte) []byte { return object[:segment.HeaderSize] }

// data differs from segment to segment and from place to place.
func data(n uint64, size int) []byte {
	b := make([]byte, 0, size+8)
	for i := uint64(0); len(b) < size; i++ {
		b = binary.LittleEndian.AppendUint64(b, (n+1)*0x9e3779b97f4a7c15^i)
	}
	return b[:size]
}
