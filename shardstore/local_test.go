// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/disk"
	"github.com/leatstream/leat/shardstore/wal"
)

// local is a rig on a folder: each life is a process of its own.
type local struct {
	*rig
	dir      string
	fileSize int64
	files    *wal.Files
	disk     *disk.Store
}

func newLocal(tb testing.TB) *local {
	tb.Helper()
	l := &local{rig: newRig(tb), dir: tb.TempDir(), fileSize: 1 << 20}
	l.log, l.params = wal.FileParams(), shardstore.LocalParams()
	l.start()
	tb.Cleanup(l.stop)
	return l
}

// start is a process that begins.
func (l *local) start() {
	l.tb.Helper()
	files, err := wal.OpenFiles(filepath.Join(l.dir, "wal"), wal.FilesOptions{FileSize: l.fileSize})
	if err != nil {
		l.tb.Fatal(err)
	}
	blobs, err := disk.Open(filepath.Join(l.dir, "blobs"), disk.Options{})
	if err != nil {
		l.tb.Fatal(err)
	}
	l.files, l.disk, l.driver, l.blobs = files, blobs, files, blobs
}

// stop is a process that ends, however it comes.
func (l *local) stop() {
	if l.store != nil {
		l.store.Fail(errors.New("killed"))
	}
	if err := errors.Join(l.files.Close(), l.disk.Close()); err != nil {
		l.tb.Error(err)
	}
}

// lastFile is the log file that a session wrote to last.
func (l *local) lastFile(s leat.SessionID) string {
	l.tb.Helper()
	names, err := filepath.Glob(filepath.Join(l.dir, "wal", s.String(), "*.log"))
	if err != nil || len(names) == 0 {
		l.tb.Fatalf("log files of %s: %v, %v", s, names, err)
	}
	return slices.Max(names)
}

// A local folder over many lives: killed, with a torn tail, drained; packed or not; small files that roll.
func TestLocalFolder(t *testing.T) {
	rng := seeded(t)
	l := newLocal(t)
	l.shards(3)
	l.params.MergeFanIn, l.params.TailBytes = 3, 1<<rng.IntN(20)
	l.params.PackBytes, l.params.KeepBytes = 100_000, 1<<rng.IntN(18)
	l.open()
	want := make([][]string, 3)
	for life := range 8 {
		for range 1 + rng.IntN(8) {
			i := rng.IntN(3)
			var d []string
			for n := range 1 + rng.IntN(100) {
				d = append(d, fmt.Sprintf("%d-%d-%s", life, n, strings.Repeat("x", rng.IntN(2000))))
			}
			for _, p := range l.put(i, d...) {
				if p.Err != nil {
					t.Fatal(p.Err)
				}
			}
			want[i] = append(want[i], d...)
			if rng.IntN(4) == 0 {
				if err := errors.Join(l.store.Pack(t.Context()), l.store.Housekeep(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if life%3 == 2 {
			if err := l.store.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		session := l.store.Session()
		l.stop()
		if life%3 == 1 {
			l.tear(session)
		}
		l.start()
		l.reopen()
		for i := range want {
			l.wantAll(i, want[i])
		}
		l.fsck()
	}
	if err := l.store.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.checkUsage(t)
}

// tear writes part of a frame after the last one, as a machine does that loses power during a commit that nobody was
// told of.
func (l *local) tear(s leat.SessionID) {
	l.tb.Helper()
	const page = 4096
	name := l.lastFile(s)
	b, err := os.ReadFile(name)
	if err != nil {
		l.tb.Fatal(err)
	}
	end := (len(bytes.TrimRight(b, "\x00")) + page - 1) / page * page
	torn := append([]byte(nil), b[:page]...) // begins like a frame
	for i := 40; i < page; i++ {
		torn[i] ^= byte(i)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		l.tb.Fatal(err)
	}
	_, err = f.WriteAt(torn, int64(end))
	if err := errors.Join(err, f.Close()); err != nil {
		l.tb.Fatal(err)
	}
}

// A bit that turned in the middle of the log is corruption: recovery refuses and cuts nothing (rule 21).
func TestLocalBitRot(t *testing.T) {
	l := newLocal(t)
	l.shards(1)
	s := l.open()
	for i := range 5 {
		l.put(0, fmt.Sprint("record ", i))
	}
	l.stop()
	name := l.lastFile(s.Session())
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("record 2"))
	if at < 0 {
		t.Fatal("the record is not in the log as it is")
	}
	b[at] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l.start()
	if err := l.recover(); leat.KindOf(err) != leat.KindCorrupt {
		t.Fatalf("recovery of a rotten log: %v", err)
	}
}
