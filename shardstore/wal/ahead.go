// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"sync"

	"github.com/leatstream/leat/shardstore/segment"
)

// maxAhead is how many objects a scan reads at once.
const maxAhead = 8

// ahead reads the objects after the one that is judged while that one is on its way. What it reads early serves only if
// everything before it was judged without change; again throws it away.
type ahead struct {
	look   func(context.Context, uint64) (*segment.Footer, error)
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	out    map[uint64]chan looked
	width  int
}

type looked struct {
	f   *segment.Footer
	err error
}

func newAhead(ctx context.Context, look func(context.Context, uint64) (*segment.Footer, error)) *ahead {
	a := &ahead{look: look, out: make(map[uint64]chan looked), width: 1}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// at returns what stands at n. Calls come in ascending order.
func (a *ahead) at(n uint64) (*segment.Footer, error) {
	for m := n; m < n+uint64(a.width); m++ {
		if a.out[m] == nil {
			a.begin(m)
		}
	}
	got := <-a.out[n]
	delete(a.out, n)
	if got.err == nil {
		a.width = min(2*a.width, maxAhead)
	}
	return got.f, got.err
}

func (a *ahead) begin(n uint64) {
	c := make(chan looked, 1)
	a.out[n] = c
	ctx := a.ctx
	a.tasks.Go(func() {
		f, err := a.look(ctx, n)
		c <- looked{f, err}
	})
}

// again forgets what was read ahead: it may be older than what is known now.
func (a *ahead) again() { clear(a.out) }

// stop ends and joins the reads under way.
func (a *ahead) stop() {
	a.cancel()
	a.tasks.Wait()
}
