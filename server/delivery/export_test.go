// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"

	"github.com/leatstream/leat/server/delivery/spec"
)

// Inherit keeps the secrets that a change does not give.
func Inherit(to, from *spec.Config) { inherit(to, from) }

// Renew has a former configuration reach what it sends to as the present one does.
func Renew(c, now *spec.Config) (whole bool) { return renew(c, now) }

// Gone tells which of some shards, in which cursors stand, are no more.
func (e *Engine) Gone(ctx context.Context, d *spec.Delivery, ordinals ...uint64) ([]uint64, error) {
	var cursors []cursor
	for _, o := range ordinals {
		cursors = append(cursors, cursor{ordinal: o, stop: -1})
	}
	return e.gone(ctx, d, map[string][]cursor{"": cursors})
}

// StopTakes is how long workers are waited for that are to stop.
const StopTakes = stopTakes
