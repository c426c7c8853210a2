// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/disk"
	"github.com/leatstream/leat/shardstore/wal"
)

// What is in the folder of `leat dev`:
//
//	lock          held by the process that uses the folder
//	master.key    the key under which secrets in catalog.db are kept
//	catalog.db    SQLite: streams, shards, sessions, the extent index
//	wal/          the session logs
//	objects/      packs and the ends of sessions
const (
	masterKeyFile = "master.key"
	catalogFile   = "catalog.db"
	walFolder     = "wal"
)

// Local is an opened data folder. It is Leat's alone while it is open.
type Local struct {
	DB     *sqldb.DB
	Driver *wal.Files
	Blobs  *disk.Store
	close  []io.Closer
}

// OpenLocal locks and opens the folder of `leat dev`, making it when absent.
func OpenLocal(ctx context.Context, dir string, o wal.FilesOptions) (*Local, error) {
	return openLocal(ctx, dir, sqldb.Config{Logger: o.Logger}, o)
}

func openLocal(ctx context.Context, dir string, db sqldb.Config, o wal.FilesOptions) (l *Local, err error) {
	l = &Local{}
	defer func() {
		if err != nil {
			_ = l.Close() // the first error is the one to tell
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return l, bad("data-dir", dir, "it cannot be made (%v): choose a folder that you may write to", err)
	}
	unlock, err := wal.LockDir(dir)
	if err != nil {
		return l, bad("data-dir", dir, "%v: stop that process, or choose another folder", err)
	}
	l.close = append(l.close, closer(unlock))
	db.SQLite = filepath.Join(dir, catalogFile)
	if l.DB, err = sqldb.Open(ctx, db); err != nil {
		return l, bad("data-dir", dir, "its catalog cannot be opened: %v", err)
	}
	l.close = append(l.close, l.DB)
	if l.Driver, err = wal.OpenFiles(filepath.Join(dir, walFolder), o); err != nil {
		return l, bad("data-dir", dir, "its log cannot be opened: %v", err)
	}
	l.close = append(l.close, l.Driver)
	if l.Blobs, err = disk.Open(dir, disk.Options{}); err != nil {
		return l, bad("data-dir", dir, "its objects cannot be opened: %v", err)
	}
	l.close = append(l.close, l.Blobs)
	return l, nil
}

// Close lets go of the folder: what was opened last goes first, the lock last.
func (l *Local) Close() error {
	var first error
	for i := len(l.close) - 1; i >= 0; i-- {
		if err := l.close[i].Close(); err != nil && first == nil {
			first = err
		}
	}
	l.close = nil
	return first
}

type closer func() error

func (c closer) Close() error { return c() }

// devNode is what the one node of `leat dev` is called.
const devNode = "dev"

// Dev opens `leat dev`: one process, one folder, any credentials.
func Dev(ctx context.Context, c DevConfig, version string) (_ *Server, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tracer, log, err := c.tracer(version, devNode, c.logger())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = tracer.Close()
		}
	}()
	book, err := priceBook(c.PriceBook)
	if err != nil {
		return nil, err
	}
	doors, err := openDoors(ctx, &c.Common, "", log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			doors.shut()
		}
	}()
	local, err := openLocal(ctx, c.DataDir, sqldb.Config{Logger: log, Tracer: tracer}, wal.FilesOptions{Logger: log})
	if err != nil {
		return nil, err
	}
	objects := &reopening{dir: c.DataDir, store: local.Blobs}
	local.close[len(local.close)-1] = objects
	master, err := devMasterKeys(c.DataDir, rand.Reader)
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	var token *auth.Bootstrap
	if c.Token != "" {
		if token, err = auth.NewBootstrap(c.Token, leat.DevAccount); err != nil {
			return nil, errors.Join(err, local.Close())
		}
	}
	params := shardstore.LocalParams()
	c.tune(&params)
	return build(ctx, parts{
		common: c.Common, version: version, log: log, db: local.DB, driver: local.Driver, logParams: wal.FileParams(),
		blobs: newMeasuredStore(objects, tracer), reopen: objects.reopen, params: params, node: devNode, exclusive: true, master: master, bootstrap: token, token: c.Token,
		settings: c.redact(), address: doors.forNodes(), book: book, doors: doors, tracer: tracer, close: []io.Closer{tracer, local},
	})
}

// tune puts what the flags say into the engine's parameters.
func (c *Common) tune(p *shardstore.Params) {
	p.PackEvery = c.PackEvery
	if c.Memory > 0 {
		p.TailBytes = c.Memory << 20
	} else if total := totalMemory(); total > 0 {
		p.TailBytes = min(p.TailBytes, total/4)
	}
}

// totalMemory is the machine's memory in bytes, or the limit of the control group that it may use; 0 when not known.
func totalMemory() int64 {
	var total, limit int64
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kib); err == nil {
			total = kib << 10
		}
	}
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if _, err := fmt.Sscanf(string(b), "%d", &limit); err == nil && limit > 0 && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}
