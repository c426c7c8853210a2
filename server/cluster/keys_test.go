// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/shardstore/segment"
)

// keySpy notes which keys it was asked for.
type keySpy struct {
	mu    sync.Mutex
	asked []leat.KeyID
}

func (k *keySpy) Key(id leat.KeyID) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, id)
	return make([]byte, segment.KeyBytes), nil
}

func (k *keySpy) Current(leat.StreamID) (segment.Key, error) { return segment.Key{}, nil }

func (k *keySpy) has(id leat.KeyID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.asked, id)
}

// A stream whose encryption changed becomes ACTIVE only after the node that serves it knows; a node that begins to serve
// knows all keys before it does.
func TestAStreamIsActiveOnceItsKeyIsKnown(t *testing.T) {
	w := newWorld(t)
	spy := &keySpy{}
	var mu sync.Mutex
	away := false
	known := map[leat.KeyID]bool{} // keys of streams that Known saw UPDATING
	a := w.node("a", func(c *cluster.Config) {
		c.Keys = spy
		c.Known = func(ctx context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if away {
				return errors.New("the directory cannot be read")
			}
			streams, err := w.cat.Streams(ctx)
			for _, s := range streams {
				known[s.DataKey] = known[s.DataKey] || s.Status == leat.StreamUpdating
			}
			return err
		}
	}).awaitReady()
	s, _ := w.stream(a, "s", 1)
	mu.Lock()
	away = true
	mu.Unlock()
	k := catalog.StreamKey{ID: leat.NewID[leat.KeyID](nil), Stream: s.ID, Wrapped: "w"}
	if _, err := w.cat.StartEncryption(t.Context(), k, "k"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		a.Kick()
		_, _ = w.stream(a, "other"+leat.NewID[leat.KeyID](nil).String(), 1) // a round of the control loop has passed
	}
	if st := w.status(s.ID); st != leat.StreamUpdating {
		t.Errorf("the stream is %s while this node does not know its key", st)
	}
	mu.Lock()
	away = false
	mu.Unlock()
	a.Kick()
	await(t, "the stream is active", func() bool { return w.status(s.ID) == leat.StreamActive })
	mu.Lock()
	if !known[k.ID] || !spy.has(k.ID) {
		t.Errorf("ACTIVE before the node knew: %v, %v", known[k.ID], spy.has(k.ID))
	}
	mu.Unlock()
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	next := &keySpy{}
	w.node("b", func(c *cluster.Config) { c.Keys = next }).awaitReady()
	if !next.has(k.ID) {
		t.Error("a node serves that has not fetched the keys")
	}
}
