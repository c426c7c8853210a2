// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package testproc_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testproc"
)

// victimEnv makes this test binary start a process and a folder, name them on
// its standard output and wait to be killed.
const victimEnv = "LEAT_TESTPROC_VICTIM"

const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		victim()
	}
	os.Exit(m.Run())
}

func victim() {
	dir, err := testproc.TempDir("leat-testproc-")
	if err != nil {
		panic(err)
	}
	p, err := testproc.Start(sleeper(dir.Path))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d %s\n", p.Pid(), dir.Path)
	<-p.Done()
}

// sleeper is a process that would outlive any test.
func sleeper(dir string) testproc.Config {
	return testproc.Config{Name: "sleeper", Path: "/bin/sleep", Args: []string{"600"}, Log: filepath.Join(dir, "log")}
}

func start(t *testing.T, cfg testproc.Config) *testproc.Process {
	t.Helper()
	p, err := testproc.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// eventually polls until ok, and fails the test when that takes too long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// gone tells whether a process has ended, reaped or not: it may be a zombie
// where nobody adopts orphans.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(rest, []byte("Z")) || bytes.HasPrefix(rest, []byte("X"))
}

func TestKilledTestLeavesNothing(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the victim ended by itself")
	}
	pidText, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
	if readErr != nil || !ok {
		t.Fatalf("the victim said %q: %v", line, readErr)
	}
	pid, err := strconv.Atoi(pidText)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process dies with the test", func() bool { return gone(pid) })
	eventually(t, "the folder is removed", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
}

// The death signal belongs to a thread. A process must not die because the
// goroutine that called Start took its thread along.
func TestSurvivesTheThreadThatStartedIt(t *testing.T) {
	dir := t.TempDir()
	var p *testproc.Process
	var err error
	tid := make(chan int)
	go onDyingThread(func() {
		p, err = testproc.Start(sleeper(dir))
		tid <- syscall.Gettid()
	})
	thread := <-tid
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the starter's thread ends", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return errors.Is(err, os.ErrNotExist)
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Fatalf("ended with %v, want the SIGTERM of Stop", p.Err())
	}
}

// onDyingThread runs f on a thread that ends with the goroutine, since that
// never unlocks it. The main thread would not end, so it is left to wait.
func onDyingThread(f func()) {
	runtime.LockOSThread()
	if syscall.Gettid() != os.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onDyingThread(f)
	}()
	<-done
}

func TestStopKillsWhatWillNotEnd(t *testing.T) {
	dir := t.TempDir()
	p := start(t, testproc.Config{
		Name: "stubborn", Path: "/bin/sh", Log: filepath.Join(dir, "log"), Dir: dir,
		Args: []string{"-c", `trap "" TERM; echo deaf; : > ready; exec /bin/sleep 600`},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := p.Await(ctx, func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	short, cancelShort := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelShort()
	err = p.Stop(short, syscall.SIGTERM)
	if err == nil || !strings.Contains(err.Error(), "deaf") {
		t.Errorf("Stop said %v, want an error with the log", err)
	}
	if p.Running() {
		t.Error("still running")
	}
}

func TestAwaitReportsAnEarlyEnd(t *testing.T) {
	p := start(t, testproc.Config{
		Name: "brief", Path: "/bin/sh", Log: filepath.Join(t.TempDir(), "log"),
		Args: []string{"-c", "echo no such disk >&2; exit 3"},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := p.Await(ctx, func(context.Context) error { return errors.New("connection refused") })
	for _, want := range []string{"brief ended", "exit status 3", "connection refused", "no such disk"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Await said %v, want %q in it", err, want)
		}
	}
}

func TestStartGivesNoEnvironment(t *testing.T) {
	t.Setenv("LEAT_TESTPROC_SECRET", "x")
	p := start(t, testproc.Config{Name: "env", Path: "/usr/bin/env", Log: filepath.Join(t.TempDir(), "log")})
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(p.LogTail(), "LEAT_TESTPROC_SECRET") {
		t.Errorf("the process saw the test's environment:\n%s", p.LogTail())
	}
}

func TestStartRefusesAMissingBinary(t *testing.T) {
	_, err := testproc.Start(testproc.Config{Name: "ghost", Path: "/no/such/ghost", Log: filepath.Join(t.TempDir(), "log")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "ghost") {
		t.Errorf("Start said %v", err)
	}
}

func TestReservedPortIsKeptForItsServer(t *testing.T) {
	port, err := testproc.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a server that comes back finds it again
		l, err := net.Listen("tcp4", port.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp4", port.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial while no server is there: %v, %v", conn, err)
		}
	}
	for range 500 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() == port.Addr() {
			t.Fatal("the kernel gave the reserved port to somebody else")
		}
	}
	if err := errors.Join(port.Release(), port.Release()); err != nil {
		t.Error(err)
	}
}

func TestRemoveTakesTheFolder(t *testing.T) {
	d, err := testproc.TempDir("leat-testproc-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Path, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Remove(), d.Remove()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat says %v", err)
	}
}
