// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// oneKey seals every stream.
type oneKey struct{}

var keyID = leat.KeyID{1, 2, 3}

func (oneKey) Current(leat.StreamID) (segment.Key, error) {
	secret, err := oneKey{}.Key(keyID)
	return segment.Key{ID: keyID, Secret: secret}, err
}

func (oneKey) Key(id leat.KeyID) ([]byte, error) {
	if id != keyID {
		return nil, leat.Errorf(leat.KindUnavailable, "there is no key %s", id)
	}
	return bytes.Repeat([]byte("k"), segment.KeyBytes), nil
}

func asks(c *spec.Config) {
	c.Transforms = []spec.Transform{{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "http://transform.example"}}}
}

// What transforms made of the records of an encrypted stream is sealed where it is kept, and serves the next try.
func TestOutcomesOfEncryptedStreamsAreSealed(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		var mu sync.Mutex
		var r *rig
		var kept [][]byte
		r = newRig(t, compile(keys{unsteady: true}), func(c *delivery.Config) {
			if sealed {
				c.Keys = oneKey{}
			}
			c.Fault = func(s delivery.Step, plan string) error {
				mu.Lock()
				defer mu.Unlock()
				if s != delivery.StepNamed || len(kept) > 2 {
					return nil
				}
				body, err := r.blobs.Read(context.Background(), "delivery/"+plan, 0, -1)
				kept = append(kept, body)
				return errors.Join(err, errors.New("struck"))
			}
		})
		r.stream("s", 1)
		r.put("s", "secret:1", "secret:2")
		r.deliver("d", r.toBucket("s", partitioned(100), asks))
		r.settled("d", 2)
		r.once(r.words("data/"), []string{"secret:1", "secret:2"})
		r.clean("d", 2)
		mu.Lock()
		for i, body := range kept {
			if bytes.Contains(body, []byte("secret:")) == sealed {
				t.Errorf("sealed %v: %d bytes are kept: %.60q", sealed, len(body), body)
			}
			if !bytes.Equal(body, kept[0]) {
				t.Errorf("try %d has another outcome", i)
			}
		}
		mu.Unlock()
	}
}

// What is kept of plans goes when a shard or a backfill ends, with the delivery stream, and, of those that left it behind, when a
// node starts; of a plan that the ledger does not have as committed it stays.
func TestNothingIsKeptOfWhatIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, compile(keys{unsteady: true}), func(c *delivery.Config) { c.Ledger = true })
	kept := func(want int) {
		t.Helper()
		var names []string
		r.until("what is over is gone", func() bool {
			all, err := r.blobs.List(t.Context(), "delivery/", "", 10)
			r.must(err)
			names = nil
			for _, info := range all {
				names = append(names, info.Key)
			}
			return len(names) == want
		})
		if slices.Contains(names, "delivery/of-nobody") {
			t.Errorf("%v are kept", names)
		}
	}
	r.stream("s", 1)
	r.put("s", "a:1", "a:2")
	r.deliver("d", r.toBucket("s", partitioned(100), asks))
	r.settled("d", 2)
	kept(1)
	_, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{
		Delivery: "d", From: r.clock.Now().Add(-time.Hour), To: r.clock.Now().Add(time.Hour), Prefix: "again/!{partitionKeyFromQuery:word}/",
	})
	r.must(err)
	r.until("the backfill is done", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		r.must(err)
		return len(d.Backfills) == 1 && d.Backfills[0].Done
	})
	r.once(r.words("again/"), []string{"a:1", "a:2"})
	kept(1)
	r.must(r.blobs.Create(t.Context(), "delivery/of-nobody", []byte("x")))
	r.kill()
	r.start()
	kept(1)
	r.kill()
	r.forget() // the ledger has the backfill as done
	r.start()
	r.settled("d", 2)
	kept(1)
	if got := r.words("again/"); len(got) != 2 {
		t.Errorf("the backfill wrote %v", got)
	}
	r.clean("d", 2)
	r.must(r.broker.DeleteDelivery(t.Context(), who, "d"))
	kept(0)
}

// closing is a bucket from which nothing is taken away while it is shut.
type closing struct {
	blob.Store
	open    chan struct{}
	deletes atomic.Int64
}

func (c *closing) Delete(ctx context.Context, key string) error {
	c.deletes.Add(1)
	select {
	case <-c.open:
		return c.Store.Delete(ctx, key)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Whoever deletes a delivery stream does not wait until what was kept of its plans is gone, of which most never had anything.
func TestADeletionDoesNotWaitForTheBucket(t *testing.T) {
	t.Parallel()
	shut := &closing{open: make(chan struct{})}
	open := sync.OnceFunc(func() { close(shut.open) })
	r := newRig(t, compile(keys{unsteady: true}), func(c *delivery.Config) {
		shut.Store = c.Blobs
		c.Ledger, c.Blobs = true, shut
	})
	t.Cleanup(open)
	r.stream("s", 2)
	r.put("s", "a:1", "a:2")
	r.deliver("asks", r.toBucket("s", partitioned(100), asks, func(c *spec.Config) { c.Buffer.Merged = true }))
	r.deliver("plain", r.toBucket("s"))
	r.settled("asks", 2)
	r.settled("plain", 2)
	var deleted atomic.Int64
	for _, name := range []string{"asks", "plain"} {
		go func() {
			if r.broker.DeleteDelivery(context.Background(), who, name) == nil {
				deleted.Add(1)
			}
		}()
	}
	r.until("both are deleted", func() bool { return deleted.Load() == 2 })
	open()
	r.until("what was kept is gone", func() bool {
		kept, err := r.blobs.List(t.Context(), "delivery/", "", 10)
		return err == nil && len(kept) == 0
	})
	if n := shut.deletes.Load(); n != 1 {
		t.Errorf("%d objects were deleted", n)
	}
}
