// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/disk"
)

const nobody = 65534

// asNobody runs f on a thread without root's right to pass over permissions. The
// thread ends with f.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread() // never unlocked
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Errorf("setfsuid: %v", err)
				return
			}
		}
		f()
	}()
	<-done
}

// give makes the store in top nobody's, if the test runs as root.
func give(t *testing.T, top string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chmod(filepath.Dir(top), 0o755); err != nil { // testing makes it 0700
		t.Fatal(err)
	}
	if err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	}); err != nil {
		t.Fatal(err)
	}
}

// TestNotPermitted: folders that may not be written or read say so, and do not
// look empty.
func TestNotPermitted(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "store")
	s := open(t, root)
	if err := s.Create(t.Context(), "dir/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	give(t, top)
	asNobody(t, func() { // or the refusals below would show nothing
		if _, err := s.Read(t.Context(), "dir/a", 0, -1); err != nil {
			t.Errorf("Read before = %v", err)
		}
	})
	refused := func(op string, err error) {
		t.Helper()
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "may not") || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s = %v, want a refusal", op, err)
		}
	}
	for _, folder := range []string{root, filepath.Join(root, "objects"), filepath.Join(root, "objects/dir"), s.Tmp()} {
		t.Run(strings.TrimPrefix(folder, root), func(t *testing.T) {
			if err := os.Chmod(folder, 0); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := os.Chmod(folder, 0o700); err != nil {
					t.Error(err)
				}
			}()
			asNobody(t, func() {
				refused("Create", s.Create(t.Context(), "dir/b", nil))
				if !strings.HasSuffix(folder, "dir") {
					_, err := disk.Open(root, disk.Options{})
					refused("Open", err)
				}
				if folder == s.Tmp() {
					return
				}
				_, err := s.Read(t.Context(), "dir/a", 0, -1)
				refused("Read", err)
				_, err = s.Stat(t.Context(), "dir/a")
				refused("Stat", err)
				_, err = s.List(t.Context(), "dir/", "", 0)
				refused("List", err)
				refused("Delete", s.Delete(t.Context(), "dir/a"))
			})
		})
	}
}
