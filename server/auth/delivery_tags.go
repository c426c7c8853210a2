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

// taggedDelivery is one delivery stream. Whoever asks for it while it is read waits for that.
type taggedDelivery struct {
	mu      sync.Mutex
	tried   time.Time
	changes uint64 // of this node, when it was tried
	known   bool
	tags    map[string]string
}

// maxTaggedDeliveries bounds what is remembered; beyond it all begins anew.
const maxTaggedDeliveries = 4096

// of returns the tags of what a path names, and whether that is a delivery stream. What cannot be read now is as it was known.
func (d *deliveryTags) of(ctx context.Context, what *policy.Resource) (tags map[string]string, is bool, err error) {
	name, is := strings.CutPrefix(what.Path, "firehose:deliverystream/")
	if !is || d.read == nil {
		return nil, false, nil
	}
	at := d.at(deliveryKey{what.Account, name})
	at.mu.Lock()
	defer at.mu.Unlock()
	now, changes, again := d.clock.Now(), d.changes.Load(), d.every
	if !at.known {
		again = unknownEvery
	}
	if now.Sub(at.tried) >= again || at.changes != changes {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
		defer cancel()
		at.tried, at.changes = now, changes
		if tags, err := d.read(bounded, what.Account, name); err == nil || leat.KindOf(err) == leat.KindNotFound {
			at.known, at.tags = true, tags
		}
	}
	if !at.known {
		return nil, true, leat.Errorf(leat.KindUnavailable, "the tags of delivery stream %s, by which policies go, cannot be read now: retry", name)
	}
	return at.tags, true, nil
}

func (d *deliveryTags) at(key deliveryKey) *taggedDelivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.known[key]
	if at == nil {
		if d.known == nil || len(d.known) >= maxTaggedDeliveries {
			d.known = map[deliveryKey]*taggedDelivery{}
		}
		at = &taggedDelivery{}
		d.known[key] = at
	}
	return at
}
