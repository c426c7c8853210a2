// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/leatstream/leat/internal/testproc"
)

// What the count of syncs is taken over, with one caller: each of these acknowledgements needs a sync of its own.
const (
	syncedSingles = 24
	syncedBatches = 8
)

// errNoTrace says that this machine does not let us count.
var errNoTrace = errors.New("strace is missing or may not be used here")

// countSyncs starts s and counts its fsyncs and fdatasyncs while one caller puts. Fewer than acknowledgements is an error.
func countSyncs(ctx context.Context, s system, p *payloads, pl plan, base string) (syncs int, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return 0, errNoTrace
	}
	dir, err := os.MkdirTemp(base, s.Name()+"-syncs-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop(ctx), os.RemoveAll(dir)) }()
	if err := s.Start(ctx, dir); err != nil {
		return 0, err
	}
	l, err := s.Log(ctx, "syncs")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	if _, err := put(ctx, l, p, load{callers: 1, calls: 1, batch: 1, atMost: pl.singleFor}); err != nil {
		return 0, err
	}
	trace, err := attach(ctx, strace, s.Pid(), dir)
	if err != nil {
		return 0, err
	}
	_, err1 := put(ctx, l, p, load{callers: 1, calls: syncedSingles, batch: 1, atMost: startWithin})
	_, err2 := put(ctx, l, p, load{callers: 1, calls: syncedBatches, batch: pl.batch, way: s.Ways()[0], atMost: startWithin})
	syncs, err3 := trace.detach(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return syncs, err
	}
	if syncs < syncedSingles+syncedBatches {
		return syncs, fmt.Errorf("%s synced %d times for %d acknowledgements", s.Name(), syncs, syncedSingles+syncedBatches)
	}
	return syncs, nil
}

// trace is strace, attached to a process.
type trace struct {
	proc *testproc.Process
	out  string
}

func attach(ctx context.Context, strace string, pid int, dir string) (*trace, error) {
	t := &trace{out: filepath.Join(dir, "strace.out")}
	said := filepath.Join(dir, "strace.log")
	var err error
	t.proc, err = testproc.Start(testproc.Config{
		Name: "strace", Path: strace, Log: said, DeathSignal: syscall.SIGINT,
		Args: []string{"-f", "-e", "trace=fsync,fdatasync", "-o", t.out, "-p", fmt.Sprint(pid)},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err = t.proc.Await(ctx, func(context.Context) error {
		text, err := os.ReadFile(said)
		if err == nil && !bytes.Contains(text, []byte("attached")) {
			err = errors.New("strace has not said that it is attached")
		}
		return err
	})
	if err == nil {
		return t, nil
	}
	if strings.Contains(err.Error(), "ermitted") {
		return nil, errNoTrace
	}
	return nil, errors.Join(err, t.proc.Kill())
}

// detach ends strace and counts the calls that it saw.
func (t *trace) detach(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if err := t.proc.Stop(ctx, syscall.SIGINT); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(t.out)
	return bytes.Count(text, []byte("fsync(")) + bytes.Count(text, []byte("fdatasync(")), err
}
