// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/journal"
)

// ErrOlder says that the catalog's database was replaced by an older one while sessions lived on it.
var ErrOlder = leat.Errorf(leat.KindCorrupt, "the database was replaced by an older one while this server ran (was a backup restored under it, or did a replica take over that was behind?); "+
	"serving with it would lose records: run `leat rebuild` into an empty database, or `leat restore` with a backup (docs/rebuild.md)")

// Disown makes the bucket refuse this catalog for good: it is called when a live session has seen that the database was
// replaced by an older one. What changed since then may be nothing that the journal has (who owns which shard is not in
// it), so the journal is brought ahead of the catalog by two entries that say nothing, as no writer ever does that has
// seen the first one committed. The database itself is not touched.
func (c *Catalog) Disown(ctx context.Context) error {
	if c.opts.Journal == nil {
		return nil
	}
	info, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	for {
		// The catalog may take in one entry that stands alone, never the first of two.
		n, err := c.journaled(ctx)
		if err != nil {
			return err
		}
		missing := uint64(0)
		for at := n + 2; at > n; at-- {
			there, err := c.opts.Journal.Has(ctx, at)
			if err != nil {
				return err
			}
			if !there {
				missing = at
			}
		}
		if missing == 0 {
			return nil
		}
		e := &journal.Entry{N: missing, Nonce: leat.NewID[leat.SessionID](c.opts.Rand), Cluster: info.ID, At: leat.Micros(c.now())}
		if err := c.opts.Journal.Append(ctx, e); err != nil && !errors.Is(err, journal.ErrTaken) {
			return err
		}
	}
}
