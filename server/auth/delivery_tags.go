// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/policy"
)

// DeliveryTags reads the tags of an account's delivery stream; KindNotFound when there is none.
type DeliveryTags func(ctx context.Context, account, name string) (map[string]string, error)

// deliveryTags are those of the delivery streams that somebody asks for whose policy goes by tags. All others cost nothing. They are as
// new as what Identities know: read again after every, and when this node has changed something.
type deliveryTags struct {
	read    DeliveryTags
	every   time.Duration
	clock   leat.Clock
	changes atomic.Uint64 // of this node

	mu    sync.Mutex
	known map[deliveryKey]*taggedDelivery
}

type deliveryKey struct{ account, name string }

// taggedDelivery is one delivery stream.
type taggedDelivery struct {
	turn chan struct{} // has room for one, who reads
	last atomic.Pointer[tagsRead]
}

// tagsRead is what is known after a read. It never changes.
type tagsRead struct {
	tried   time.Time // when it ended: who waited for one that took long and failed does not try again
	changes uint64    // of this node, when it began
	known   bool
	tags    map[string]string
}

// maxTaggedDeliveries bounds what is remembered; beyond it all begins anew.
const maxTaggedDeliveries = 4096

// of returns the tags of what a path names, and whether that is a delivery stream. What cannot be read now is as it was known. One
// caller at a time reads: meanwhile others have what is known, unless this node has changed something since; then they wait.
func (d *deliveryTags) of(ctx context.Context, what *policy.Resource) (tags map[string]string, is bool, err error) {
	name, is := strings.CutPrefix(what.Path, "firehose:deliverystream/")
	if !is || d.read == nil {
		return nil, false, nil
	}
	at := d.at(deliveryKey{what.Account, name})
	last := at.last.Load()
	if d.due(last) {
		if last, err = d.again(ctx, at, last, what.Account, name); err != nil {
			return nil, true, err
		}
	}
	if !last.known {
		return nil, true, leat.Errorf(leat.KindUnavailable, "the tags of delivery stream %s, by which policies go, cannot be read now: retry", name)
	}
	return last.tags, true, nil
}

// due tells whether something may have changed since a read.
func (d *deliveryTags) due(last *tagsRead) bool {
	again := d.every
	if !last.known {
		again = unknownEvery
	}
	return d.clock.Now().Sub(last.tried) >= again || last.changes != d.changes.Load()
}

// again reads, unless somebody else does.
func (d *deliveryTags) again(ctx context.Context, at *taggedDelivery, last *tagsRead, account, name string) (*tagsRead, error) {
	select {
	case at.turn <- struct{}{}:
	default:
		if last.known && last.changes == d.changes.Load() {
			return last, nil
		}
		select {
		case at.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, leat.Errorf(leat.KindCanceled, "the caller went away or ran out of time: %w", ctx.Err())
		}
	}
	defer func() { <-at.turn }()
	if last = at.last.Load(); !d.due(last) {
		return last, nil
	}
	next := *last
	next.changes = d.changes.Load()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
	defer cancel()
	if tags, err := d.read(bounded, account, name); err == nil || leat.KindOf(err) == leat.KindNotFound {
		next.known, next.tags = true, tags
	}
	next.tried = d.clock.Now()
	at.last.Store(&next)
	return &next, nil
}

func (d *deliveryTags) at(key deliveryKey) *taggedDelivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.known[key]
	if at == nil {
		if d.known == nil || len(d.known) >= maxTaggedDeliveries {
			d.known = map[deliveryKey]*taggedDelivery{}
		}
		at = &taggedDelivery{turn: make(chan struct{}, 1)}
		at.last.Store(&tagsRead{})
		d.known[key] = at
	}
	return at
}
