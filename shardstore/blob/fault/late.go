// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
)

// delivery is a write that the network still holds.
type delivery struct {
	op   Op
	key  string
	body []byte
}

// keep copies the body: a caller may use its buffer again once it was answered.
func (s *Store) keep(op Op, key string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = append(s.late, delivery{op, key, append([]byte{}, body...)})
}

// Pending returns the keys of the writes that are still on their way, oldest
// first.
func (s *Store) Pending() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]string, len(s.late))
	for i, d := range s.late {
		keys[i] = d.key
	}
	return keys
}

// Release delivers the oldest pending write, however much later, and returns
// what the store answered (nobody else hears it). The release of nothing fails.
func (s *Store) Release(ctx context.Context) error {
	d, ok := s.take()
	if !ok {
		return fmt.Errorf("fault: release: nothing is pending")
	}
	switch d.op {
	case Delete:
		return s.inner.Delete(ctx, d.key)
	case Replace:
		return s.replace(ctx, d.key, d.body)
	}
	return s.create(ctx, d.key, d.body)
}

// ReleaseAll delivers all pending writes in order and returns how many the
// store took.
func (s *Store) ReleaseAll(ctx context.Context) int {
	taken := 0
	for range s.Pending() {
		if s.Release(ctx) == nil {
			taken++
		}
	}
	return taken
}

// Drop forgets all pending writes: they are lost for good.
func (s *Store) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = nil
}

func (s *Store) take() (delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.late) == 0 {
		return delivery{}, false
	}
	d := s.late[0]
	s.late = s.late[1:]
	return d, true
}
