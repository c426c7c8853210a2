// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// Reshard closes parents and opens children in one record of the log (data-plane.md, rule 16).
type Reshard = segment.Reshard

// Closing is what is known for ever of a closed session: the content of the object closed/<session>, written once
// (data-plane.md, rule 11).
type Closing struct {
	Session  leat.SessionID
	Trim     uint64        // segments below it were packed and registered before
	Fence    uint64        // the first segment number that does not count: all acked segments lie below
	Shards   []ClosedShard // every shard that S's remaining segments touch, sorted
	Reshards []Reshard     // found in the remaining segments, in order, with finals
}

// ClosedShard is the end of one shard in a closed session.
type ClosedShard struct {
	Shard    leat.ShardKey
	Epoch    uint64
	Final    uint64   // the offset after the last record
	LastTime int64    // of the last record; the next owner's clock starts there
	Extents  []Extent // those still only in the session's segments, in order
}
