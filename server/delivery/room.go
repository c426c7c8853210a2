// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/leatstream/leat/server/delivery/spec"
)

// What deliveries take of a node's memory while they work:
//
//	Config.Memory  records of plans, and as many bytes of what transforms and formats make of them; of Parquet, the columns too
//	Config.Memory  what they make beyond, where small records become large ones
//	one plan       may go further: those that wait for each other's bytes would wait for ever otherwise. Accounts take turns
//
// The first two are shared by accounts, and plans that are carried out again have half of the first at most, all of them together: a
// destination that does not answer holds up its own account alone. A plan gives all of it back when it is committed, and when a
// try fails.

// shareOfAccount is which part of these bytes one account may have: a plan has them for as long as a try takes, and others'
// must go on meanwhile.
const shareOfAccount = 4

// turn is for how long a plan may go further, and send requests, while another account's waits to do so. It goes on in its next
// turn.
const turn = 30 * time.Second

// errTurn says that it is another account's.
var errTurn = errors.New("delivery: another account's turn")

// share is what one account may have.
type share struct {
	work, beyond *semaphore.Weighted
	alone        *semaphore.Weighted // 1: its plan that goes further, or waits to
}

// room is what one plan has.
type room struct {
	e      *Engine
	of     *share
	work   int64 // of the node's bytes
	own    int64 // of the account's, which has no more than its share
	again  int64 // of what plans have that failed
	beyond int64
	alone  bool
	since  time.Time    // it is alone
	most   int64        // bytes that may be made of the records
	made   atomic.Int64 // of them, so far
}

// room waits until a plan whose records take size bytes may be carried out, for which its format takes more. again: its last try
// failed, or somebody died over it.
func (e *Engine) room(ctx context.Context, account string, size, more int64, again bool) (*room, error) {
	part := max(e.cfg.Memory/shareOfAccount, 1)
	of, _ := e.shares.LoadOrStore(account, &share{semaphore.NewWeighted(part), semaphore.NewWeighted(part), semaphore.NewWeighted(1)})
	size = max(size, 1<<20)
	all := 2*size + more
	r := &room{e: e, of: of.(*share), work: min(all, e.cfg.Memory), own: min(all, part), most: size} //nolint:forcetypeassert // stored here alone
	if again {
		// One that is larger than its half counts as that: otherwise it would hold up those that did not fail.
		r.work = min(r.work, e.cfg.Memory/2)
		r.again = r.work
	}
	if err := r.of.work.Acquire(ctx, r.own); err != nil {
		return nil, err
	}
	if again { // nobody else: also who acquires nothing waits for those before
		if err := e.again.Acquire(ctx, r.again); err != nil {
			r.of.work.Release(r.own)
			return nil, err
		}
	}
	if err := e.work.Acquire(ctx, r.work); err != nil {
		e.again.Release(r.again)
		r.of.work.Release(r.own)
		return nil, err
	}
	return r, nil
}

// left is how many bytes may still be made.
func (r *room) left() int64 { return r.most - r.made.Load() }

// more has as many bytes again be made, or any number once no other plan does.
func (r *room) more(ctx context.Context) error {
	if r.of.beyond.TryAcquire(r.most) {
		if r.e.beyond.TryAcquire(r.most) {
			r.beyond += r.most
			r.most *= 2
			return nil
		}
		r.of.beyond.Release(r.most)
	}
	if err := r.of.alone.Acquire(ctx, 1); err != nil {
		return err
	}
	r.e.waiting.Add(1)
	err := r.e.alone.Acquire(ctx, 1)
	r.e.waiting.Add(-1)
	if err != nil {
		r.of.alone.Release(1)
		return err
	}
	r.alone, r.since, r.most = true, r.e.cfg.Clock.Now(), math.MaxInt64
	return nil
}

// over tells whether the plan is to be tried again later, since another account's waits for its turn.
func (r *room) over() bool {
	return r.alone && r.e.waiting.Load() > 0 && r.e.cfg.Clock.Now().Sub(r.since) >= turn
}

func (r *room) free() {
	if r.alone {
		r.e.alone.Release(1)
		r.of.alone.Release(1)
	}
	r.e.beyond.Release(r.beyond)
	r.of.beyond.Release(r.beyond)
	r.e.work.Release(r.work)
	r.e.again.Release(r.again)
	r.of.work.Release(r.own)
}

// body is the bytes of an object, up to as many as may be made.
type body struct {
	bytes.Buffer
	most int64
	over bool
}

func (b *body) Write(p []byte) (int, error) {
	if b.over = b.over || int64(b.Len()+len(p)) > b.most; b.over {
		return 0, spec.ErrRoom
	}
	return b.Buffer.Write(p)
}
