// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
)

const lockEnv = "LEAT_WAL_LOCK_DIR"

// TestMain is also the process that holds a lock for TestLockOfAnotherProcess.
func TestMain(m *testing.M) {
	if dir := os.Getenv(lockEnv); dir != "" {
		if _, err := wal.LockDir(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {} // until it is killed
	}
	goleak.VerifyTestMain(m)
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	unlock, err := wal.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, dir, os.Getpid())
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = wal.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(dir, "lock"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the lock's file was replaced: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, dir string, pid int) {
	t.Helper()
	_, err := wal.LockDir(dir)
	if want := fmt.Sprintf("another leat (pid %d) uses this folder", pid); leat.KindOf(err) != leat.KindInUse || !strings.Contains(err.Error(), want) {
		t.Errorf("LockDir of a folder in use = %v, want %q", err, want)
	}
}

// TestLockOfAnotherProcess: a second holder is refused, and a kill -9 frees the folder.
func TestLockOfAnotherProcess(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	child := exec.Command(exe)
	child.Env = append(os.Environ(), lockEnv+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() }) // it may be dead already
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	refused(t, dir, child.Process.Pid)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the other process ended by itself")
	}
	unlock, err := wal.LockDir(dir)
	if err != nil {
		t.Fatalf("LockDir after the other process died = %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}
