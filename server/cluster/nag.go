// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"log/slog"
	"time"

	"github.com/leatstream/leat"
)

// nagEvery is how often a loop that goes on failing says so.
const nagEvery = 30 * time.Second

// nag is what a loop says that tries the same again and again: when it begins to fail, now and then while it does, and
// when that is over.
type nag struct {
	log   *slog.Logger
	clock leat.Clock
	what  string

	since, said time.Time // zero while it works
}

// tried is told of each try.
func (n *nag) tried(err error) {
	now := n.clock.Now()
	switch {
	case err == nil && !n.since.IsZero():
		n.log.Info(n.what+": it goes on", "after", now.Sub(n.since).Round(time.Millisecond))
		n.since, n.said = time.Time{}, time.Time{}
	case err == nil:
	case n.since.IsZero():
		n.log.Warn(n.what, "error", err)
		n.since, n.said = now, now
	case now.Sub(n.said) >= nagEvery:
		n.log.Warn(n.what, "error", err, "for", now.Sub(n.since).Round(time.Second))
		n.said = now
	default:
		n.log.Debug(n.what, "error", err)
	}
}
