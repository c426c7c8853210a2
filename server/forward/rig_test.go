// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/shardstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a shard's records, whichever session owns it: what a bucket would hold.
type log struct {
	mu      sync.Mutex
	records []leat.Record
	changed chan struct{} // closed and replaced when a record comes or an owner goes
}

func (l *log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// session is one session's engine over such logs, which fails as tests ask.
type session struct {
	id leat.SessionID

	mu      sync.Mutex
	owned   map[leat.ShardKey]uint64 // epochs
	logs    map[leat.ShardKey]*log
	closed  map[leat.ShardKey]bool
	became  map[leat.ShardKey]*shardstore.Reshard // what closed them; nil: it does not say
	refuse  error                                 // of whole calls
	outcome func(p *shardstore.Put) error         // of single records
	silent  bool                                  // appends return without a word
	after   func(context.Context)                 // called when records have their places, before they are acked
	reading func(context.Context) error           // called before a read
	appends atomic.Int64                          // calls
}

var _ forward.Session = (*session)(nil)

func (s *session) Session() leat.SessionID { return s.id }

func (s *session) Epoch(k leat.ShardKey) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.owned[k]
	return e, ok
}

func (s *session) Append(ctx context.Context, puts []shardstore.Put) error {
	s.appends.Add(1)
	s.mu.Lock()
	if s.refuse != nil {
		defer s.mu.Unlock()
		return s.refuse
	}
	if s.silent {
		defer s.mu.Unlock()
		return nil
	}
	for i := range puts {
		p := &puts[i]
		l := s.logs[p.Shard]
		switch _, mine := s.owned[p.Shard]; {
		case !mine:
			p.Err = shardstore.ErrNotOwned
		case s.became[p.Shard] != nil:
			p.Err = &shardstore.ReshardedError{Reshard: s.became[p.Shard]}
		case s.closed[p.Shard]:
			p.Err = shardstore.ErrResharded
		case s.outcome != nil && s.outcome(p) != nil:
			p.Err = s.outcome(p)
		default:
			l.mu.Lock()
			p.Record.Offset, p.Record.Time, p.Err = uint64(len(l.records)), int64(1_000_000+len(l.records)), nil
			r := p.Record
			r.Data, r.PartitionKey = slices.Clone(r.Data), string([]byte(r.PartitionKey))
			l.records = append(l.records, r)
			l.wake()
			l.mu.Unlock()
		}
	}
	after := s.after
	s.mu.Unlock()
	if after != nil {
		after(ctx)
	}
	if ctx.Err() != nil {
		for i := range puts {
			puts[i].Err = errors.Join(shardstore.ErrUnknownOutcome, ctx.Err())
		}
	}
	return nil
}

func (s *session) log(k leat.ShardKey) (*log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	if _, ok := s.owned[k]; !ok {
		return nil, shardstore.ErrNotOwned
	}
	return s.logs[k], nil
}

func (s *session) Read(ctx context.Context, k leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	l, err := s.log(k)
	if err != nil {
		return shardstore.Page{}, err
	}
	s.mu.Lock()
	reading, became := s.reading, s.became[k]
	s.mu.Unlock()
	if reading != nil {
		if err := reading(ctx); err != nil {
			return shardstore.Page{}, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := uint64(len(l.records))
	end := min(tail, from+uint64(lim.Records))
	p := shardstore.Page{Records: slices.Clone(l.records[min(from, tail):end]), Next: end, Tail: tail, Behind: time.Duration(tail - end)}
	if became != nil && end == tail {
		p.Ended, p.Became = true, became
	}
	return p, nil
}

func (s *session) Wait(ctx context.Context, k leat.ShardKey, from uint64) error {
	for {
		l, err := s.log(k)
		if err != nil {
			return err
		}
		l.mu.Lock()
		n, changed := uint64(len(l.records)), l.changed
		l.mu.Unlock()
		if n > from {
			return nil
		}
		if _, err := s.log(k); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *session) Locate(_ context.Context, k leat.ShardKey, at int64) (uint64, error) {
	l, err := s.log(k)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.records {
		if l.records[i].Time >= at {
			return uint64(i), nil
		}
	}
	return uint64(len(l.records)), nil
}

func (s *session) Bounds(_ context.Context, k leat.ShardKey) (shardstore.Bounds, error) {
	l, err := s.log(k)
	if err != nil {
		return shardstore.Bounds{}, err
	}
	e, _ := s.Epoch(k)
	l.mu.Lock()
	defer l.mu.Unlock()
	return shardstore.Bounds{Epoch: e, Tail: uint64(len(l.records)), LastTime: 7, Closed: true}, nil
}

// place is who owns a shard, as the catalog would have it.
type place struct {
	session leat.SessionID
	epoch   uint64
	address string
}

// owners is what all nodes know of it.
type owners struct {
	mu    sync.Mutex
	of    map[leat.ShardKey]place
	stale atomic.Int64
}

func (o *owners) Owner(k leat.ShardKey) (leat.SessionID, uint64, string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.of[k]
	return p.session, p.epoch, p.address, ok
}

func (o *owners) Live(id leat.SessionID) (string, bool) {
	address, ok := o.Peers()[id]
	return address, ok
}

func (o *owners) Peers() map[leat.SessionID]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[leat.SessionID]string{}
	for _, p := range o.of {
		all[p.session] = p.address
	}
	return all
}

func (o *owners) Stale() { o.stale.Add(1) }

func (o *owners) set(k leat.ShardKey, p place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[k] = p
}

func (o *owners) forget(k leat.ShardKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.of, k)
}

// node is a process: its session, its server and its router.
type node struct {
	r       *rig
	session atomic.Pointer[session]
	broker  atomic.Pointer[broker.Broker] // that limits and counts; nil for none
	server  *forward.Server
	router  *forward.Router
	address string
	grpc    *grpc.Server
	road    *road
}

func (n *node) local() forward.Session {
	s := n.session.Load()
	if s == nil {
		return nil
	}
	if b := n.broker.Load(); b != nil {
		return b.Metered(s)
	}
	return s
}

func (n *node) report(streams []leat.StreamID) ([]byte, error) {
	if b := n.broker.Load(); b != nil {
		return b.Report(streams)
	}
	return nil, errors.New("there is no broker")
}

// road is a listener whose connections can be cut.
type road struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (r *road) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err == nil {
		r.mu.Lock()
		r.conns = append(r.conns, c)
		r.mu.Unlock()
	}
	return c, err
}

// cut resets all connections; new ones may be made.
func (r *road) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.(*net.TCPConn).SetLinger(0) // fails when it is closed already
		_ = c.Close()
	}
	r.conns = nil
}

// rig is some nodes of one cluster.
type rig struct {
	t      testing.TB
	owners *owners
	logs   map[leat.ShardKey]*log
	nodes  []*node
}

const within = 5 * time.Second

func newRig(t testing.TB, n int, ownerWithin time.Duration) *rig {
	t.Helper()
	r := &rig{t: t, owners: &owners{of: map[leat.ShardKey]place{}}, logs: map[leat.ShardKey]*log{}}
	for range n {
		r.nodes = append(r.nodes, r.start(ownerWithin))
	}
	return r
}

func (r *rig) credentials(secret string) *forward.Credentials {
	r.t.Helper()
	c, err := forward.NewCredentials([]byte(secret), leat.SystemClock{})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

const secret = "the secret of all the nodes"

func (r *rig) start(ownerWithin time.Duration) *node {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	n := &node{r: r, address: l.Addr().String(), road: &road{Listener: l}}
	n.session.Store(&session{id: leat.NewID[leat.SessionID](nil), owned: map[leat.ShardKey]uint64{}, logs: r.logs, closed: map[leat.ShardKey]bool{}})
	n.server = forward.NewServer(n.local, n.report, r.credentials(secret), nil, nil)
	n.router, err = forward.NewRouter(forward.Config{Local: n.local, Owners: r.owners, Credentials: r.credentials(secret), OwnerWithin: ownerWithin})
	if err != nil {
		r.t.Fatal(err)
	}
	n.grpc = grpc.NewServer(grpc.ForceServerCodecV2(forward.NewCodec()), grpc.MaxRecvMsgSize(16<<20),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := n.server.Authenticate(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}))
	n.server.Register(n.grpc)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = n.router.Run(ctx) })
	parts.Go(func() { _ = n.grpc.Serve(n.road) })
	r.t.Cleanup(func() {
		cancel()
		n.grpc.Stop()
		parts.Wait()
	})
	return n
}

// open gives a shard to a node's session in the next epoch, and tells all.
func (r *rig) open(k leat.ShardKey, n *node) {
	_, epoch, _, _ := r.owners.Owner(k)
	epoch++
	if r.logs[k] == nil {
		r.logs[k] = &log{changed: make(chan struct{})}
	}
	s := n.session.Load()
	s.mu.Lock()
	s.owned[k] = epoch
	s.mu.Unlock()
	r.owners.set(k, place{s.id, epoch, n.address})
}

// release takes a shard from a session, which nobody is told.
func (r *rig) release(k leat.ShardKey, n *node) {
	s := n.session.Load()
	s.mu.Lock()
	delete(s.owned, k)
	s.mu.Unlock()
	l := r.logs[k]
	l.mu.Lock()
	l.wake()
	l.mu.Unlock()
}

func (r *rig) records(k leat.ShardKey) []leat.Record {
	l := r.logs[k]
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// poll waits until ok holds.
func (r *rig) poll(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited too long for %s", what)
		}
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func shard(n uint64) leat.ShardKey { return leat.ShardKey{Stream: leat.StreamID{1, 2, 3}, Ordinal: n} }

func put(k leat.ShardKey, key, data string) shardstore.Put {
	p := shardstore.Put{Shard: k, Record: leat.Record{PartitionKey: key, Data: []byte(data)}}
	p.Record.CRC = p.Record.Checksum()
	return p
}
