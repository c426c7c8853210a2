// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore"
)

// gated are records that nobody reads before the gate is open.
type gated struct {
	delivery.Records
	asked, open func()
	gate, come  chan struct{}
}

func newGated(r delivery.Records) *gated {
	g := &gated{Records: r, gate: make(chan struct{}), come: make(chan struct{})}
	g.asked = sync.OnceFunc(func() { close(g.come) })
	g.open = sync.OnceFunc(func() { close(g.gate) })
	return g
}

func (g *gated) Read(ctx context.Context, key leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	g.asked()
	select {
	case <-g.gate:
	case <-ctx.Done():
		return shardstore.Page{}, ctx.Err()
	}
	return g.Records.Read(ctx, key, from, lim)
}

// A shard moves while its delivery is changed: the former owner plans a range with the former configuration, whose objects
// have other names, and the new owner, which looked at the cursor before, the same range with the new one. Each record is in
// one object.
func TestOneRangePlannedWithTwoConfigurations(t *testing.T) {
	t.Parallel()
	var was *gated
	writtenByWas, freed := make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(freed) })
	r := newRig(t, func(c *delivery.Config) {
		was = newGated(c.Records)
		c.Records, c.Look = was, time.Hour // it does not hear of the change
		first := sync.OnceFunc(func() {
			close(writtenByWas)
			<-freed
		})
		c.Fault = func(s delivery.Step, _ string) error {
			if s == delivery.StepWritten {
				first()
			}
			return nil
		}
	})
	t.Cleanup(free)
	r.stream("s", 1)
	r.deliver("d", r.toBucket("s"))
	records := numbered("a", 200)
	r.put("s", records...)
	<-was.come

	is := newGated(r.node)
	owner := r.another(func(c *delivery.Config) { c.Records, c.Look, c.Fault = is, 50*time.Millisecond, nil })
	ctx, stop := context.WithCancel(context.Background())
	var life sync.WaitGroup
	second := r.toBucket("s")
	second.Defaults()
	_, err := owner.Update(t.Context(), account, "d", spec.Change{Config: &second})
	r.must(err)
	life.Go(func() { _ = owner.Run(ctx) })
	t.Cleanup(func() {
		stop()
		life.Wait()
	})
	<-is.come // it has looked at the cursor, and nothing is planned
	was.open()
	<-writtenByWas
	is.open()
	r.settled("d", 200)
	free()
	r.once(r.lines("data/"), records)
	if rep := r.clean("d", 200); rep.Objects != 1 {
		t.Errorf("verify: %+v", rep)
	}
	r.put("s", "later")
	r.settled("d", 201)
	r.once(r.lines("data/"), append(records, "later"))
	r.clean("d", 201)
}
