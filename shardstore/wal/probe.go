// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"fmt"
	"time"
)

// probe is the machine's look at the lowest segment that is not durable. Found absent it proves that nobody had fenced
// the session when the probe began: a fence stands at the first missing segment, and fences are never deleted. Segments
// are, after they were recovered and packed: a quarter of an hour on, our own may be missing beside a fence behind it.
// So no probe begins when the session has stalled, which next looks at first.
type probe struct {
	wanted bool
	out    bool
	done   bool // its result is to be told
	err    error

	start     time.Time
	n         uint64
	timeoutAt time.Time
}

// wantProbe asks for a probe. While one is on its way, that one serves.
func (m *machine) wantProbe() { m.probe.wanted = true }

// nextProbe returns what the probe needs.
func (m *machine) nextProbe(now time.Time) (action, bool) {
	p := &m.probe
	if m.over && p.wanted {
		p.wanted, p.done, p.err = false, true, m.reason
		if p.err == nil {
			p.err = ErrStopped
		}
	}
	switch {
	case p.done:
		p.done = false
		return action{op: opProbed, err: p.err}, true
	case p.wanted && !p.out && !m.over:
		p.out, p.start, p.n, p.timeoutAt = true, now, m.base, m.timeout(now, 0)
		return action{op: opProbe, n: p.n}, true
	case reached(now, p.timeoutAt):
		p.timeoutAt = time.Time{}
		return action{op: opGiveUpProbe}, true
	}
	return action{}, false
}

// probed is what the probe found. named says that the segment's header was known, so that our own bytes were told from
// others.
func (m *machine) probed(now time.Time, named bool, state State, err error) {
	p := &m.probe
	p.out, p.timeoutAt = false, time.Time{}
	s := m.slot(p.n)
	switch {
	case m.over:
	case err != nil:
		m.settleProbe(fmt.Errorf("wal: probe of segment %d: %w", p.n, err))
	case state == StateAbsent:
		m.lease(p.start)
		m.settleProbe(nil)
	case state == StateOurs:
		// Our own bytes: no fence here, but perhaps at the next one. Look there.
		if s != nil && !s.durable {
			m.becomes(now, s)
		}
	case !named && p.n < m.nextN():
		// Taken since the probe began, so it may be ours. Look again with the header.
	case p.n < m.base:
		// Durable since; only its removal and a later fence could look so, and the next probe meets that fence.
	default:
		m.end(fmt.Errorf("%w: something else stands at segment %d", ErrFenced, p.n))
	}
}

func (m *machine) settleProbe(err error) {
	m.probe.wanted, m.probe.done, m.probe.err = false, true, err
}
