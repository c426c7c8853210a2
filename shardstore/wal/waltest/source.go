// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package waltest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// Source is a wal.Source whose appends say when they are durable. Set Notify before the first Append.
type Source struct {
	Notify func(pending int)
	Target int // bytes of one segment; 0 for no bound

	t     testing.TB
	seg   *Segments
	freed atomic.Int64

	mu      sync.Mutex
	pending []appended
	taken   [][]appended // by number, from durable on
	next    uint64
	durable uint64
}

type appended struct {
	size    int
	control segment.ControlKind // 0 for none
	done    chan struct{}
}

var _ wal.Source = (*Source)(nil)

// NewSource returns a source of segments.
func NewSource(t testing.TB, seg *Segments) *Source { return &Source{t: t, seg: seg} }

// Append makes size bytes pending. The channel is closed when they are durable.
func (s *Source) Append(size int) <-chan struct{} { return s.append(appended{size: size}) }

// Control makes a control record pending.
func (s *Source) Control(k segment.ControlKind) <-chan struct{} {
	return s.append(appended{size: 1, control: k})
}

func (s *Source) append(a appended) <-chan struct{} {
	a.done = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, a)
	s.notify()
	return a.done
}

// notify tells the writer what is pending. mu is held.
func (s *Source) notify() {
	n := 0
	for _, a := range s.pending {
		n += a.size
	}
	s.Notify(n)
}

// Take implements wal.Source.
func (s *Source) Take(n uint64) func() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n != s.next {
		s.t.Errorf("Take(%d), %d is next", n, s.next)
	}
	if len(s.pending) == 0 {
		s.t.Errorf("Take(%d) with nothing pending", n)
	}
	k, size := 0, 0
	var controls []segment.ControlKind
	for k < len(s.pending) && (s.Target == 0 || size < s.Target) {
		size += s.pending[k].size
		if c := s.pending[k].control; c != 0 {
			controls = append(controls, c)
		}
		k++
	}
	s.taken = append(s.taken, s.pending[:k:k])
	s.pending = s.pending[k:]
	s.next++
	s.notify()
	return func() []byte { return s.seg.Make(s.t, n, size, controls...) }
}

// Durable implements wal.Source.
func (s *Source) Durable(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n != s.durable {
		s.t.Errorf("Durable(%d), %d is next", n, s.durable)
		return
	}
	for _, a := range s.taken[0] {
		close(a.done)
	}
	s.taken = s.taken[1:]
	s.durable++
}

// Free implements wal.Source. It spoils the bytes, so that a try which still reads them writes what no test expects.
func (s *Source) Free(segment []byte) {
	for i := range segment {
		segment[i] = 0xa5
	}
	s.freed.Add(1)
}

// Freed is how many segments were given back.
func (s *Source) Freed() int { return int(s.freed.Load()) }
