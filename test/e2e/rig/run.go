// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience bounds each step: one that takes longer on a busy machine is stuck.
const Patience = time.Minute

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int // exit status; -1 when a signal ended it
}

// Command is one command line to run.
type Command struct {
	Binary string // Binary(tb) when empty
	Args   []string
	Env    []string // the whole environment
	Stdin  io.Reader
	Stdout io.Writer // nil: kept for Result
	Dir    string    // the working folder; the test's own when empty
	User   *syscall.Credential
	Limit  time.Duration // Patience when 0
}

// Run runs leat with args and env and returns how it ended, whatever the exit status.
func Run(tb testing.TB, env []string, args ...string) Result {
	tb.Helper()
	return Exec(tb, Command{Args: args, Env: env})
}

// Exec runs one command line to its end.
func Exec(tb testing.TB, c Command) Result {
	tb.Helper()
	return Begin(tb, c).Wait(tb)
}

// Running is a command that was begun.
type Running struct {
	cmd         *exec.Cmd
	out, errOut strings.Builder
	done        chan struct{}
	err         error // why it did not end by itself
}

// Begin starts one command line.
func Begin(tb testing.TB, c Command) *Running {
	tb.Helper()
	if c.Limit == 0 {
		c.Limit = Patience
	}
	if c.Binary == "" {
		c.Binary = Binary(tb)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), c.Limit)
	r := &Running{cmd: exec.CommandContext(ctx, c.Binary, c.Args...), done: make(chan struct{})}
	r.cmd.Env = append([]string{}, c.Env...) // nil would hand down the test's own
	r.cmd.Dir = c.Dir
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = c.Stdin, &r.out, &r.errOut
	if c.Stdout != nil {
		r.cmd.Stdout = c.Stdout
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.User}
	r.cmd.WaitDelay = time.Second
	if err := r.cmd.Start(); err != nil {
		cancel()
		tb.Fatalf("leat %s: %v", strings.Join(c.Args, " "), err)
	}
	go func() {
		defer close(r.done)
		defer cancel()
		err := r.cmd.Wait()
		if ctx.Err() != nil && err != nil {
			r.err = errors.Join(ctx.Err(), errors.New("it did not end: "+r.errOut.String()))
		}
	}()
	return r
}

// Signal sends the command a signal.
func (r *Running) Signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		tb.Fatalf("%v: %v", r.cmd.Args, err)
	}
}

// Wait waits for the command's end. It fails the test when the command did not end by itself.
func (r *Running) Wait(tb testing.TB) Result {
	tb.Helper()
	<-r.done
	if r.err != nil {
		tb.Fatalf("%v: %v", r.cmd.Args, r.err)
	}
	return Result{Stdout: r.out.String(), Stderr: r.errOut.String(), Code: r.cmd.ProcessState.ExitCode()}
}

// Must runs leat and fails the test unless it ends with exit status 0. It returns standard output.
func Must(tb testing.TB, env []string, args ...string) string {
	tb.Helper()
	r := Run(tb, env, args...)
	if r.Code != 0 {
		tb.Fatalf("leat %s: exit status %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Timely fails the test when something took longer than bound on a machine that has nothing else to do (LEAT_TIMED=true, as
// make cluster sets it). Anywhere else it may take several times as long: other tests run meanwhile.
func Timely(tb testing.TB, took, bound time.Duration) {
	tb.Helper()
	const patience = 5
	if os.Getenv("LEAT_TIMED") != "true" {
		bound *= patience
	}
	if took > bound {
		tb.Errorf("that took %v, more than %v", took.Round(10*time.Millisecond), bound)
	}
}

// Eventually polls until ok answers nil, and fails the test with the last answer when that takes longer than limit.
func Eventually(tb testing.TB, limit time.Duration, what string, ok func() error) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("not in %v: %s: %v", limit, what, err)
		}
	}
}
