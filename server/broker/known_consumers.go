// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"sync"

	"github.com/leatstream/leat"
)

// knownConsumers are those that have subscribed through this node. They may go on while the catalog is away: every
// subscription begins anew after five minutes.
type knownConsumers struct {
	mu     sync.Mutex
	active map[consumerKey]int64 // when each was made, seconds since 1970
}

type consumerKey struct {
	stream leat.StreamID
	name   string
}

func newKnownConsumers() *knownConsumers {
	return &knownConsumers{active: map[consumerKey]int64{}}
}

func (k *knownConsumers) remember(stream leat.StreamID, name string, created int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active[consumerKey{stream, name}] = created
}

func (k *knownConsumers) forget(stream leat.StreamID, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.active, consumerKey{stream, name})
}

func (k *knownConsumers) has(stream leat.StreamID, name string, created int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.active[consumerKey{stream, name}]
	return ok && (created == 0 || created == known)
}

// forgetGone drops the consumers of streams that the directory does not have any more.
func (k *knownConsumers) forgetGone(d *Directory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.active {
		if _, ok := d.Stream(key.stream); !ok {
			delete(k.active, key)
		}
	}
}

// activeConsumer checks that a stream has a consumer that may subscribe. Where it was named with the second in which it was
// made (0: it was not), another one that took its name later is not it.
func (b *Broker) activeConsumer(ctx context.Context, v *streamView, name string, created int64) error {
	c, err := b.catalog.Consumer(ctx, v.ID, name)
	switch {
	case err == nil && created != 0 && created != c.Created.Unix():
		return leat.Errorf(leat.KindNotFound, "Consumer %s:%d of stream %s under account %s not found.", name, created, v.Name, v.Account)
	case err == nil && c.Status == leat.ConsumerActive:
		b.known.remember(v.ID, name, c.Created.Unix())
		return nil
	case err == nil:
		return leat.Errorf(leat.KindInUse, "Consumer %s of stream %s under account %s not ACTIVE, instead in state %s", name, v.Name, v.Account, c.Status)
	case leat.KindOf(err) == leat.KindNotFound:
		b.known.forget(v.ID, name)
		return err
	case b.known.has(v.ID, name, created):
		return nil
	}
	return away(err)
}
