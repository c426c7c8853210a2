// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// GetRecords promises: records in order, without a gap, each as it was put (its checksum is compared where it leaves: by the
// store as it is taken from its memory, here when it comes from another node). Next is empty exactly when Children is not: the
// shard has ended and every record of it was returned.
// An empty page with a Next is normal: ask again.
//
// What has expired is skipped. MillisBehind is 0 only when nothing newer is visible.
//
// Differs from AWS: nothing that a client can see.

// GetRecordsRequest continues a read.
type GetRecordsRequest struct {
	Stream   string // name or ARN; optional: the iterator names it. Where given they MUST agree
	Iterator string
	Limit    int // records, 1 to 10,000; 0 means 10,000
	// Look says that a person looks at records, in the console, who is no reader of the stream: nobody pays for it, and it is in no count of what
	// is read and how far readers are behind. The shard's limits hold.
	Look bool
}

// GetRecordsResult is one page of a shard.
type GetRecordsResult struct {
	Stream   leat.Stream
	Shard    leat.ShardKey
	Records  []leat.Record // MUST NOT be changed: they alias the store's memory
	Next     string        // iterator of the next page; empty at the shard's end
	Behind   time.Duration // from the last record returned, or the place, to now; 0 when caught up
	Children []leat.Shard  // at the shard's end: where to go on
}

// GetRecords reads from the place of an iterator on.
func (b *Broker) GetRecords(ctx context.Context, who leat.Principal, req GetRecordsRequest) (GetRecordsResult, error) {
	began := b.points.Now()
	if req.Limit < 0 || req.Limit > leat.MaxGetRecords {
		return GetRecordsResult{}, leat.Invalid("limit", "limit %d must be from 1 to %d", req.Limit, leat.MaxGetRecords)
	}
	it, err := b.openIterator(req.Iterator)
	if err != nil {
		return GetRecordsResult{}, err
	}
	v, err := b.byID(ctx, who, ActionGetRecords, it.shard.Stream, req.Stream, "shard_iterator")
	if err != nil {
		return GetRecordsResult{}, err
	}
	lim := shardstore.ReadLimits{Records: req.Limit, Bytes: leat.MaxGetRecordsBytes, MinTime: b.expired(v), Limited: true, Look: req.Look}
	p, size, err := b.readPage(ctx, v, it, lim)
	if !req.Look {
		b.pointRead(v, len(p.Records), size, p.Behind, err, began)
	}
	if err != nil {
		return GetRecordsResult{}, err
	}
	b.rates.charge(v.Account, size)
	if !b.shared {
		b.countRead(v, it.shard, &p, size, &lim)
	}
	if b.tracer != nil {
		request := b.tracer.Current(ctx)
		request.Size(len(p.Records), size)
		request.Text("leat.shard", leat.ShardID(it.shard.Ordinal))
	}
	if !req.Look {
		b.meter.CountRead(&v.Stream, int64(len(p.Records)), int64(size))
	}
	res := GetRecordsResult{Stream: v.Stream, Shard: it.shard, Records: p.Records, Behind: p.Behind}
	if p.Ended {
		res.Children = b.children(ctx, v, it.shard.Ordinal, p.Became)
	}
	if len(res.Children) == 0 {
		res.Next = b.nextIterator(it, p.Next)
	}
	return res, nil
}

// readPage reads what the limits let through, and its size.
func (b *Broker) readPage(ctx context.Context, v *streamView, it iterator, lim shardstore.ReadLimits) (p shardstore.Page, size int, err error) {
	if err := b.admitBytesOut(v); err != nil {
		return p, 0, err
	}
	if !b.shared {
		if err := b.admitRead(v, it.shard); err != nil {
			return p, 0, err
		}
	}
	if lim.Records == 0 {
		lim.Records = leat.MaxGetRecords
	}
	if last := len(v.shards) - 1; v.shard(it.shard.Ordinal) == nil && (last < 0 || it.shard.Ordinal < v.shards[last].Key.Ordinal) {
		// Retention may have removed it since. One after the last is a child that this node has not heard of: its owner has.
		if _, err := b.shard(ctx, v, it.shard.Ordinal); leat.KindOf(err) == leat.KindNotFound {
			return p, 0, err
		}
	}
	p, err = b.engine.Read(ctx, it.shard, it.offset, lim)
	if err != nil {
		return shardstore.Page{}, 0, refusal(err)
	}
	if p.Next < it.offset {
		return shardstore.Page{}, 0, leat.Errorf(leat.KindInternal, "a page of %s from offset %d on goes back to %d", leat.ShardID(it.shard.Ordinal), it.offset, p.Next)
	}
	size, err = checked(it.shard, &p)
	return p, size, err
}

// admitRead takes a call's share of a shard's limits, where they hold, or refuses it.
func (b *Broker) admitRead(v *streamView, shard leat.ShardKey) error {
	if !b.metered(v) {
		return nil
	}
	if wait := b.meters.read(shard); wait > 0 {
		b.flows.throttledRead(v, shard)
		return throttled(v, shard.Ordinal, wait)
	}
	return nil
}

// countRead counts a page, unless it was a look. Of a read that the limits hold for they are charged with its size.
func (b *Broker) countRead(v *streamView, shard leat.ShardKey, p *shardstore.Page, size int, lim *shardstore.ReadLimits) {
	if lim.Limited && b.metered(v) {
		b.meters.readBytes(shard, size)
	}
	if !lim.Look {
		b.flows.read(v, shard, len(p.Records), size, p.Behind)
	}
}

// children returns the children of a shard that has ended. They may be known a moment later than the end: then there
// are none yet, and the reader asks again. While the catalog cannot be asked, what the owner says of the end serves; nil
// where it says nothing.
func (b *Broker) children(ctx context.Context, v *streamView, ordinal uint64, said *shardstore.Reshard) []leat.Shard {
	c := v.childrenOf(ordinal)
	if len(c) == 0 {
		v = b.refreshed(ctx, v)
		c = v.childrenOf(ordinal)
	}
	if len(c) == 0 && said != nil {
		c = b.became(ctx, v, said).childrenOf(ordinal)
	}
	return c
}

// checked compares each record with the checksum it entered with, where the store has not done so just before, as when they
// come from another node, and returns their size.
func checked(shard leat.ShardKey, p *shardstore.Page) (size int, err error) {
	for i := range p.Records {
		r := &p.Records[i]
		if !p.Checked && r.Checksum() != r.CRC {
			return 0, &leat.Error{Kind: leat.KindCorrupt, Message: fmt.Sprintf("record %s of %s does not match its checksum: run leat fsck", leat.SequenceNumber(shard, r.Offset), leat.ShardID(shard.Ordinal))}
		}
		size += r.Size()
	}
	return size, nil
}
