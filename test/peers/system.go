// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/leatstream/leat/internal/testproc"
)

// system is one of the servers that are compared, run over a folder that outlives its process.
type system interface {
	// Name is the server's name, as in a table's head.
	Name() string

	// Start runs the server over dir and returns when it serves. Stop ends it, as its operators would, and keeps the folder.
	Start(ctx context.Context, dir string) error
	Stop(ctx context.Context) error

	// Proof asks the running server for its version and for the settings that make it durable, and fails when one of them
	// would let it acknowledge what is not on the disk.
	Proof(ctx context.Context) (string, error)

	// Log opens a log of the running server, made when absent.
	Log(ctx context.Context, name string) (log, error)

	// Ways are the ways to put a batch that are worth measuring, the names being for people.
	Ways() []string

	// Pid is the running server's process.
	Pid() int
}

// log is a durable log in lanes.
type log interface {
	// Writer is caller number n. A writer is used by one goroutine at a time.
	Writer(n int) (writer, error)

	// Read reads a lane from its first record to its present end and shows each payload to see, in order. The bytes are good
	// until see returns.
	Read(ctx context.Context, lane int, see func([]byte)) error

	// Close lets go of the connections.
	Close() error
}

// writer puts records. What it has answered nil for is durable.
type writer interface {
	Put(ctx context.Context, p *payloads, i int) error

	// PutBatch puts the payloads from number i on, n of them, in one of the system's ways.
	PutBatch(ctx context.Context, way string, p *payloads, i, n int) error
	Close() error
}

// bounds for what is not measured.
const (
	startWithin = 30 * time.Second
	stopWithin  = 30 * time.Second
)

// daemon is a server process with its ports, which stay its own while it is down.
type daemon struct {
	name string
	path string
	sig  syscall.Signal // ends it in an orderly way

	proc  *testproc.Process
	ports []*testproc.Port
}

// reserve keeps n ports for the server, the first time that it is called.
func (d *daemon) reserve(n int) error {
	for len(d.ports) < n {
		p, err := testproc.ReservePort()
		if err != nil {
			return err
		}
		d.ports = append(d.ports, p)
	}
	return nil
}

func (d *daemon) addr(i int) string { return d.ports[i].Addr() }

func (d *daemon) run(ctx context.Context, dir string, args []string, ready func(context.Context) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var err error
	d.proc, err = testproc.Start(testproc.Config{
		Name: d.name, Path: d.path, Args: args, Dir: dir,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir},
		Log: filepath.Join(dir, d.name+".log"),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := d.proc.Await(ctx, ready); err != nil {
		return errors.Join(err, d.proc.Kill())
	}
	return nil
}

// Stop ends the process. Stopping what does not run does nothing.
func (d *daemon) Stop(ctx context.Context) error {
	if d.proc == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	err := d.proc.Stop(ctx, d.sig)
	d.proc = nil
	return err
}

// Pid is the running process, or 0.
func (d *daemon) Pid() int {
	if d.proc == nil {
		return 0
	}
	return d.proc.Pid()
}
