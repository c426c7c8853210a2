// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
)

// KeptApart stands in a Key for one that has an object of its own in the bucket (server/keyring). Entries of before have the
// wrapped key itself, and are scrubbed: replaced, once and for all, by the same without it. It is the one change of an entry
// that there is; it depends on nothing but the entry, so whoever makes it, and however often, makes the same.
const KeptApart = "apart"

// scrubbed marks how far entries hold no keys.
const scrubbed = "journal/scrubbed/"

// Scrubbed is the entry up to which none holds a wrapped key; 0 when nothing is known.
func (l *Log) Scrubbed(ctx context.Context) (n uint64, err error) {
	for info, err := range blob.All(ctx, l.blobs, scrubbed) {
		if err != nil {
			return 0, fmt.Errorf("list the journal: %w", err)
		}
		if m, err := strconv.ParseUint(strings.TrimPrefix(info.Key, scrubbed), 10, 64); err == nil {
			n = max(n, m)
		}
	}
	return n, nil
}

// Scrub takes the wrapped keys of streams out of the entries from Scrubbed up to to, which MUST all be committed. kept MUST
// return nil only for a key that is kept elsewhere or needed no more; its error ends the scrub, and what is done stays done.
func (l *Log) Scrub(ctx context.Context, to uint64, kept func(leat.StreamID, *Key) error) (changed int, err error) {
	done, err := l.Scrubbed(ctx)
	if err != nil || done >= to {
		return 0, err
	}
	const batch = 64
	for n := done + 1; n <= to; n += batch {
		page, err := l.batch(ctx, n, int(min(batch, to-n+1)))
		if err != nil {
			return changed, err
		}
		for i, e := range page {
			if e.N != n+uint64(i) {
				return changed, leat.Errorf(leat.KindCorrupt, "%s is entry %d", EntryKey(n+uint64(i)), e.N)
			}
			did, err := l.scrub(ctx, e, kept)
			if err != nil {
				return changed, fmt.Errorf("%s: %w", EntryKey(e.N), err)
			}
			if did {
				changed++
			}
		}
		if len(page) < int(min(batch, to-n+1)) {
			return changed, leat.Errorf(leat.KindCorrupt, "%s is missing", EntryKey(n+uint64(len(page))))
		}
	}
	return changed, l.mark(ctx, fmt.Sprintf("%s%020d", scrubbed, to), "scrubbed\n")
}

func (l *Log) scrub(ctx context.Context, e *Entry, kept func(leat.StreamID, *Key) error) (changed bool, err error) {
	keys := 0
	for i := range e.Streams {
		s := &e.Streams[i]
		if s.Head == nil {
			continue
		}
		for j := range s.Head.Keys {
			keys++
			k := &s.Head.Keys[j]
			if k.Wrapped == KeptApart {
				continue
			}
			if err := kept(s.ID, k); err != nil {
				return false, err
			}
			k.Wrapped, changed = KeptApart, true
		}
	}
	if keys == 0 {
		return false, nil
	}
	if changed {
		body, err := Encode(e)
		if err != nil {
			return false, err
		}
		if err := l.blobs.Replace(ctx, EntryKey(e.N), body); err != nil {
			return false, err
		}
	}
	// Also where nothing was changed: whoever changed it may have died before this.
	return changed, l.blobs.Forget(ctx, EntryKey(e.N), false)
}
