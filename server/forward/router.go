// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/shardstore"
)

const (
	pauseFirst = 5 * time.Millisecond // before an owner is looked for again; doubled each time
	pauseLast  = 200 * time.Millisecond
	retryHint  = 200 * time.Millisecond
)

// Config is what a Router needs; TLS, OwnerWithin and Clock have defaults.
type Config struct {
	Local       Local
	Owners      Owners
	Credentials *Credentials
	TLS         credentials.TransportCredentials // nil: calls between nodes are not encrypted
	// OwnerWithin is how long a call waits for an owner that can be reached, unless its context ends before; 0 means 10 s.
	OwnerWithin time.Duration
	Tracer      *tracing.Tracer // nil: calls are not followed
	Memory      mem.BufferPool  // of messages; it need not clear it. nil: a pool of its own
	Clock       leat.Clock
}

// Router is an engine over all the cluster's shards. All its methods may be called concurrently.
type Router struct {
	local  Local
	owners Owners
	within time.Duration
	clock  leat.Clock
	pool   *pool
	calls  calls
	tracer *tracing.Tracer
	ahead  ahead

	forwarded struct{ calls, records atomic.Uint64 }
}

// Forwarded is how many puts this node has handed to others: calls, and the records in them.
func (r *Router) Forwarded() (calls, records uint64) {
	return r.forwarded.calls.Load(), r.forwarded.records.Load()
}

var _ Engine = (*Router)(nil)

// NewRouter makes a Router. Run MUST be running while it is used.
func NewRouter(c Config) (*Router, error) {
	if c.Local == nil || c.Owners == nil || c.Credentials == nil {
		return nil, errors.New("forward: local, owners and credentials must be given")
	}
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.OwnerWithin == 0 {
		c.OwnerWithin = 10 * time.Second
	}
	return &Router{
		local: c.Local, owners: c.Owners, within: c.OwnerWithin, clock: c.Clock,
		pool: newPool(&c), tracer: c.Tracer,
		calls: calls{all: map[*call]struct{}{}},
	}, nil
}

// Run ends calls that wait in vain and closes connections that nobody needs, until ctx ends. Then it closes all of them,
// which ends the calls under way, and returns nil.
func (r *Router) Run(ctx context.Context) error {
	defer r.pool.close()
	for {
		tick, stop := r.clock.NewTimer(sweepEvery)
		select {
		case <-tick:
			now := r.clock.Now()
			r.ahead.tidy(r.owners)
			r.sweep(now)
			r.pool.tidy(now)
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// owner is who serves a shard: this node's session, or another one.
type owner struct {
	local Session // nil: another node's
	peer  peerKey
	epoch uint64
}

// owner finds a shard's owner. This node's own session knows best what it serves, unless somebody has the shard in a
// later epoch.
func (r *Router) owner(local Session, shard leat.ShardKey) (o owner, ok bool) {
	session, epoch, address, ok := r.whose(shard)
	if local != nil {
		if e, mine := local.Epoch(shard); mine && (!ok || e >= epoch) {
			return owner{local: local, epoch: e}, true
		}
		if session == local.Session() {
			return owner{}, false // not open yet, or let go of
		}
	}
	return owner{peer: peerKey{session, address}, epoch: epoch}, ok && address != ""
}

// whose tells who is believed to serve a shard: what the table of owners says, or the session that told of a child which
// the table does not have.
func (r *Router) whose(shard leat.ShardKey) (session leat.SessionID, epoch uint64, address string, ok bool) {
	if session, epoch, address, ok = r.owners.Owner(shard); ok {
		return session, epoch, address, true
	}
	if peer, told := r.ahead.find(shard); told {
		return peer.session, 1, peer.address, true
	}
	return session, epoch, address, false
}

// search bounds how long a call looks for owners.
type search struct {
	r     *Router
	until time.Time
	pause time.Duration
}

func (r *Router) search() search {
	return search{r: r, until: r.clock.Now().Add(r.within), pause: pauseFirst}
}

// again waits before another look; false when time is up or ctx has ended.
func (s *search) again(ctx context.Context) bool {
	s.r.owners.Stale()
	left := s.until.Sub(s.r.clock.Now())
	if left <= 0 {
		return false
	}
	c, stop := s.r.clock.NewTimer(min(s.pause, left))
	defer stop()
	s.pause = min(2*s.pause, pauseLast)
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

var errNoOwner = errors.New("no live session owns the shard")

// unavailable is what a call ends with that found no owner in time: it was certainly not executed.
func unavailable(cause error) error {
	return &leat.Error{
		Kind: leat.KindUnavailable, Message: "the shard is being opened or moved; nothing was executed: retry",
		After: retryHint, Err: moved(cause),
	}
}

// ask makes a call that changes nothing, of whoever owns the shard, until somebody answers.
func (r *Router) ask(ctx context.Context, shard leat.ShardKey, do func(owner) error) error {
	for look := r.search(); ; {
		err := errNoOwner
		if o, ok := r.owner(r.local(), shard); ok {
			if err = do(o); !hasMoved(err) {
				return err
			}
		}
		if !look.again(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return unavailable(err)
		}
	}
}

var _ Session = (*shardstore.Store)(nil)
