// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"slices"

	"github.com/leatstream/leat"
)

// State is what the entries up to one come to.
type State struct {
	N        uint64
	Cluster  leat.ClusterID
	Streams  map[leat.StreamID]*StreamState
	Accounts map[string]Account
	Sessions map[leat.SessionID]Session // that were opened, closed ones too

	Deliveries map[string]*Delivery // by id
}

// StreamState is one stream.
type StreamState struct {
	Head   Head
	Shards map[uint64]Shard
}

// NewState is the state before the first entry.
func NewState() *State {
	return &State{Streams: map[leat.StreamID]*StreamState{}, Accounts: map[string]Account{}, Sessions: map[leat.SessionID]Session{}, Deliveries: map[string]*Delivery{}}
}

// Apply takes one entry in. KindCorrupt when it is not the next one, unless it is full, or of another cluster.
func (s *State) Apply(e *Entry) error {
	switch {
	case e.N != s.N+1 && (!e.Full || s.N != 0):
		return leat.Errorf(leat.KindCorrupt, "journal entry %d follows entry %d", e.N, s.N)
	case s.N == 0 && !e.Full:
		return leat.Errorf(leat.KindCorrupt, "journal entry %d is the first, and does not have the whole state", e.N)
	case s.N > 0 && e.Cluster != s.Cluster:
		return leat.Errorf(leat.KindCorrupt, "journal entry %d is of cluster %s, those before it of %s", e.N, e.Cluster, s.Cluster)
	}
	if e.Full {
		*s = *NewState()
	}
	s.N, s.Cluster = e.N, e.Cluster
	for i := range e.Streams {
		s.stream(&e.Streams[i])
	}
	for i := range e.Deliveries {
		s.delivery(&e.Deliveries[i])
	}
	for _, a := range e.Accounts {
		s.Accounts[a.Account] = a
	}
	for _, o := range e.Sessions {
		o.Below = max(o.Below, s.Sessions[o.ID].Below)
		s.Sessions[o.ID] = o
	}
	for _, t := range e.Trims {
		o := s.Sessions[t.Session]
		o.ID, o.Below = t.Session, max(o.Below, t.Below)
		s.Sessions[t.Session] = o
	}
	for _, end := range e.Ends {
		if st := s.Streams[end.Shard.Stream]; st != nil {
			if sh, ok := st.Shards[end.Shard.Ordinal]; ok {
				sh.Next, sh.LastTime = max(sh.Next, end.Next), max(sh.LastTime, end.LastTime)
				st.Shards[end.Shard.Ordinal] = sh
			}
		}
	}
	return nil
}

func (s *State) stream(c *Stream) {
	if c.Gone {
		delete(s.Streams, c.ID)
		return
	}
	st := s.Streams[c.ID]
	if st == nil {
		st = &StreamState{Shards: map[uint64]Shard{}}
		s.Streams[c.ID] = st
	}
	if c.Head != nil {
		st.Head = *c.Head
	}
	if c.Bare {
		clear(st.Shards)
	}
	for _, sh := range c.Shards {
		was := st.Shards[sh.Key.Ordinal]
		sh.Next, sh.LastTime, sh.Epoch = max(sh.Next, was.Next), max(sh.LastTime, was.LastTime), max(sh.Epoch, was.Epoch)
		st.Shards[sh.Key.Ordinal] = sh
	}
	for _, o := range c.Lost {
		delete(st.Shards, o)
	}
}

// delivery takes a change of a delivery stream in. Backfills and cursors that are there stay as they are, and so do
// configurations but for how their secrets are wrapped.
func (s *State) delivery(c *Delivery) {
	if c.Gone {
		delete(s.Deliveries, c.ID)
		return
	}
	d := s.Deliveries[c.ID]
	if d == nil {
		d = &Delivery{ID: c.ID}
		s.Deliveries[c.ID] = d
	}
	if c.Head != nil {
		d.Head = c.Head
	}
	same := func(a, b *DeliveryConfig) bool { return a.Track == b.Track && a.Version == b.Version }
	d.Configs = addNew(d.Configs, c.Configs, same)
	for i := range c.Configs {
		for j := range d.Configs {
			if same(&d.Configs[j], &c.Configs[i]) {
				d.Configs[j].Secrets = c.Configs[i].Secrets
			}
		}
	}
	d.Backfills = addNew(d.Backfills, c.Backfills, func(a, b *DeliveryBackfill) bool { return a.Track == b.Track })
	d.Cursors = addNew(d.Cursors, c.Cursors, func(a, b *DeliveryCursor) bool { return a.Track == b.Track && a.Ordinal == b.Ordinal })
}

// addNew appends what is not there yet.
func addNew[T any](there, more []T, same func(a, b *T) bool) []T {
	for i := range more {
		if !slices.ContainsFunc(there, func(t T) bool { return same(&t, &more[i]) }) {
			there = append(there, more[i])
		}
	}
	return there
}
