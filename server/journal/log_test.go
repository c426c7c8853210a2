// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"context"
	"log/slog"
	"strings"
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

// What others put among the entries is none, wherever it sorts: a journal ends with its last entry all the same.
func TestStrayObjectsEndNoJournal(t *testing.T) {
	blobs := mem.New(nil)
	log := journal.New(blobs, func(context.Context, leat.SessionID) (bool, error) { return false, nil })
	var told strings.Builder
	log.Logger = slog.New(slog.NewTextHandler(&told, nil))
	const last = 70
	for n := range uint64(last) {
		if err := log.Append(t.Context(), &journal.Entry{N: n + 1, Nonce: leat.NewID[leat.SessionID](nil), At: int64(n + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, stray := range []string{
		journal.EntryKey(last) + "-1-2026-12-01.gz", journal.EntryKey(last-5) + "x", journal.EntryKey(last - 3)[:30], "journal/entries/0000000000000000000x", "journal/entries/99999999999999999999",
		"journal/entries/500", "journal/entries/z/2026/12/01/d-1.gz", "journal/entries/z-1", "journal/full/z-1", "journal/full/18446744073709551616",
	} {
		if err := blobs.Create(t.Context(), stray, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	read := uint64(0)
	for e, err := range log.Entries(t.Context()) {
		if read++; err != nil || e.N != read {
			t.Fatalf("entry %d: %+v, %v", read, e, err)
		}
	}
	if read != last {
		t.Errorf("%d entries are read", read)
	}
	for _, from := range []uint64{0, last - 10, last} {
		count, e, err := log.Since(t.Context(), from)
		if err != nil || count != int(last-from) || count > 0 && e.N != last {
			t.Errorf("since %d: %d entries, the last %+v, %v", from, count, e, err)
		}
	}
	if !strings.Contains(told.String(), "journal/entries/500") {
		t.Errorf("nobody is told: %s", told.String())
	}
}
