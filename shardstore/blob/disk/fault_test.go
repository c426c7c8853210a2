// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/disk"
)

// TestOrder: the contents are durable before the name, the name before the
// answer, and a new folder's own name too.
func TestOrder(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	var steps []disk.Step
	stood := false
	s.Fail(func(step disk.Step) error {
		steps = append(steps, step)
		_, err := os.Stat(filepath.Join(root, "objects/a/b/c"))
		stood = err == nil
		if stood && slices.Equal(steps, []disk.Step{disk.StepWrite, disk.StepSyncFile}) {
			t.Error("the name stood before the contents were durable")
		}
		return nil
	})
	file := []disk.Step{disk.StepWrite, disk.StepSyncFile}
	folder := disk.StepSyncFolder
	for i, want := range [][]disk.Step{
		append(slices.Clone(file), folder, folder, folder), // objects, a, a/b
		append(slices.Clone(file), folder),                 // taken: the other's entry is made durable
	} {
		if i == 1 {
			steps = []disk.Step{"again"}
			want = append(steps, want...)
		}
		err := s.Create(t.Context(), "a/b/c", []byte("x"))
		if i == 0 && err != nil || i == 1 && !errors.Is(err, blob.ErrExists) {
			t.Fatalf("Create %d = %v", i, err)
		}
		if !slices.Equal(steps, want) {
			t.Errorf("steps of Create %d: %q, want %q", i, steps, want)
		}
		if !stood {
			t.Error("the folder was made durable before the name stood")
		}
	}
}

// TestCrash stops a Create at each of its steps for good, opens the folder again
// and finds the object whole or not at all, and nothing left in tmp.
func TestCrash(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 1000)
	for k := range 6 {
		t.Run(fmt.Sprintf("step%d", k), func(t *testing.T) {
			root := t.TempDir()
			s := open(t, root)
			n := 0
			s.Fail(func(disk.Step) error {
				if n++; n > k {
					return syscall.EIO
				}
				return nil
			})
			err := s.Create(t.Context(), "p/q/r", body)
			if k < 5 && !errors.Is(err, syscall.EIO) || k == 5 && err != nil {
				t.Fatalf("Create = %v", err)
			}
			// A dead process leaves its files and loses its lock.
			leftover(t, root)
			again := open(t, root)
			got, err := again.Read(t.Context(), "p/q/r", 0, -1)
			if k <= 2 && !errors.Is(err, blob.ErrNotFound) || err == nil && !bytes.Equal(got, body) || k == 5 && err != nil {
				t.Fatalf("after the crash: %d bytes, %v", len(got), err)
			}
			if err := again.Create(t.Context(), "p/q/r", body); err != nil && !errors.Is(err, blob.ErrExists) {
				t.Fatalf("Create after the crash = %v", err)
			}
		})
	}
}

// leftover puts into tmp what a dead process leaves.
func leftover(t *testing.T, root string) string {
	t.Helper()
	dead := filepath.Join(root, "tmp", "dead")
	if err := os.MkdirAll(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "7"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dead
}

// TestSweep: Open removes what dead processes left, and nothing of live Stores.
func TestSweep(t *testing.T) {
	root := t.TempDir()
	live := open(t, root)
	dead := leftover(t, root)
	other := open(t, root)
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead folder is still there: %v", err)
	}
	for i, s := range []*disk.Store{live, other} {
		if err := s.Create(t.Context(), fmt.Sprintf("k%d", i), []byte("v")); err != nil {
			t.Errorf("Create by store %d = %v", i, err)
		}
	}
	for _, s := range []*disk.Store{live, other, live} { // Close may be called twice
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	left, err := os.ReadDir(filepath.Join(root, "tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("tmp has %v, %v", left, err)
	}
	if err := live.Create(t.Context(), "late", nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Create after Close = %v", err)
	}
	if _, err := live.Read(t.Context(), "k0", 0, -1); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close = %v", err)
	}
}

// TestDiskFull: a full disk says so, leaves nothing, and is over when it is over.
func TestDiskFull(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	full := true
	s.Fail(func(step disk.Step) error {
		if full && step == disk.StepWrite {
			return &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
		}
		return nil
	})
	err := s.Create(t.Context(), "a/b", make([]byte, 1<<20))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("Create = %v", err)
	}
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left behind: %s", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	full = false
	if err := s.Create(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatalf("Create with room again = %v", err)
	}
}

// TestFailedFsync: after a folder's fsync failed, an object that may be forgotten
// stands. Nobody is told "exists" or "created" until the store is opened again.
func TestFailedFsync(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	broken := true
	s.Fail(func(step disk.Step) error {
		if broken && step == disk.StepSyncFolder {
			return syscall.EIO
		}
		return nil
	})
	for _, key := range []string{"k", "k", "other"} {
		if err := s.Create(t.Context(), key, []byte("v")); !errors.Is(err, syscall.EIO) || errors.Is(err, blob.ErrExists) {
			t.Fatalf("Create(%s) = %v, want EIO", key, err)
		}
		broken = false
	}
	again := open(t, root)
	if err := again.Create(t.Context(), "k", []byte("v")); !errors.Is(err, blob.ErrExists) {
		t.Fatalf("Create after opening again = %v", err)
	}
}

// TestVanished: a folder that went away, or was replaced, is not an empty store.
func TestVanished(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		t.Run(fmt.Sprintf("replaced=%v", replaced), func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "store")
			s := open(t, root)
			if err := s.Create(t.Context(), "a/b", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(root, root+"-away"); err != nil {
				t.Fatal(err)
			}
			if replaced {
				for _, sub := range []string{"objects", "tmp"} {
					if err := os.MkdirAll(filepath.Join(root, sub), 0o700); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, read := s.Read(t.Context(), "a/b", 0, -1)
			_, stat := s.Stat(t.Context(), "a/b")
			_, list := s.List(t.Context(), "", "", 0)
			for op, err := range map[string]error{
				"Read": read, "Stat": stat, "List": list,
				"Create": s.Create(t.Context(), "c", nil), "Delete": s.Delete(t.Context(), "a/b"),
			} {
				if err == nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s = %v, want an error of another kind", op, err)
				}
			}
			if _, err := os.Stat(filepath.Join(root, "objects/c")); err == nil {
				t.Error("an object was created in the wrong folder")
			}
		})
	}
}

// TestOpenRefuses: a root that cannot be one is refused.
func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{file, filepath.Join(file, "below")} {
		if s, err := disk.Open(root, disk.Options{}); err == nil {
			t.Errorf("Open(%s) succeeded", root)
			_ = s.Close()
		}
	}
}

// TestPrune: folders that become empty go, the store's own stay.
func TestPrune(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	for _, key := range []string{"a/b/c/d", "a/e"} {
		if err := s.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "a/b/c/d"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "objects/a/b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a/b is still there: %v", err)
	}
	if err := s.Delete(t.Context(), "a/e"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "objects")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := s.Create(t.Context(), "a/b/c/d", []byte("again")); err != nil {
		t.Errorf("Create in a pruned folder = %v", err)
	}
}
