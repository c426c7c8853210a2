// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"strconv"

	"github.com/leatstream/leat"
)

// DescribeStream promises: the stream as the catalog has it, or as it was last known when the catalog is away, and its
// shards page by page in order of their ids. DescribeStreamSummary is the same without shards, with the number of
// consumers.
//
// Differs from AWS: pages are continued by a token, not by the last shard's id; the AWS edge begins after a shard with
// After.

// StreamDescription is a stream and how many shards take records.
type StreamDescription struct {
	leat.Stream
	OpenShards int
}

// DescribeStreamRequest names a stream and a page of its shards.
type DescribeStreamRequest struct {
	Stream    string // name or ARN
	PageToken string
	After     string // a shard id: begin after it (AWS: ExclusiveStartShardId)
	PageSize  int    // 1 to 10,000; 0 means 100
}

// DescribeStreamResult is a stream and one page of its shards.
type DescribeStreamResult struct {
	Stream        StreamDescription
	Shards        []leat.Shard
	NextPageToken string // empty on the last page
}

const defaultDescribeShards = 100

// DescribeStream describes a stream with its shards.
func (b *Broker) DescribeStream(ctx context.Context, who leat.Principal, req DescribeStreamRequest) (DescribeStreamResult, error) {
	size, err := pageSize(req.PageSize, defaultDescribeShards)
	if err != nil {
		return DescribeStreamResult{}, err
	}
	v, err := b.described(ctx, who, ActionDescribeStream, req.Stream)
	if err != nil {
		return DescribeStreamResult{}, err
	}
	p, err := b.describePage(v, req)
	if err != nil {
		return DescribeStreamResult{}, err
	}
	res := DescribeStreamResult{Stream: v.describe()}
	res.Shards, res.NextPageToken, err = b.pageOfShards(v, p, size)
	return res, err
}

func (b *Broker) describePage(v *streamView, req DescribeStreamRequest) (page, error) {
	p := page{List: string(ActionDescribeStream), Scope: v.ID.String(), Filter: &ShardFilter{}}
	if req.PageToken != "" {
		sent, err := b.openPage(req.PageToken, p.List)
		if err != nil {
			return page{}, err
		}
		if sent.Scope != p.Scope {
			return page{}, errToken(ActionDescribeStream)
		}
		p.After = sent.After
	}
	after, err := laterShard(req.After)
	if err == nil && after != "" {
		p.After = after
	}
	return p, err
}

// pageOfShards returns the shards after p.After that its filter admits, and the token of the next page.
func (b *Broker) pageOfShards(v *streamView, p page, size int) (shards []leat.Shard, next string, err error) {
	first := uint64(0)
	if p.After != "" {
		last, err := strconv.ParseUint(p.After, 10, 64)
		if err != nil {
			return nil, "", leat.Errorf(leat.KindInternal, "page token: %w", err)
		}
		first = last + 1
	}
	for i := range v.shards {
		s := &v.shards[i]
		if s.Key.Ordinal < first || !p.Filter.admits(v, s) {
			continue
		}
		if len(shards) == size {
			p.After = strconv.FormatUint(shards[size-1].Key.Ordinal, 10)
			next, err = b.sealPage(p)
			return shards, next, err
		}
		shards = append(shards, b.owned(*s))
	}
	return shards, "", nil
}

// owned says who owns a shard now.
func (b *Broker) owned(s leat.Shard) leat.Shard {
	if b.owner == nil {
		return s
	}
	if session, epoch, ok := b.owner(s.Key); ok {
		s.Owner, s.Epoch = session, epoch
	} else {
		s.Owner = leat.SessionID{}
	}
	return s
}

// DescribeStreamSummary describes a stream without its shards.
func (b *Broker) DescribeStreamSummary(ctx context.Context, who leat.Principal, stream string) (d StreamDescription, consumers int, err error) {
	v, err := b.described(ctx, who, ActionDescribeStreamSummary, stream)
	if err != nil {
		return StreamDescription{}, 0, err
	}
	list, err := b.catalog.ListConsumers(ctx, v.ID, "", maxPage)
	if err != nil {
		return StreamDescription{}, 0, away(err)
	}
	return v.describe(), len(list), nil
}

func (v *streamView) describe() StreamDescription {
	return StreamDescription{Stream: v.Stream, OpenShards: len(v.open)}
}

// SequenceRange returns a number below those of all of a shard's records, and one that is not below any of them; the
// latter is empty while the shard is open. No record has the first one, as with AWS: tools begin AFTER it as well as AT it,
// and both begin with the first record.
func SequenceRange(s *leat.Shard) (first, last string) {
	first = continuation(s.Key, 0)
	if !s.Open() {
		last = leat.SequenceNumber(s.Key, s.Final)
	}
	return first, last
}

// maxPage bounds what a caller may ask for in one page of any listing.
const maxPage = 10_000

func pageSize(asked, otherwise int) (int, error) {
	switch {
	case asked < 0 || asked > maxPage:
		return 0, leat.Invalid("page_size", "page size %d must be from 1 to %d", asked, maxPage)
	case asked == 0:
		return otherwise, nil
	}
	return asked, nil
}
