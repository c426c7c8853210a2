// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// spy records what Files does to the disk and makes some of it fail.
type spy struct {
	mu   sync.Mutex
	ops  []wal.FileOp
	fail func(wal.FileOp) (short int, err error)
}

func (f *folder) spy() *spy {
	s := &spy{}
	f.d.Spy(func(op wal.FileOp) (int, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ops = append(s.ops, op)
		if s.fail != nil {
			return s.fail(op)
		}
		return 0, nil
	})
	return s
}

// set makes calls fail from now on, and forgets what was recorded.
func (s *spy) set(fail func(wal.FileOp) (int, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.ops = fail, nil
}

// did is what was done, one line a call: its name and the file's last part. The file that is made ahead is left out: when
// that happens is a matter of luck.
func (s *spy) did() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range s.ops {
		if name := filepath.Base(op.Path); name != "next.tmp" {
			lines = append(lines, op.Name+" "+name)
		}
	}
	return lines
}

// has tells whether something was done, in any file.
func (s *spy) has(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.ops, func(op wal.FileOp) bool { return op.Name+" "+filepath.Base(op.Path) == line })
}

// await waits until something was done.
func (s *spy) await(t *testing.T, line string) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !s.has(line) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("no %s", line)
		}
	}
}

func (s *spy) count(name string) (k int) {
	for _, line := range s.did() {
		if strings.HasPrefix(line, name+" ") {
			k++
		}
	}
	return k
}

func TestAFailedSyncEndsTheSession(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(2, 10)
	s := f.spy()
	s.set(func(op wal.FileOp) (int, error) {
		if op.Name == "datasync" {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	object := f.g.Make(t, 2, 10)
	for range 3 {
		err := f.d.Write(t.Context(), f.g.Session, 2, object)
		if !errors.Is(err, wal.ErrFailed) || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "the disk reports an error") {
			t.Errorf("Write = %v", err)
		}
	}
	if got := s.count("datasync"); got != 1 {
		t.Errorf("a failed sync was tried %d times", got)
	}
	if state, err := f.d.Verify(t.Context(), f.g.Session, 2, waltest.Header(object)); state == wal.StateOurs {
		t.Errorf("Verify = %v, %v", state, err)
	}
	s.set(nil)
	f.objs = append(f.objs, object)
	f.mustRecover(0, 3) // its bytes are whole: recovery copies them and syncs that
}

func TestAFullDiskCanBeMended(t *testing.T) {
	for _, short := range []int{0, 1, 100, 4096, 5000} {
		f := newFolder(t, 64<<10)
		f.write(2, 10)
		s := f.spy()
		s.set(func(op wal.FileOp) (int, error) {
			if op.Name == "write" {
				return short, syscall.ENOSPC
			}
			return 0, nil
		})
		object := f.g.Make(t, 2, 6000)
		for range 3 {
			err := f.d.Write(t.Context(), f.g.Session, 2, object)
			if !unknown(err) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk is full") {
				t.Fatalf("Write = %v", err)
			}
		}
		if got := s.count("datasync"); got != 0 {
			t.Errorf("%d syncs of a segment that was not written", got)
		}
		if state, err := f.d.Verify(t.Context(), f.g.Session, 2, waltest.Header(object)); state != wal.StateAbsent || err != nil {
			t.Errorf("Verify = %v, %v", state, err)
		}
		s.set(nil)
		if err := f.d.Write(t.Context(), f.g.Session, 2, object); err != nil {
			t.Fatalf("with room again Write = %v", err)
		}
		f.objs = append(f.objs, object)
		f.write(2, 10)
		f.mustRecover(0, 5)
	}
}

// TestAFullDiskLeavesATornTail: the session ends before the disk is mended.
func TestAFullDiskLeavesATornTail(t *testing.T) {
	f := newFolder(t, 64<<10)
	f.write(2, 10)
	s := f.spy()
	s.set(func(wal.FileOp) (int, error) { return 5000, syscall.ENOSPC })
	if err := f.d.Write(t.Context(), f.g.Session, 2, f.g.Make(t, 2, 6000)); !unknown(err) {
		t.Fatalf("Write = %v", err)
	}
	if rec, err := f.recover(0); err == nil || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Recover on a full disk = %+v, %v", rec, err)
	}
	s.set(nil)
	f.mustRecover(0, 2)
}

func TestABrokenDiskEndsTheSession(t *testing.T) {
	for errno, hint := range map[syscall.Errno]string{syscall.EROFS: "read-only", syscall.EIO: "the disk reports an error", syscall.EACCES: "may not write"} {
		f := newFolder(t, smallFile)
		f.spy().set(func(op wal.FileOp) (int, error) {
			if op.Name == "write" {
				return 0, errno
			}
			return 0, nil
		})
		err := f.d.Write(t.Context(), f.g.Session, 0, f.g.Make(t, 0, 10))
		if !errors.Is(err, wal.ErrFailed) || !strings.Contains(err.Error(), hint) {
			t.Errorf("Write with %v = %v", errno, err)
		}
	}
}

// TestRollOnAFullDisk: no room for the next file, then room.
func TestRollOnAFullDisk(t *testing.T) {
	f := newFolder(t, smallFile)
	s := f.spy()
	s.set(func(op wal.FileOp) (int, error) {
		if op.Name == "allocate" {
			return 0, syscall.ENOSPC
		}
		return 0, nil
	})
	f.write(4, 10) // fills the file
	object := f.g.Make(t, 4, 10)
	for range 2 {
		if err := f.d.Write(t.Context(), f.g.Session, 4, object); !unknown(err) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Write = %v", err)
		}
	}
	s.set(nil)
	if err := f.d.Write(t.Context(), f.g.Session, 4, object); err != nil {
		t.Fatal(err)
	}
	f.objs = append(f.objs, object)
	f.write(10, 10)
	f.mustRecover(0, 15)
}

// TestANewFileIsDurableBeforeItsFirstAck: filled, synced, named, and its name synced, before the first segment is.
func TestANewFileIsDurableBeforeItsFirstAck(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(4, 10)
	s := f.spy()
	f.write(1, 10)
	did := strings.Join(s.did(), ", ")
	session := f.g.Session.String()
	// What was made before the spy came is not seen; what is seen is in this order.
	want := fmt.Sprintf("syncdir %s, opendirect %020[2]d.log, write %020[2]d.log, datasync %020[2]d.log", session, 4)
	if !strings.HasSuffix(did, want) {
		t.Errorf("did %s; want it to end with %s", did, want)
	}
	s.set(func(op wal.FileOp) (int, error) {
		if op.Name == "syncdir" {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	f.write(3, 10)
	if err := f.d.Write(t.Context(), f.g.Session, 8, f.g.Make(t, 8, 10)); !errors.Is(err, wal.ErrFailed) {
		t.Errorf("Write when the folder cannot be synced = %v", err)
	}
}

// A log that is written faster than the next file can be filled does without: zeros would take half of its disk.
func TestAFastLogIsNotFilledAhead(t *testing.T) {
	const size = 8 << 20
	for name, pace := range map[string]time.Duration{"fast": 0, "slow": time.Minute} {
		t.Run(name, func(t *testing.T) {
			clock := waltest.NewClock()
			d, err := wal.OpenFiles(filepath.Join(t.TempDir(), "wal"), wal.FilesOptions{FileSize: size, Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			f := &folder{t: t, d: d, g: waltest.NewSegments()}
			if err := d.Begin(t.Context(), f.g.Session); err != nil {
				t.Fatal(err)
			}
			s := f.spy()
			clock.Advance(pace)
			f.write(3, 1<<20) // more than a quarter of the file
			if pace > 0 {
				s.await(t, "write next.tmp")
			} else {
				s.await(t, "sync next.tmp")
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			if filled := s.has("write next.tmp"); filled != (pace > 0) {
				t.Errorf("the next file was filled: %v", filled)
			}
		})
	}
}

// TestRecoveryCopiesTheTail: valid frames may be in the page cache alone, so they are copied and synced, in that order,
// and nothing is overwritten.
func TestRecoveryCopiesTheTail(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(6, 10)
	tail := f.logs()[1]
	before, err := os.Stat(tail)
	if err != nil {
		t.Fatal(err)
	}
	s := f.spy()
	f.mustRecover(0, 6)
	session, name := f.g.Session.String(), filepath.Base(tail)
	fence := fmt.Sprintf("%020d.log", 6)
	want := []string{
		"syncdir wal",
		"write " + name + ".tmp", "sync " + name + ".tmp", "syncdir " + session,
		"write " + fence + ".tmp", "sync " + fence + ".tmp", "syncdir " + session,
	}
	if got := s.did(); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("did\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	after, err := os.Stat(tail)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) {
		t.Error("the tail is still the old file")
	}
	s.set(nil)
	f.mustRecover(0, 6)
	if got := s.did(); len(got) != 0 {
		t.Errorf("a second recovery did %v", got)
	}
}

// TestRecoveryThatDies ends a recovery at its k-th call to the disk, for every k; the next one comes to the same end.
func TestRecoveryThatDies(t *testing.T) {
	for _, torn := range []bool{false, true} {
		for k := 1; ; k++ {
			f := newFolder(t, smallFile)
			f.write(6, 10)
			if torn {
				f.spy().set(func(wal.FileOp) (int, error) { return 300, syscall.ENOSPC })
				if err := f.d.Write(t.Context(), f.g.Session, 6, f.g.Make(t, 6, 10)); !unknown(err) {
					t.Fatal(err)
				}
				f.restart(smallFile)
			}
			calls := 0
			f.spy().set(func(op wal.FileOp) (int, error) {
				if calls++; calls >= k {
					return 100, fmt.Errorf("dead at call %d (%s)", calls, op.Name)
				}
				return 0, nil
			})
			_, err := f.recover(0)
			f.restart(smallFile)
			f.mustRecover(0, 6)
			f.mustRecover(3, 6)
			if err == nil {
				break
			}
		}
	}
}

func TestFoldersThatCannotBeUsed(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := wal.OpenFiles(filepath.Join(blocked, "wal"), wal.FilesOptions{}); err == nil {
		t.Error("a folder below a file was opened")
	}
	if _, err := wal.LockDir(filepath.Join(blocked, "wal")); err == nil {
		t.Error("a folder below a file was locked")
	}
}

// TestLargerPages stands for a file system that refuses direct writes of 4 KiB: the log goes on through the page cache.
func TestLargerPages(t *testing.T) {
	f := newFolder(t, smallFile)
	f.write(1, 5000)
	s := f.spy()
	refused, direct := 0, wal.Direct(t)
	s.set(func(op wal.FileOp) (int, error) {
		if op.Name == "write" && refused == 0 && direct {
			refused++
			return 0, syscall.EINVAL
		}
		return 0, nil
	})
	f.write(3, 5000)
	if (refused == 1) != direct || s.count("datasync") != 3 {
		t.Errorf("%d writes refused, %d syncs", refused, s.count("datasync"))
	}
	f.mustRecover(0, 4)
}

// TestTooManyOpenFiles: a log file that was named but cannot be opened is named again once it can.
func TestTooManyOpenFiles(t *testing.T) {
	f := newFolder(t, 64<<10)
	f.write(1, 10)
	s := f.spy()
	s.set(func(op wal.FileOp) (int, error) {
		if op.Name == "opendirect" && filepath.Ext(op.Path) == ".log" {
			return 0, syscall.EMFILE
		}
		return 0, nil
	})
	object := f.g.Make(t, 1, 70_000) // does not fit into the first file
	for range 3 {
		if err := f.d.Write(t.Context(), f.g.Session, 1, object); !unknown(err) || !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("Write = %v", err)
		}
	}
	s.set(nil)
	if err := f.d.Write(t.Context(), f.g.Session, 1, object); err != nil {
		t.Fatal(err)
	}
	f.objs = append(f.objs, object)
	f.mustRecover(0, 2)
}
