// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// fragile is a pipeline that panics over records with "bomb" as long as it is ill.
type fragile struct {
	ill            *atomic.Bool
	closed, struck *atomic.Int64
}

func (f fragile) Close() error {
	if f.closed.Add(1); f.ill.Load() {
		panic("close")
	}
	return nil
}

func (f fragile) Apply(_ context.Context, batch []spec.Record, _ int64) (res spec.Result, err error) {
	for i, b := range batch {
		if f.ill.Load() && strings.Contains(string(b.Data), "bomb") {
			f.struck.Add(1)
			_ = batch[len(batch)+i]
		}
		res.Outputs = append(res.Outputs, spec.Output{Source: i, Data: b.Data})
	}
	return res, nil
}

// What panics over a tenant's records makes that delivery wait, and nothing else: others go on, and so does it once it can.
func TestAPanicIsAFailureOfThePlan(t *testing.T) {
	t.Parallel()
	var ill atomic.Bool
	var closed, struck atomic.Int64
	r := newRig(t, func(c *delivery.Config) {
		c.Compile = func(context.Context, string, []spec.Transform) (spec.Pipeline, error) {
			return fragile{&ill, &closed, &struck}, nil
		}
		c.Memory = 1 << 20 // one plan at a time: what panicked must let go of it
	})
	r.stream("bad", 1)
	r.stream("good", 1)
	with := func(prefix string) func(*spec.Config) {
		return func(c *spec.Config) {
			c.Transforms, c.Naming.Prefix = []spec.Transform{{Kind: spec.JQ, Query: "."}}, prefix
		}
	}
	r.deliver("bad", r.toBucket("bad", with("bad/")))
	r.deliver("good", r.toBucket("good", with("good/")))
	ill.Store(true)
	r.put("bad", "one", "bomb", "three")
	r.until("it waits and says why, again and again", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "bad")
		return err == nil && len(d.Shards) == 1 && strings.Contains(d.Shards[0].Reason, "a fault in the server") && struck.Load() > 2
	})
	r.put("good", "four", "five")
	r.settled("good", 2)
	r.once(r.lines("good/"), []string{"four", "five"})
	if n := len(r.objects("bad/")); n > 0 {
		t.Errorf("%d objects of what panicked", n)
	}
	ill.Store(false)
	r.settled("bad", 3)
	r.once(r.lines("bad/"), []string{"one", "bomb", "three"})
	r.clean("bad", 3)
}
