// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// How old what is known of owners may become.
const (
	placedFor   = 5 * time.Second
	placeWithin = 5 * time.Second // to ask
	infoWithin  = time.Second     // to ask one node
	placeAgain  = 500 * time.Millisecond
)

// Nodes are the nodes of one cluster. Any node takes any request and passes on what another one serves; a producer that is
// given Nodes (ProducerOptions.Nodes) sends each record to the node that serves its shard, which saves that hop. What it
// knows of owners is asked of the nodes and may be behind: then a record takes the hop, and nothing is lost by it.
// All methods may be called concurrently. Close MUST be called.
type Nodes struct {
	clients []*Client
	turn    atomic.Uint32

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu      sync.Mutex
	streams map[string]*placement
	closed  bool
}

// placement is who serves a stream's shards.
type placement struct {
	asked  time.Time // when it was last begun to ask
	asking bool
	starts []leat.HashKey // of open shards, sorted
	owners []*Client      // of each; nil: not known
}

// DialNodes makes clients of several nodes. An endpoint is as Dial's, or several of them with commas between.
func DialNodes(endpoints []string, opts ...Option) (*Nodes, error) {
	n := &Nodes{streams: map[string]*placement{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for _, e := range strings.Split(strings.Join(endpoints, ","), ",") {
		c, err := Dial(strings.TrimSpace(e), opts...)
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
		n.clients = append(n.clients, c)
	}
	return n, nil
}

// Close ends all connections. It may be called twice.
func (n *Nodes) Close() error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cancel()
	n.asking.Wait()
	errs := make([]error, len(n.clients))
	for i, c := range n.clients {
		errs[i] = c.Close()
	}
	return errors.Join(errs...)
}

// Any returns a client of a node that is connected to, in turns; of any where none is yet.
func (n *Nodes) Any() *Client {
	first := int(n.turn.Add(1))
	for i := range n.clients {
		if c := n.clients[(first+i)%len(n.clients)]; c.usable() {
			return c
		}
	}
	return n.clients[first%len(n.clients)]
}

// usable tells whether a connection stands. One that does not may never: a call would wait for it.
func (c *Client) usable() bool { return c.conn.GetState() == connectivity.Ready }

// connected waits until any of the nodes is connected to.
func (n *Nodes) connected(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, c := range n.clients {
		if c.conn.GetState() == connectivity.Ready {
			return nil
		}
	}
	done := make(chan error, len(n.clients))
	for _, c := range n.clients {
		go func() { done <- c.connected(ctx, patience) }()
	}
	var err error
	for range n.clients {
		if err = <-done; err == nil {
			return nil
		}
	}
	return err
}

// share is the part of a batch that goes to one node.
type share struct {
	to       *Client
	at       []int // indexes of the records
	records  []*Record
	outcomes []outcome
}

// putBatch puts each record at its shard's owner, in one call for each, at the same time. Every record has an outcome:
// that of its call where the whole of that failed.
func (n *Nodes) putBatch(ctx context.Context, stream string, records []*Record, patience time.Duration) []outcome {
	p := n.placement(stream)
	shares := p.split(records, n.Any(), (*Client).usable)
	var all sync.WaitGroup
	for i, s := range shares {
		put := func() {
			got, err := s.to.putBatch(ctx, stream, s.records, patience)
			if err != nil {
				got = spread(len(s.records), err)
			}
			s.outcomes = got
		}
		if i == len(shares)-1 {
			put() // one of them needs no goroutine
		} else {
			all.Go(put)
		}
	}
	all.Wait()
	out := make([]outcome, len(records))
	for _, s := range shares {
		for i, at := range s.at {
			out[at] = s.outcomes[i]
		}
	}
	if slices.ContainsFunc(out, func(o outcome) bool { return o.err != nil }) {
		n.stale(stream)
	}
	return out
}

// split shares a batch out: each record to its shard's owner, and to rest where that is not known or no connection to it
// stands. That is asked once for each owner: a connection may drop meanwhile, and the shares are put at the same time, so
// the records of one key must all be in one.
func (p *placement) split(records []*Record, rest *Client, usable func(*Client) bool) []*share {
	var shares []*share
	by, chosen := map[*Client]*share{}, map[*Client]*Client{} // by where a share goes; who takes an owner's records
	for i, r := range records {
		owner := p.owner(r)
		to := chosen[owner]
		if to == nil {
			if to = owner; owner == nil || !usable(owner) {
				to = rest
			}
			chosen[owner] = to
		}
		s := by[to]
		if s == nil {
			s = &share{to: to}
			by[to], shares = s, append(shares, s)
		}
		s.at, s.records = append(s.at, i), append(s.records, r)
	}
	return shares
}

// owner finds the client of the node that serves a record's shard; nil when it is not known.
func (p *placement) owner(r *Record) *Client {
	if len(p.starts) == 0 {
		return nil
	}
	h := leat.HashPartitionKey(r.PartitionKey)
	if r.ExplicitHashKey != "" {
		var err error
		if h, err = leat.ParseHashKey(r.ExplicitHashKey); err != nil {
			return nil
		}
	}
	after := sort.Search(len(p.starts), func(i int) bool { return p.starts[i].Compare(h) > 0 })
	if after == 0 {
		return nil
	}
	return p.owners[after-1]
}

// placement returns what is known, and asks beside that when it has become old. Nobody waits for it: until it is known a
// record takes the hop.
func (n *Nodes) placement(stream string) placement {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.streams[stream]
	if p == nil {
		p = &placement{}
		n.streams[stream] = p
	}
	if now := time.Now(); !p.asking && !n.closed && now.Sub(p.asked) >= placedFor {
		p.asking, p.asked = true, now
		n.asking.Go(func() { n.ask(stream) })
	}
	return *p
}

// stale has the owners asked for again soon.
func (n *Nodes) stale(stream string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.streams[stream]; p != nil {
		if again := time.Now().Add(placeAgain - placedFor); p.asked.After(again) {
			p.asked = again
		}
	}
}

// ask learns which node has which session open, and which session owns which shard.
func (n *Nodes) ask(stream string) {
	ctx, cancel := context.WithTimeout(n.ctx, placeWithin)
	defer cancel()
	starts, owners, err := n.owners(ctx, stream)
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.streams[stream]
	p.asking = false
	if err == nil {
		p.starts, p.owners = starts, owners
	}
}

// sessions learns which session each node has open, and one of the nodes that answer; nil for none.
func (n *Nodes) sessions(ctx context.Context) (at map[string]*Client, from *Client) {
	ctx, cancel := context.WithTimeout(ctx, infoWithin) // one that is dead must not use up the time of the others
	defer cancel()
	var all sync.WaitGroup
	ids := make([]string, len(n.clients))
	for i, c := range n.clients {
		all.Go(func() {
			res, err := c.System.GetServerInfo(ctx, &leatv1.GetServerInfoRequest{})
			if err == nil {
				ids[i] = res.GetServer().GetSessionId()
			}
		})
	}
	all.Wait()
	at = map[string]*Client{}
	for i, id := range ids {
		if id != "" {
			at[id], from = n.clients[i], n.clients[i]
		}
	}
	return at, from
}

func (n *Nodes) owners(ctx context.Context, stream string) (starts []leat.HashKey, owners []*Client, err error) {
	at, from := n.sessions(ctx)
	if from == nil {
		return nil, nil, &leat.Error{Kind: leat.KindUnavailable, Op: "DialNodes", Message: "no node answers"}
	}
	type place struct {
		start leat.HashKey
		owner *Client
	}
	var places []place
	req := &leatv1.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards}
	for range maxPages {
		res, err := from.Shards.ListShards(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range res.GetShards() {
			if s.GetCloseTime() != nil {
				continue
			}
			hashes, err := hashRange(s.GetHashKeyRange())
			if err != nil {
				return nil, nil, err
			}
			places = append(places, place{hashes.Start, at[s.GetOwnerSessionId()]})
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	slices.SortFunc(places, func(a, b place) int { return a.start.Compare(b.start) })
	for _, p := range places {
		starts, owners = append(starts, p.start), append(owners, p.owner)
	}
	return starts, owners, nil
}
