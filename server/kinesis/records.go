// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"slices"
	"time"

	"github.com/leatstream/leat"
)

// page is records on their way out: of GetRecords, or of one push.
type page struct {
	shard        leat.ShardKey
	records      []leat.Record
	encrypted    bool
	behind       time.Duration
	children     []leat.Shard
	next         string // NextShardIterator; absent when empty
	continuation string // ContinuationSequenceNumber; absent when empty
}

// page writes all of it. Children are there exactly when there is nowhere else to go on.
func (w *writer) page(p *page) {
	w.b = slices.Grow(w.b, p.size())
	w.object()
	if len(p.children) > 0 {
		w.member("ChildShards")
		w.children(p.children)
	}
	if p.continuation != "" {
		w.member("ContinuationSequenceNumber")
		w.text(p.continuation)
	}
	w.member("MillisBehindLatest")
	w.count(millis(p.behind))
	if p.next != "" {
		w.member("NextShardIterator")
		w.text(p.next)
	}
	w.member("Records")
	w.list(len(p.records))
	for i := range p.records {
		w.item()
		w.record(p.shard, &p.records[i], p.encrypted)
	}
	w.unlist()
	w.close()
}

// size is about what a page takes, a little too much rather than too little.
func (p *page) size() int {
	const page, record = 1 << 10, 256
	n := page
	for i := range p.records {
		r := &p.records[i]
		n += record + len(r.PartitionKey) + len(r.Data)*4/3
	}
	return n
}

func (w *writer) record(k leat.ShardKey, r *leat.Record, encrypted bool) {
	w.object()
	w.member("ApproximateArrivalTimestamp")
	w.time(r.Time / 1000)
	w.member("Data")
	w.blob(r.Data)
	w.encryption(encrypted)
	w.member("PartitionKey")
	w.text(r.PartitionKey)
	w.member("SequenceNumber")
	w.sequence(k, r.Offset)
	w.close()
}

// encryption says that records are encrypted at rest; AWS leaves it out where they are not.
func (w *writer) encryption(encrypted bool) {
	if encrypted {
		w.member("EncryptionType")
		w.text("KMS")
	}
}

func (w *writer) children(shards []leat.Shard) {
	w.list(len(shards))
	for i := range shards {
		s := &shards[i]
		w.item()
		w.object()
		w.member("HashKeyRange")
		w.object()
		w.member("EndingHashKey")
		w.text(s.Range.End.String())
		w.member("StartingHashKey")
		w.text(s.Range.Start.String())
		w.close()
		w.member("ParentShards")
		w.parents(s)
		w.member("ShardId")
		w.shard(s.Key.Ordinal)
		w.close()
	}
	w.unlist()
}

func (w *writer) parents(s *leat.Shard) {
	var parents []uint64
	for _, p := range []*uint64{s.Parent, s.AdjacentParent} {
		if p != nil {
			parents = append(parents, *p)
		}
	}
	w.list(len(parents))
	for _, p := range parents {
		w.item()
		w.shard(p)
	}
	w.unlist()
}

// millis rounds up: only who is caught up is 0 behind.
func millis(d time.Duration) int64 {
	return int64((max(d, 0) + time.Millisecond - 1) / time.Millisecond)
}
