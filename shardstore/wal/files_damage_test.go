// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// damage puts the session's folder back as it was and changes it, for a driver that never saw it.
type damage struct {
	*folder
	before map[string][]byte // by name
}

// damaged closes a folder for experiments.
func damaged(f *folder) *damage {
	f.t.Helper()
	if err := f.d.Close(); err != nil {
		f.t.Fatal(err)
	}
	f.d = openFiles(f.t, f.dir, smallFile)
	f.d.Hasty()
	d := &damage{f, map[string][]byte{}}
	for _, name := range f.logs() {
		b, err := os.ReadFile(name)
		if err != nil {
			f.t.Fatal(err)
		}
		d.before[name] = b
	}
	return d
}

func (d *damage) with(change func(files map[string][]byte)) {
	d.t.Helper()
	files := map[string][]byte{}
	for name, b := range d.before {
		files[name] = slices.Clone(b)
	}
	change(files)
	if err := d.d.Drop(d.t.Context(), d.g.Session); err != nil {
		d.t.Fatal(err)
	}
	dir := filepath.Join(d.dir, d.g.Session.String())
	if err := os.Mkdir(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// unchanged fails if a refused recovery changed anything.
func (d *damage) unchanged(files map[string][]byte) {
	d.t.Helper()
	if got := len(d.logs()); got != len(files) {
		d.t.Fatalf("a refused recovery left %d files of %d", got, len(files))
	}
	for name, want := range files {
		if got, err := os.ReadFile(name); err != nil || string(got) != string(want) {
			d.t.Fatalf("a refused recovery changed %s: %v", name, err)
		}
	}
}

// used is how many bytes of a frame mean something.
func used(object []byte) int { return wal.FrameHead + len(object) }

// TestTornTail cuts the last write off at each of its bytes, by zeros and by the file's end. All before it is found, and
// found again; the torn one never.
func TestTornTail(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(6, 10)
	d := damaged(f)
	last := f.logs()[1]
	at := wal.FramePage // of frame 5 in the second file
	for k := range used(f.objs[5]) + 1 {
		for _, cut := range []bool{false, true} {
			if cut && k%16 != 0 {
				continue // much the same
			}
			want := uint64(5)
			if k >= used(f.objs[5])-trailingZeros(f.objs[5]) && !cut {
				want = 6
			}
			d.with(func(files map[string][]byte) {
				clear(files[last][at+k:])
				if cut {
					files[last] = files[last][:at+k]
				}
			})
			d.mustRecover(0, want)
			d.mustRecover(0, want)
		}
	}
}

func trailingZeros(b []byte) int {
	return len(b) - len(strings.TrimRight(string(b), "\x00"))
}

// TestRotInTheMiddle turns a bit in each byte of a frame that others follow. Nothing is cut off.
func TestRotInTheMiddle(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(6, 10)
	d := damaged(f)
	first := f.logs()[0]
	for _, n := range []int{0, 1, 3} { // 3 is the last of its file: only the next file tells
		for k := range wal.FramePage {
			if k > used(f.objs[n]) && k%97 != 0 || n != 1 && k > wal.FrameHead && k%5 != 0 {
				continue // zeros between frames, and content alike
			}
			var now map[string][]byte
			d.with(func(files map[string][]byte) {
				files[first][n*wal.FramePage+k] ^= 1 << (k % 8)
				now = files
			})
			if k >= used(f.objs[n]) {
				d.mustRecover(0, 6) // no part of any frame
				continue
			}
			if rec, err := d.recover(0); leat.KindOf(err) != leat.KindCorrupt {
				t.Fatalf("bit turned in byte %d of frame %d: Recover = %+v, %v", k, n, rec, err)
			}
			d.unchanged(now)
			if _, err := d.d.Read(t.Context(), f.g.Session, uint64(n), 0, -1); leat.KindOf(err) != leat.KindCorrupt {
				t.Fatalf("Read of a damaged segment = %v", err)
			}
		}
	}
}

// mustReadBut reads every segment in a next life of the process; those in rotten ones are damaged, not absent.
func (d *damage) mustReadBut(bad func(string, int64) bool, rotten ...uint64) {
	d.t.Helper()
	if err := d.d.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.d = openFiles(d.t, d.dir, smallFile)
	d.d.Hasty()
	d.d.BadSectors(bad)
	for n := range uint64(len(d.objs)) {
		got, err := d.d.Read(d.t.Context(), d.g.Session, n, 0, -1)
		if slices.Contains(rotten, n) {
			if leat.KindOf(err) != leat.KindCorrupt {
				d.t.Errorf("rotten segment %d: %v", n, err)
			}
		} else if err != nil || !bytes.Equal(got, d.objs[n]) {
			d.t.Errorf("segment %d: %d bytes, %v", n, len(got), err)
		}
	}
}

// TestRotBelowTheTrim: damage of segments that nobody needs any more, turned bits or sectors that the disk does not give
// back, keeps neither recovery nor a later life of the process from the others, in whichever file they are.
func TestRotBelowTheTrim(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(6, 10) // 0–3, 4–5
	d := damaged(f)
	logs := f.logs()
	page := func(n int) (string, int) { return logs[n/4], n % 4 }
	for _, c := range []struct {
		rotten []uint64
		trim   uint64
		ok     bool
	}{
		{[]uint64{1}, 4, true}, {[]uint64{1}, 2, true}, {[]uint64{1}, 1, false}, {[]uint64{0}, 3, true},
		{[]uint64{1, 2}, 3, true}, {[]uint64{1, 2}, 2, false}, {[]uint64{0, 2}, 3, true}, {[]uint64{0, 2}, 1, false},
		{[]uint64{3}, 3, false}, {[]uint64{3}, 4, true}, {[]uint64{4}, 5, true}, {[]uint64{4}, 4, false},
		{[]uint64{5}, 6, true}, {[]uint64{4, 5}, 6, true}, {[]uint64{4, 5}, 5, false}, {[]uint64{5}, 7, false},
	} {
		for _, k := range []int{-1, 0, 20, 25, wal.FrameHead + 5, used(f.objs[0]) - 1} { // -1: a bad sector
			var now map[string][]byte
			d.with(func(files map[string][]byte) {
				for _, n := range c.rotten {
					if log, at := page(int(n)); k >= 0 {
						files[log][at*wal.FramePage+k] ^= 1
					}
				}
				now = files
			})
			bad := func(path string, p int64) bool {
				return k < 0 && slices.ContainsFunc(c.rotten, func(n uint64) bool { log, at := page(int(n)); return path == log && p == int64(at) })
			}
			d.d.BadSectors(bad)
			name := fmt.Sprintf("rotten %v at byte %d, trim %d", c.rotten, k, c.trim)
			rec, err := d.recover(c.trim)
			// The last frame's head is the only one to tell where it ends.
			unsure := slices.Contains(c.rotten, 5) && k >= 0 && k < wal.FrameHead
			if c.ok && !unsure {
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				waltest.CheckRecovered(t, rec, f.g, c.trim, 6)
				d.mustRecover(c.trim, 6)
				d.mustReadBut(bad, c.rotten...)
				continue
			}
			if err == nil {
				t.Errorf("%s: recovered %+v", name, rec)
			}
			d.unchanged(now)
		}
	}
}

// TestRotOfTheLastTrimmed: the last segments were trimmed, and nothing follows them. A log is not taken for whole because
// its end is damaged.
func TestRotOfTheLastTrimmed(t *testing.T) {
	f := newFolder(t, 64<<10)
	f.write(2, 10)
	f.write(1, 9000) // three pages
	d := damaged(f)
	log := f.logs()[0]
	const at = 2 * wal.FramePage
	for _, c := range []struct {
		name   string
		trim   uint64
		change func(b []byte)
		ok     bool
	}{
		{"a record", 3, func(b []byte) { b[at+wal.FramePage] ^= 1 }, true},
		{"the table of contents", 3, func(b []byte) { b[at+used(f.objs[2])-5] ^= 1 }, false},
		{"the length", 3, func(b []byte) { b[at+33] ^= 1 }, false},
		{"cut off", 3, func(b []byte) { clear(b[at+wal.FramePage : at+2*wal.FramePage+wal.FramePage]) }, false},
		{"never written", 3, func(b []byte) { clear(b[at : at+3*wal.FramePage]) }, false},
		{"one more was trimmed", 4, func(b []byte) { b[at+wal.FramePage] ^= 1 }, false},
		{"what counts follows, and is damaged too", 3, func(b []byte) {
			b[at+wal.FramePage] ^= 1
			copy(b[at+3*wal.FramePage:], wal.AppendFrame(nil, f.g.Session, 3, f.objs[1]))
			b[at+3*wal.FramePage+wal.FrameHead] ^= 1
		}, false},
	} {
		d.with(func(files map[string][]byte) { c.change(files[log]) })
		rec, err := d.recover(c.trim)
		if c.ok != (err == nil) || err != nil && leat.KindOf(err) != leat.KindCorrupt {
			t.Errorf("%s: Recover = %+v, %v", c.name, rec, err)
		}
		if err == nil {
			waltest.CheckRecovered(t, rec, f.g, c.trim, 3)
		}
	}
}

// TestRecordsAreNoProof: a damaged segment below the trim whose records are pages of a log file, as if others followed it.
// What does follow it tells that they are not the log.
func TestRecordsAreNoProof(t *testing.T) {
	f := newFolder(t, 64<<10)
	f.write(5, 10)
	d := damaged(f)
	log := f.logs()[0]
	d.with(func(files map[string][]byte) {
		b := files[log]
		rest := slices.Clone(b[2*wal.FramePage : 5*wal.FramePage])
		var fake []byte
		for n := uint64(2); n < 9; n++ {
			fake = wal.AppendFrame(fake, f.g.Session, n, f.g.Make(t, n, 10))
		}
		copy(b[2*wal.FramePage:], fake) // in segment 1, whose head is gone
		copy(b[9*wal.FramePage:], []byte("the end of a record"))
		copy(b[10*wal.FramePage:], rest)
		clear(b[wal.FramePage:][:8])
	})
	if rec, err := d.recover(2); leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("Recover = %+v, %v", rec, err)
	}
}

func TestDamagedFolders(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(11, 10) // 0–3, 4–7, 8–10
	d := damaged(f)
	logs := f.logs()
	corrupt := func(err error) bool {
		return leat.KindOf(err) == leat.KindCorrupt && !errors.Is(err, wal.ErrStaleCatalog)
	}
	for _, c := range []struct {
		name   string
		trim   uint64
		change func(map[string][]byte)
		want   func(error) bool
	}{
		{"a file in the middle is gone", 0, func(files map[string][]byte) { delete(files, logs[1]) }, corrupt},
		{"the first file is gone", 0, func(files map[string][]byte) { delete(files, logs[0]) }, func(err error) bool {
			return errors.Is(err, wal.ErrStaleCatalog) && strings.Contains(err.Error(), "leat rebuild")
		}},
		{"all files are gone, and the catalog has trimmed", 4, func(files map[string][]byte) { clear(files) }, corrupt},
		{"the newest file is gone, and the catalog has trimmed beyond", 9, func(files map[string][]byte) { delete(files, logs[2]) }, corrupt},
		{"a file is empty", 0, func(files map[string][]byte) { files[logs[1]] = nil }, corrupt},
		{"a frame is doubled", 0, func(files map[string][]byte) {
			copy(files[logs[2]][wal.FramePage:], files[logs[2]][:wal.FramePage])
		}, corrupt},
		{"a frame with another number", 0, func(files map[string][]byte) {
			copy(files[logs[2]][2*wal.FramePage:], wal.AppendFrame(nil, f.g.Session, 12, f.objs[10]))
		}, corrupt},
		{"a frame whose content is another segment", 0, func(files map[string][]byte) {
			copy(files[logs[2]][2*wal.FramePage:], wal.AppendFrame(nil, f.g.Session, 10, f.objs[9]))
		}, corrupt},
		{"a frame whose content is none", 0, func(files map[string][]byte) {
			copy(files[logs[2]][2*wal.FramePage:], wal.AppendFrame(nil, f.g.Session, 10, []byte("nonsense")))
		}, corrupt},
		{"files behind a fence", 0, func(files map[string][]byte) {
			copy(files[logs[1]][wal.FramePage:], wal.AppendFrame(nil, f.g.Session, 5, f.g.Fence(5)))
		}, corrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			var now map[string][]byte
			d.with(func(files map[string][]byte) { c.change(files); now = files })
			if rec, err := d.recover(c.trim); !c.want(err) {
				t.Errorf("Recover = %+v, %v", rec, err)
			}
			d.unchanged(now)
		})
	}
	d.with(func(files map[string][]byte) { delete(files, logs[0]) })
	d.mustRecover(4, 11) // trimmed away
}

// TestRecordsThatLookLikeFrames: a torn segment whose records are pages of a log file.
func TestRecordsThatLookLikeFrames(t *testing.T) {
	f := newFolder(t, 64<<10)
	f.write(3, 10)
	d := damaged(f)
	log := f.logs()[0]
	old := wal.AppendFrame(nil, f.g.Session, 1, f.objs[1])
	torn := slices.Concat(wal.AppendFrame(nil, f.g.Session, 3, make([]byte, 10_000))[:wal.FramePage], old)
	d.with(func(files map[string][]byte) { copy(files[log][3*wal.FramePage:], torn) })
	d.mustRecover(0, 3)
	later := wal.AppendFrame(nil, f.g.Session, 4, f.objs[1])
	d.with(func(files map[string][]byte) { copy(files[log][5*wal.FramePage:], later) })
	if _, err := d.recover(0); leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("a valid later frame: Recover = %v", err)
	}
	other := wal.AppendFrame(nil, waltest.NewSegments().Session, 4, f.objs[1])
	d.with(func(files map[string][]byte) { copy(files[log][5*wal.FramePage:], other) })
	d.mustRecover(0, 3) // of another session: nothing of ours
}

// TestLostWrites: a crash loses any pages that were written after the last sync. What was acked stays.
func TestLostWrites(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	for run := range 40 {
		f := newFolder(t, smallFile)
		lost := errors.New("the machine dies before the sync")
		var dying atomic.Bool
		f.d.Spy(func(op wal.FileOp) (int, error) {
			if dying.Load() && op.Name == "datasync" && strings.HasSuffix(op.Path, ".log") {
				return 0, lost
			}
			return 0, nil
		})
		acked := 1 + rng.IntN(9)
		f.write(acked, 10+rng.IntN(9000))
		dying.Store(true)
		n := uint64(acked)
		f.objs = append(f.objs, f.g.Make(t, n, 10+rng.IntN(9000)))
		if err := f.d.Write(t.Context(), f.g.Session, n, f.objs[n]); !errors.Is(err, wal.ErrFailed) {
			t.Fatalf("Write without a sync = %v", err)
		}
		d := damaged(f)
		whole := true
		d.with(func(files map[string][]byte) {
			last := slices.Sorted(mapKeys(files))[len(files)-1]
			b := files[last]
			from := strings.LastIndex(string(b), string(wal.AppendFrame(nil, f.g.Session, n, f.objs[n])))
			for at := from; at < from+used(f.objs[n]); at += 512 {
				if rng.IntN(3) == 0 {
					end := min(at+512, from+used(f.objs[n]))
					whole = whole && strings.Trim(string(b[at:end]), "\x00") == ""
					clear(b[at:end])
				}
			}
		})
		want := n
		if whole {
			want++
		}
		t.Run(fmt.Sprintf("seed %d run %d", seed, run), func(*testing.T) { d.mustRecover(0, want) })
	}
}

func mapKeys(m map[string][]byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// FuzzLogFile recovers whatever bytes stand in a log file.
func FuzzLogFile(f *testing.F) {
	g := waltest.NewSegments()
	g.Session, g.Cluster = leat.SessionID{1}, leat.ClusterID{2}
	frame := wal.AppendFrame(nil, g.Session, 0, g.Make(f, 0, 10))
	f.Add(frame)
	f.Add(append(frame, wal.AppendFrame(nil, g.Session, 1, g.Fence(1))...))
	f.Add(append(make([]byte, wal.FramePage), frame...))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		name := filepath.Join(dir, g.Session.String(), fmt.Sprintf("%020d.log", 0))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d := openFiles(t, dir, smallFile)
		d.Hasty()
		rec, err := d.Recover(t.Context(), g.Session, 0, waltest.Options(g))
		if err != nil {
			return
		}
		again, err := d.Recover(t.Context(), g.Session, 0, waltest.Options(g))
		if err != nil || again.Fence != rec.Fence || len(again.Segments) != len(rec.Segments) {
			t.Fatalf("recovered %d, then %d, %v", rec.Fence, again.Fence, err)
		}
	})
}
