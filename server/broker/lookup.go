// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// writable finds the stream of a put: NotFound while it is made or removed, as AWS answers.
func (b *Broker) writable(ctx context.Context, what Resource) (*streamView, error) {
	v, err := b.directory.find(ctx, streamName{what.Account, what.Stream})
	if err != nil {
		return nil, err
	}
	if !v.serves() {
		return nil, errNoStream(what)
	}
	return v, nil
}

// existing finds a stream, whatever its state, as this node knows it.
func (b *Broker) existing(ctx context.Context, what Resource) (*streamView, error) {
	return b.directory.find(ctx, streamName{what.Account, what.Stream})
}

// fresh finds a stream, whatever its state, as the catalog has it now.
func (b *Broker) fresh(ctx context.Context, what Resource) (*streamView, error) {
	return b.directory.refresh(ctx, what.Account, what.Stream)
}

// freshest is fresh, or what the directory knows when the catalog is away.
func (b *Broker) freshest(ctx context.Context, what Resource) (*streamView, error) {
	v, err := b.fresh(ctx, what)
	if leat.KindOf(err) == leat.KindUnavailable {
		if known, ok := b.directory.snap.Load().byName[streamName{what.Account, what.Stream}]; ok {
			return known, nil
		}
	}
	return v, err
}

// present is fresh for a stream that need not be there.
func (b *Broker) present(ctx context.Context, what Resource) (*streamView, error) {
	v, err := b.fresh(ctx, what)
	if err != nil && leat.KindOf(err) == leat.KindNotFound {
		return nil, nil
	}
	return v, err
}

// readableNamed finds a stream by name for a read that begins.
func (b *Broker) readableNamed(ctx context.Context, who leat.Principal, action Action, stream string, consumer ...string) (*streamView, error) {
	return b.on(ctx, who, action, (*Broker).writable, stream, consumer...)
}

// described finds a stream, whatever its state, as new as the catalog knows it; what the directory knows when the
// catalog is away.
func (b *Broker) described(ctx context.Context, who leat.Principal, action Action, stream string, consumer ...string) (*streamView, error) {
	return b.on(ctx, who, action, (*Broker).freshest, stream, consumer...)
}

// mayRead asks whether the caller may read a stream that another operation finds, if it is there.
func (b *Broker) mayRead(ctx context.Context, who leat.Principal, stream string) error {
	_, err := b.on(ctx, who, ActionGetRecords, (*Broker).present, stream)
	return err
}

// byID finds the stream that a token names and asks whether the caller may act on it. Where the caller names a stream
// too it MUST be the same; field is the token's name in the request.
func (b *Broker) byID(ctx context.Context, who leat.Principal, action Action, id leat.StreamID, named, field string) (*streamView, error) {
	var target Resource
	if named != "" {
		var err error
		if target, err = b.target(ctx, who, action, named); err != nil {
			return nil, err
		}
	}
	v, err := b.directory.findID(ctx, id)
	if err != nil {
		return nil, err
	}
	what := Resource{Account: v.Account, Stream: v.Name, ID: v.ID}
	if named != "" && (target.Account != what.Account || target.Stream != what.Stream) {
		return nil, leat.Invalid(field, "%s belongs to another stream than %s", field, target.Stream)
	}
	if err := b.may(ctx, who, action, what); err != nil {
		if named == "" && leat.KindOf(err) == leat.KindAccessDenied { // who was not told the stream's name does not learn it here
			err = leat.Errorf(leat.KindAccessDenied, "%s of account %s is not authorized to perform %s on the stream of this %s", who.Name, who.Account, action, field)
		}
		return nil, err
	}
	if v.Status == leat.StreamCreating { // here: whoever made the token has seen it serve
		if v, err = b.directory.shared(ctx, streamName{what.Account, what.Stream}); err != nil {
			return nil, err
		}
	}
	if v.ID != id || !v.serves() {
		return nil, errNoStream(what)
	}
	return v, nil
}

// became tells the directory of a split or merge that an owner has spoken of, and returns the stream with it.
func (b *Broker) became(ctx context.Context, v *streamView, r *shardstore.Reshard) *streamView {
	b.directory.Resharded(ctx, *r)
	if n := b.directory.snap.Load().byID[v.ID]; n != nil {
		return n
	}
	return v
}

// refreshed returns a stream as the catalog knows it now, or what was known when it cannot be asked. It never returns
// another stream of the same name.
func (b *Broker) refreshed(ctx context.Context, v *streamView) *streamView {
	n, err := b.directory.shared(ctx, streamName{v.Account, v.Name})
	if err != nil {
		n = b.directory.snap.Load().byID[v.ID] // which may be ahead of the catalog
	}
	if n == nil || n.ID != v.ID {
		return v
	}
	return n
}
