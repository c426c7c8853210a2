// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// folder is a folder of session logs and one session in it. Files are small, so that they roll.
type folder struct {
	t    *testing.T
	dir  string
	d    *wal.Files
	g    *waltest.Segments
	objs [][]byte
}

const smallFile = 16 << 10 // four frames of one page

func newFolder(t *testing.T, size int64) *folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "wal")
	f := &folder{t: t, dir: dir, d: openFiles(t, dir, size), g: waltest.NewSegments()}
	if err := f.d.Begin(t.Context(), f.g.Session); err != nil {
		t.Fatal(err)
	}
	return f
}

// write writes k more segments of size bytes of data.
func (f *folder) write(k, size int) {
	f.t.Helper()
	for range k {
		n := uint64(len(f.objs))
		f.objs = append(f.objs, f.g.Make(f.t, n, size))
		if err := f.d.Write(f.t.Context(), f.g.Session, n, f.objs[n]); err != nil {
			f.t.Fatalf("Write(%d) = %v", n, err)
		}
	}
}

// restart opens the folder as the next process does.
func (f *folder) restart(size int64) {
	f.t.Helper()
	if err := f.d.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.d = openFiles(f.t, f.dir, size)
}

func (f *folder) recover(trim uint64) (wal.Recovered, error) {
	return f.d.Recover(f.t.Context(), f.g.Session, trim, waltest.Options(f.g))
}

// mustRecover recovers and reads every segment back.
func (f *folder) mustRecover(trim, fence uint64) {
	f.t.Helper()
	rec, err := f.recover(trim)
	if err != nil {
		f.t.Fatalf("Recover = %v", err)
	}
	waltest.CheckRecovered(f.t, rec, f.g, trim, fence)
	f.mustRead(trim, fence)
}

func (f *folder) mustRead(from, to uint64) {
	f.t.Helper()
	for n := from; n < to; n++ {
		got, err := f.d.Read(f.t.Context(), f.g.Session, n, 0, -1)
		if err != nil || !bytes.Equal(got, f.objs[n]) {
			f.t.Fatalf("Read(%d) = %d bytes, %v", n, len(got), err)
		}
	}
}

// logs are the session's log files, in order.
func (f *folder) logs() []string {
	f.t.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, f.g.Session.String(), "*.log"))
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

func TestFilesRoll(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(9, 10)
	f.write(1, 100_000) // larger than a file
	f.write(3, 10)
	if got := len(f.logs()); got < 5 {
		t.Errorf("%d files", got)
	}
	f.mustRead(0, 13)
	f.restart(smallFile)
	f.mustRead(0, 13) // looked up, though nobody recovered it
	f.mustRecover(0, 13)
	f.restart(0)
	f.mustRecover(5, 13)
}

func TestFilesRemoveWholeFiles(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(11, 10) // 0–3, 4–7, 8–10
	remove := func(n uint64, files int) {
		t.Helper()
		if err := f.d.Remove(t.Context(), f.g.Session, n); err != nil {
			t.Fatalf("Remove(%d) = %v", n, err)
		}
		if got := len(f.logs()); got != files {
			t.Errorf("after Remove(%d) there are %d files, want %d", n, got, files)
		}
	}
	remove(2, 3)
	f.mustRead(0, 11)
	remove(3, 2)
	f.mustRead(4, 11)
	if _, err := f.d.Read(t.Context(), f.g.Session, 3, 0, 1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Read of a removed segment = %v", err)
	}
	remove(5, 2)
	f.write(1, 10)
	f.restart(smallFile)
	remove(9, 1) // what was removed in the life before is made good
	f.mustRead(8, 12)
	f.mustRecover(10, 12)
	remove(11, 1) // the fence
	if err := f.d.Remove(t.Context(), f.g.Session, 12); err == nil {
		t.Error("the fence was removed (I6)")
	}
	f.mustRecover(12, 12)
}

func TestFilesRemoveOfLiveSegmentsIsRefused(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(5, 10)
	if err := f.d.Remove(t.Context(), f.g.Session, 5); err == nil {
		t.Error("a segment that is not durable was removed")
	}
	if err := f.d.Remove(t.Context(), f.g.Session, 4); err != nil {
		t.Fatal(err)
	}
	f.write(2, 10)
	f.mustRead(4, 7) // the file that is written to stays
}

func TestFilesDrop(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(6, 10)
	f.mustRecover(0, 6)
	live := waltest.NewSegments()
	if err := f.d.Begin(t.Context(), live.Session); err != nil {
		t.Fatal(err)
	}
	both, err := f.d.Sessions()
	if err != nil || len(both) != 2 || !slices.Contains(both, f.g.Session) || !slices.Contains(both, live.Session) {
		t.Errorf("Sessions = %v, %v", both, err)
	}
	for range 2 {
		if err := f.d.Drop(t.Context(), f.g.Session); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := f.d.Sessions(); err != nil || !slices.Equal(left, []leat.SessionID{live.Session}) {
		t.Errorf("after Drop Sessions = %v, %v", left, err)
	}
	if err := f.d.Write(t.Context(), live.Session, 0, live.Make(t, 0, 10)); err != nil {
		t.Errorf("Write beside a dropped session = %v", err)
	}
}

func TestFilesOfAnotherLifeAreClearedAway(t *testing.T) {
	f := newFolder(t, 64<<10)
	f.write(20, 10) // beyond the half: the next file is being made
	stale := filepath.Join(f.dir, f.g.Session.String(), "next.tmp")
	if err := f.d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.restart(64 << 10)
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a temporary file is left: %v", err)
	}
	f.mustRecover(0, 20)
}

func TestFilesBeginOnce(t *testing.T) {
	f := newFolder(t, smallFile)
	if err := f.d.Begin(t.Context(), f.g.Session); err == nil {
		t.Error("a session began twice")
	}
	g := waltest.NewSegments()
	if err := f.d.Write(t.Context(), g.Session, 0, g.Make(t, 0, 1)); !errors.Is(err, wal.ErrFenced) {
		t.Errorf("Write to a session that was not begun = %v", err)
	}
	if err := f.d.Write(t.Context(), f.g.Session, 1, f.g.Make(t, 1, 1)); !unknown(err) {
		t.Errorf("Write of segment 1 before 0 = %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := f.d.Write(ctx, f.g.Session, 0, f.g.Make(t, 0, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Write of a caller that is gone = %v", err)
	}
	f.write(1, 1)
}

// TestAnotherFolderIsNotAnEmptyLog: a mount that came or went must not look like logs without segments.
func TestAnotherFolderIsNotAnEmptyLog(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(3, 10)
	away := f.dir + ".away"
	if err := os.Rename(f.dir, away); err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if rec, err := f.recover(0); err == nil {
			t.Errorf("%s: Recover = %+v", what, rec)
		}
		if err := f.d.Begin(t.Context(), waltest.NewSegments().Session); err == nil {
			t.Errorf("%s: Begin = nil", what)
		}
		if all, err := f.d.Sessions(); err == nil {
			t.Errorf("%s: Sessions = %v", what, all)
		}
	}
	check("gone")
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	check("replaced")
	if err := os.Remove(f.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, f.dir); err != nil {
		t.Fatal(err)
	}
	f.mustRecover(0, 3)
}

// TestFilesInParallel reads and removes while a session is written. The race detector looks on.
func TestFilesInParallel(t *testing.T) {
	f := newFolder(t, 32<<10)
	f.d.Hasty()
	f.write(20, 10)
	var users sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		users.Go(func() {
			for n := uint64(0); ; n = (n + 1) % 200 {
				select {
				case <-stop:
					return
				default:
				}
				got, err := f.d.Read(t.Context(), f.g.Session, n, -40, 8)
				if err != nil && !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("Read(%d) = %d bytes, %v", n, len(got), err)
					return
				}
			}
		})
	}
	for i := range 200 {
		f.write(1, 10*i)
		if i%20 == 0 {
			if err := f.d.Remove(t.Context(), f.g.Session, uint64(i)); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	users.Wait()
	f.mustRecover(190, 220)
}
