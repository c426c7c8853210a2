// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

// Counts are calls and bytes since New. A performance test takes two of them
// and divides the difference by the time between.
type Counts struct {
	Creates, Reads, Stats, Lists, Deletes int64 // calls, faulty ones included
	Replaces, Forgets                     int64

	Created  int64 // objects that came to stand, late ones included
	BytesIn  int64 // of those objects
	BytesOut int64 // read from the store
	Faults   int64 // calls that met a fault
}

// Counts returns the counters of this moment.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *Store) count(change func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.counts)
}

func (c *Counts) call(op Op) {
	switch op {
	case Create:
		c.Creates++
	case Read:
		c.Reads++
	case Stat:
		c.Stats++
	case List:
		c.Lists++
	case Delete:
		c.Deletes++
	case Replace:
		c.Replaces++
	case Forget:
		c.Forgets++
	}
}
