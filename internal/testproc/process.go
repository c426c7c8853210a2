// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package testproc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// pollEvery is the pause between two questions of [Process.Await].
const pollEvery = 10 * time.Millisecond

// logTail is how many bytes at the end of a log an error shows.
const logTail = 4 << 10

// User is the account that a process runs as.
type User struct {
	UID, GID uint32
}

// Config says what to run.
type Config struct {
	Name string   // for messages: "minio"
	Path string   // the binary
	Args []string // without the binary's name
	Env  []string // the whole environment, as KEY=value
	Dir  string   // the working folder; the test's own when empty
	Log  string   // takes standard output and standard error; appended to
	User *User    // nil: the account of the test

	// DeathSignal is what the process is sent when the test binary ends.
	// 0 means SIGKILL.
	DeathSignal syscall.Signal
}

// Process is a child process, running or ended. Its methods may be called from
// any goroutine.
type Process struct {
	cfg  Config
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has been reaped
	err  error         // what Wait said; set before done is closed
}

// Start runs the process. It returns when the process exists, which says
// nothing about whether it serves: see [Process.Await].
func Start(cfg Config) (*Process, error) {
	if cfg.DeathSignal == 0 {
		cfg.DeathSignal = syscall.SIGKILL
	}
	log, err := os.OpenFile(cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: open its log: %w", cfg.Name, err)
	}
	defer log.Close() // the child has its own copy

	cmd := exec.Command(cfg.Path, cfg.Args...)
	cmd.Env = cfg.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would hand down the test's environment
	}
	cmd.Dir = cfg.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = sysProcAttr(cfg)

	p := &Process{cfg: cfg, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cfg.Name, err)
	}
	return p, nil
}

// run starts the process and reaps it.
//
// The death signal comes when the thread that forked ends, not the process. So
// one thread is held from fork to wait; any other may be ended by the runtime.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.done)
}

// Pid is the process id. It stays the same after the end.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and been reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err is how the process ended: nil for exit status 0, else an
// [exec.ExitError]. It blocks until the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends sig. It answers [os.ErrProcessDone] when the process has ended.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop sends sig and waits for the end, whatever the exit status. When ctx ends
// first the process is killed and the error says so. Stopping a process that
// has ended does nothing.
func (p *Process) Stop(ctx context.Context, sig syscall.Signal) error {
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: send %v: %w", p.cfg.Name, sig, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		err := fmt.Errorf("%s did not end on %v and was killed: %w\n%s", p.cfg.Name, sig, ctx.Err(), p.LogTail())
		return errors.Join(err, p.Kill())
	}
}

// Kill ends the process with SIGKILL and reaps it.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.cfg.Name, err)
	}
	<-p.done
	return nil
}

// Await asks ready again and again until it answers nil. It gives up when the
// process ends or ctx does; the error then carries the last answer and the end
// of the log.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%v): %w\n%s", p.cfg.Name, p.cmd.ProcessState, err, p.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w\n%s", p.cfg.Name, err, p.LogTail())
		case <-tick.C:
		}
	}
}

// LogTail is the end of the process's log, for messages.
func (p *Process) LogTail() string {
	b, err := os.ReadFile(p.cfg.Log)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-logTail):]))
}
