// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/stats"

	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/shardstore"
)

const (
	sweepEvery = 250 * time.Millisecond
	// answerWithin is how long a put that was sent may still be answered when none of its shards is its session's any
	// more. An owner that lets go of a shard has answered all puts before others hear of it.
	answerWithin = time.Second
)

var (
	errOwnerChanged = errors.New("the shard has another owner by now")
	errUnsent       = errors.New("its owner could not be connected to in time")
)

// call is one that another node was asked.
type call struct {
	to      peerKey
	targets []target
	put     bool // its outcome is not known once it was sent
	cancel  context.CancelCauseFunc

	began time.Time
	moved time.Time // since when the sweep has found that its session owns none of its shards; zero while it does
	sent  atomic.Bool
}

// callKey finds a call in the context of its attempts.
type callKey struct{}

// marks notes in a call whether it was sent. gRPC makes a second attempt only where the peer has certainly not begun the
// first, so it is the last one that counts.
type marks struct{}

var _ stats.Handler = marks{}

// TagRPC changes nothing.
func (marks) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC is called in the goroutine of the call.
func (marks) HandleRPC(ctx context.Context, s stats.RPCStats) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	switch s.(type) {
	case *stats.Begin:
		c.sent.Store(false)
	case *stats.OutPayload: // the whole message has been handed to the connection
		c.sent.Store(true)
	}
}

// TagConn changes nothing.
func (marks) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (marks) HandleConn(context.Context, stats.ConnStats) {}

// calls are those under way.
type calls struct {
	mu  sync.Mutex
	all map[*call]struct{}
}

func (c *calls) add(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[one] = struct{}{}
}

func (c *calls) remove(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, one)
}

func (c *calls) snapshot() []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*call, 0, len(c.all))
	for one := range c.all {
		all = append(all, one)
	}
	return all
}

// invoke asks a session. What it returns without an answer of the session is ctx's error, shardstore.ErrNotOwned where the
// call was certainly not executed or may be made again, or shardstore.ErrUnknownOutcome.
func (r *Router) invoke(ctx context.Context, one *call, method string, req, resp any) (err error) {
	if r.tracer != nil {
		var span tracing.Span
		ctx, span = r.follow(ctx, one, method)
		defer func() { span.End(err) }()
	}
	to, err := r.pool.get(one.to)
	if err != nil {
		return moved(err)
	}
	defer r.pool.put(to)
	tried, cancel := context.WithCancelCause(context.WithValue(ctx, callKey{}, one))
	defer cancel(nil)
	one.cancel, one.began = cancel, r.clock.Now()
	r.calls.add(one)
	defer r.calls.remove(one)
	err = to.conn().Invoke(tried, method, req, resp)
	if err == nil {
		return nil
	}
	if said := answered(err); said != nil {
		return said
	}
	if cause := context.Cause(tried); cause != nil && ctx.Err() == nil {
		err = cause
	}
	err = fmt.Errorf("%s of session %s at %s: %w", method, one.to.session, one.to.address, err)
	switch {
	case !one.put && ctx.Err() != nil:
		return ctx.Err()
	case !one.put, !one.sent.Load(), certain(err):
		return moved(err)
	default:
		return fmt.Errorf("%w: %w", shardstore.ErrUnknownOutcome, err)
	}
}

// follow begins the span of a call, which the other node's are parts of.
func (r *Router) follow(ctx context.Context, one *call, method string) (context.Context, tracing.Span) {
	ctx, span := r.tracer.Call(ctx, "forward")
	if !span.Followed() {
		return ctx, span
	}
	span.Text("rpc.method", strings.TrimPrefix(method, prefix))
	span.Text("server.address", one.to.address)
	span.Text("leat.session", one.to.session.String())
	span.Number("leat.shards", int64(len(one.targets)))
	return r.tracer.ToGRPC(ctx), span
}

// sweep ends calls that wait in vain: whose session owns their shards no more, or cannot be connected to.
func (r *Router) sweep(now time.Time) {
	for _, one := range r.calls.snapshot() {
		switch {
		case r.stands(one):
			one.moved = time.Time{}
			if !one.sent.Load() && now.Sub(one.began) >= connectWithin {
				one.cancel(errUnsent)
			}
		case !one.put || !one.sent.Load():
			one.cancel(errOwnerChanged)
		case one.moved.IsZero():
			one.moved = now
		case now.Sub(one.moved) >= answerWithin:
			one.cancel(errOwnerChanged)
		}
	}
}

// stands tells whether a call's session still owns one of its shards; of a call about none, whether it is live.
func (r *Router) stands(one *call) bool {
	if len(one.targets) == 0 {
		_, live := r.owners.Live(one.to.session)
		return live
	}
	for _, t := range one.targets {
		session, epoch, _, ok := r.whose(t.shard)
		if ok && session == one.to.session && epoch == t.epoch {
			return true
		}
	}
	return false
}
