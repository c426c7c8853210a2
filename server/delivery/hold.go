// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"math"
	"strconv"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// hold notes from when on a stream's records are kept for a delivery stream that asks for it.
func (e *Engine) hold(d *spec.Delivery, cursors []cursor, holds map[leat.StreamID]int64) {
	if d.Config.HoldSeconds == 0 {
		return
	}
	st, ok := e.cfg.Directory.Stream(d.Stream)
	if !ok { // the directory is behind, as that of a node that starts
		holds[d.Stream] = 0
		return
	}
	oldest := int64(math.MaxInt64)
	for _, c := range cursors {
		if !c.done {
			oldest = min(oldest, c.time) // what is not delivered arrived then or later
		}
	}
	// Never for longer than was asked for.
	oldest = max(oldest, leat.Micros(e.cfg.Clock.Now().Add(-st.Retention-time.Duration(d.Config.HoldSeconds)*time.Second)))
	if was, ok := holds[d.Stream]; !ok || oldest < was {
		holds[d.Stream] = oldest
	}
}

// Hold returns from which time of arrival on (microseconds since 1970) a stream's records must be kept although their
// retention is over. Until the engine has read what is delivered, everything must.
func (e *Engine) Hold(stream leat.StreamID) (from int64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.loaded {
		return 0, true
	}
	from, ok = e.holds[stream]
	return from, ok
}

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }
