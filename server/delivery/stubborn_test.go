// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// stubborn is a pipeline that goes on whatever ends, as jq does within a step.
type stubborn struct {
	begun func()
	free  chan struct{}
}

func (stubborn) Close() error { return nil }

func (s stubborn) Apply(ctx context.Context, _ []spec.Record, _ int64) (spec.Result, error) {
	s.begun()
	<-s.free
	return spec.Result{}, context.Cause(ctx)
}

// hasty is a clock by which workers that are to stop have had their time at once.
type hasty struct{ leat.Clock }

func (h hasty) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	if d == delivery.StopTakes {
		d = 0
	}
	return h.Clock.NewTimer(d)
}

// A delivery that is in the middle of something that nothing interrupts holds up no other one, nor its own removal, nor the
// node's end.
func TestAWorkerThatDoesNotStop(t *testing.T) {
	t.Parallel()
	begun, free := make(chan struct{}), make(chan struct{})
	s := stubborn{begun: sync.OnceFunc(func() { close(begun) }), free: free}
	r := newRig(t, func(c *delivery.Config) {
		c.Clock = hasty{c.Clock}
		c.Compile = func(_ context.Context, arn string, _ []spec.Transform) (spec.Pipeline, error) {
			if strings.HasSuffix(arn, "/bad") {
				return s, nil
			}
			return keys{}, nil
		}
	})
	t.Cleanup(sync.OnceFunc(func() { close(free) }))
	r.stream("s", 1)
	with := func(c *spec.Config) { c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: "."}} }
	bad := r.toBucket("s", with)
	r.deliver("bad", bad)
	r.put("s", "one", "two")
	<-begun
	bad.Buffer.Seconds = 2
	_, err := r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "bad", Change: spec.Change{Config: &bad}})
	r.must(err)
	r.deliver("good", r.toBucket("s", with))
	r.settled("good", 2)
	r.must(r.broker.DeleteDelivery(t.Context(), who, "bad"))
	r.once(r.lines("data/"), []string{"one", "two"})
	r.kill()
}

// watched is a clock that keeps how long was waited.
type watched struct {
	leat.Clock
	mu    sync.Mutex
	waits map[time.Duration]int
}

func (w *watched) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	w.mu.Lock()
	w.waits[d]++
	w.mu.Unlock()
	return w.Clock.NewTimer(d)
}

// A node that waits for another one's plan, which has a shard of its own too, asks less and less often how far that is.
func TestAPlanThatAnotherNodeLeads(t *testing.T) {
	t.Parallel()
	var both, down atomic.Bool
	both.Store(true)
	down.Store(true)
	r := newRig(t, func(c *delivery.Config) {
		owns := c.Owns
		c.Owns = func(k leat.ShardKey) (uint64, bool) {
			if k.Ordinal != 0 && !both.Load() {
				return 0, false
			}
			return owns(k)
		}
		c.Fault = func(s delivery.Step, _ string) error {
			if s == delivery.StepNamed && down.Load() {
				both.Store(false)
				return errors.New("the destination is away")
			}
			return nil
		}
	})
	r.stream("s", 2)
	records := numbered("a", 100)
	r.put("s", records...)
	r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.Buffer.Merged = true }))
	r.until("a plan of both shards is made", func() bool { return !both.Load() })
	clock := &watched{Clock: r.clock, waits: map[time.Duration]int{}}
	other := r.another(func(c *delivery.Config) {
		owns := r.node.Store().Epoch
		c.Owns = func(k leat.ShardKey) (uint64, bool) {
			if k.Ordinal == 0 {
				return 0, false
			}
			return owns(k)
		}
		c.Fault, c.Clock, c.Pause = nil, clock, 20*time.Millisecond
	})
	ctx, stop := context.WithCancel(context.Background())
	var life sync.WaitGroup
	life.Go(func() { _ = other.Run(ctx) })
	t.Cleanup(func() {
		stop()
		life.Wait()
	})
	r.until("it waits longer each time", func() bool {
		clock.mu.Lock()
		defer clock.mu.Unlock()
		return clock.waits[20*time.Millisecond] > 0 && clock.waits[40*time.Millisecond] > 0
	})
	down.Store(false)
	r.settled("d", 100)
	r.once(r.lines("data/"), records)
	r.clean("d", 100)
}
