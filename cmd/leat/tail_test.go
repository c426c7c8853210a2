// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server"
)

// However following ends, nothing is left of it on the server.
func TestTailEndsWithItsPipeOrTerminal(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "1").ok(t)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // also under nohup: a child does not ignore what its parent handles
	defer signal.Stop(hangups)
	for name, end := range map[string]func(p *os.Process, read io.Closer) error{
		"pipe":     func(_ *os.Process, read io.Closer) error { return read.Close() },
		"terminal": func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			tail := exec.CommandContext(t.Context(), os.Args[0], "tail", "s", "-f", "-n", "0")
			tail.Env = append(os.Environ(), commandEnv+"=1")
			var errs bytes.Buffer
			tail.Stderr = &errs
			read, err := tail.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := tail.Start(); err != nil {
				t.Fatal(err)
			}
			awaitConsumer(t, leatCmd, "ACTIVE")
			if err := end(tail.Process, read); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- tail.Wait() }()
			for over, began := false, time.Now(); !over; { // it learns that nobody reads from a record
				leatCmd("", "put", "s", "x").ok(t)
				select {
				case err = <-ended:
					over = true
				default:
					if time.Since(began) > time.Minute {
						t.Fatal("it goes on")
					}
				}
			}
			if left := leatCmd("", "consumer", "list", "s", "-o", "json").ok(t); err != nil || errs.Len() > 0 || left != "" {
				t.Errorf("%v; it said %q and left %q", err, errs.String(), left)
			}
		})
	}
}

// An interruption that comes while the consumer is being registered leaves none behind either.
func TestTailInterruptedWhileItRegisters(t *testing.T) {
	dir := t.TempDir()
	first := leattest.Start(t, leattest.WithDir(dir))
	leatAt(t, first.Endpoint)("", "stream", "create", "s", "--shards", "1").ok(t)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	slow := leattest.Start(t, leattest.WithDir(dir), leattest.WithConfig(func(c *server.DevConfig) { c.Transition = time.Minute }))
	leatCmd := leatAt(t, slow.Endpoint)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out, errs bytes.Buffer
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"tail", "s", "-f"}, &terminal{in: strings.NewReader(""), out: &out, err: &errs}, nil)
	}()
	awaitConsumer(t, leatCmd, "CREATING")
	interrupt()
	if c := <-code; c != 0 || errs.Len() > 0 {
		t.Errorf("exit %d, %s", c, errs.String())
	}
	if left := leatCmd("", "consumer", "list", "s", "-o", "json").ok(t); left != "" {
		t.Errorf("a consumer is left behind: %s", left)
	}
}

// awaitConsumer returns when the stream s has a consumer with this status.
func awaitConsumer(t *testing.T, leatCmd func(stdin string, args ...string) outcome, status string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !strings.Contains(leatCmd("", "consumer", "list", "s").ok(t), status) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no consumer is " + status)
		}
	}
}
