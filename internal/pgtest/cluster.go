// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leatstream/leat/internal/testproc"
)

// superuser is the only role of a cluster.
const superuser = "leat"

// maxSocketPath is the longest path of a Unix socket on any system (macOS).
const maxSocketPath = 103

// patience bounds each step: one that takes longer on a busy machine is stuck.
const patience = time.Minute

// Cluster is one PostgreSQL server with its data. Start, Stop and Crash must
// not be called at the same time; Database and DSN may be, from any goroutine.
type Cluster struct {
	opts   options
	server server
	dir    *testproc.Dir // data/ and log in it, and the socket
	proc   *testproc.Process
	nextDB atomic.Int64
}

// open makes a cluster and starts it.
func open(o options) (*Cluster, error) {
	srv, err := findServer()
	if err != nil {
		return nil, err
	}
	dir, err := testproc.TempDir("leat-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: o, server: srv, dir: dir}
	if err := c.init(); err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// init gives the folder to the server's account and runs initdb in it.
func (c *Cluster) init() error {
	if socket := filepath.Join(c.dir.Path, ".s.PGSQL.5432"); len(socket) > maxSocketPath {
		return fmt.Errorf("pgtest: %s is too long for a Unix socket; set TMPDIR to a shorter folder", socket)
	}
	if u := c.server.user; u != nil {
		if err := os.Chown(c.dir.Path, int(u.UID), int(u.GID)); err != nil {
			return fmt.Errorf("pgtest: give the folder to the server's account: %w", err)
		}
	}
	args := []string{
		"--pgdata", c.data(), "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-instructions",
	}
	if !c.opts.durable {
		args = append(args, "--no-sync")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.server.binary("initdb"), args...)
	cmd.Env, cmd.Dir = c.env(), c.dir.Path
	if u := c.server.user; u != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		if at := barred(c.dir.Path); c.server.user != nil && at != "" {
			err = fmt.Errorf("%w (it runs as another user, and only its owner and group may enter %s: set TMPDIR to a folder that all may)", err, at)
		}
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// barred is the first folder above path that its owner and group alone can enter, "" when there is none.
func barred(path string) string {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func (c *Cluster) data() string { return filepath.Join(c.dir.Path, "data") }

func (c *Cluster) env() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + c.dir.Path}
}

// start runs the server and waits until it takes connections.
func (c *Cluster) start() error {
	args := []string{
		"-D", c.data(), "-k", c.dir.Path, "-c", "listen_addresses=", "-p", "5432",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB", "-c", "timezone=UTC",
	}
	if !c.opts.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	proc, err := testproc.Start(testproc.Config{
		Name: "postgres", Path: c.server.binary("postgres"), Args: args,
		Env: c.env(), Dir: c.dir.Path, Log: filepath.Join(c.dir.Path, "log"), User: c.server.user,
		// An immediate shutdown takes the backends along and frees the shared
		// memory; SIGKILL would leave its key behind.
		DeathSignal: syscall.SIGQUIT,
	})
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	c.proc = proc
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := proc.Await(ctx, func(ctx context.Context) error { return c.exec(ctx, "SELECT 1") }); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

// stop ends the server with sig and waits for it.
func (c *Cluster) stop(sig syscall.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.proc.Stop(ctx, sig); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

func (c *Cluster) close() error {
	var err error
	if c.proc != nil {
		err = c.stop(syscall.SIGQUIT)
	}
	return errors.Join(err, c.dir.Remove())
}

// Stop shuts the server down in order: it breaks off all connections and
// writes a checkpoint. Its data and its address stay.
func (c *Cluster) Stop(tb testing.TB) {
	tb.Helper()
	if err := c.stop(syscall.SIGINT); err != nil {
		tb.Fatal(err)
	}
}

// Crash ends the server at once, without a checkpoint: the next Start recovers
// from its log. Transactions that were committed are kept.
func (c *Cluster) Crash(tb testing.TB) {
	tb.Helper()
	if err := c.stop(syscall.SIGQUIT); err != nil {
		tb.Fatal(err)
	}
}

// Start starts a stopped or crashed server again, at the same DSN. It does
// nothing when the server runs.
func (c *Cluster) Start(tb testing.TB) {
	tb.Helper()
	if c.proc.Running() {
		return
	}
	if err := c.start(); err != nil {
		tb.Fatal(err)
	}
}

// Database makes an empty database and returns its DSN. It is dropped, with
// whoever is still connected, when the test ends.
func (c *Cluster) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", c.nextDB.Add(1))
	if err := c.exec(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("pgtest: make a database: %v", err)
	}
	tb.Cleanup(func() {
		if !c.proc.Running() {
			return // it goes with the cluster
		}
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: drop a database: %v", err)
		}
	})
	return c.DSN(name)
}

// DSN is the keyword/value connection string of a database. "postgres" always
// exists.
func (c *Cluster) DSN(database string) string {
	return fmt.Sprintf("host=%s port=5432 user=%s dbname=%s sslmode=disable", c.dir.Path, superuser, database)
}

// exec runs one statement as the superuser on a connection of its own.
func (c *Cluster) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
