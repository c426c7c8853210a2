// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"context"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

// Entries from a number on, and how many follow one: over pages of the listing and batches of reads, and where one is missing.
func TestFromAndSince(t *testing.T) {
	blobs := mem.New(nil)
	log := journal.New(blobs, func(context.Context, leat.SessionID) (bool, error) { return false, nil })
	const last = 2300
	for n := range uint64(last) {
		e := &journal.Entry{N: n + 1, Nonce: leat.NewID[leat.SessionID](nil), At: int64(n + 1)}
		if err := log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []uint64{0, 1, last - 1000, last - 1, last} {
		count, e, err := log.Since(t.Context(), from)
		if err != nil || count != int(last-from) || (e == nil) != (from == last) || e != nil && e.N != last {
			t.Errorf("since %d: %d entries, the last %+v, %v", from, count, e, err)
		}
		next := from + 1
		for e, err := range log.From(t.Context(), next) {
			if err != nil || e.N != next {
				t.Fatalf("entry %d: %+v, %v", next, e, err)
			}
			next++
		}
		if next != last+1 {
			t.Errorf("from %d on it ends before %d", from+1, next)
		}
	}
	if err := blobs.Delete(t.Context(), journal.EntryKey(last-5)); err != nil {
		t.Fatal(err)
	}
	var err error
	for _, err = range log.From(t.Context(), last-20) {
		if err != nil {
			break
		}
	}
	if leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("an entry is missing: %v", err)
	}
}
