// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"os"
	"path/filepath"
	"sync/atomic"
)

// roll makes a new last file that holds a frame of need bytes. wait says to fill it with zeros first, however long that
// takes. The file's name is durable before the first segment in it can be. commit is held.
func (l *fileLog) roll(need int64, wait bool) error {
	size := max(l.d.o.FileSize, need)
	sp := l.spare
	l.spare = nil
	if sp != nil && sp.size < size {
		if err := sp.discard(); err != nil {
			return l.writeFailed(err)
		}
		sp = nil
	}
	if sp == nil {
		sp = l.prepare(size)
	}
	f, err := sp.finish(wait)
	if err != nil {
		return l.rollFailed(sp, err)
	}
	if err := os.Rename(f.Name(), l.path(l.nextN)); err != nil {
		return l.rollFailed(sp, err)
	}
	if err := l.d.io.syncDir(l.dir); err != nil {
		return l.fail(err)
	}
	// The handle keeps the name it was opened with; remove needs the new one.
	named, err := os.OpenFile(l.path(l.nextN), os.O_RDWR, 0)
	if err != nil {
		return l.writeFailed(err)
	}
	if err := f.Close(); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail, l.at = &logFile{f: named, first: l.nextN, size: sp.size}, 0
	l.files = append(l.files, l.tail)
	return nil
}

// rollFailed clears a file away that could not be made. A failed fsync is final here too.
func (l *fileLog) rollFailed(sp *spare, err error) error {
	if e := sp.discard(); e != nil {
		l.d.o.Logger.Warn("a log file that could not be made could not be removed either", "session", l.s, "error", e)
	}
	if sp.syncFailed {
		return l.fail(err)
	}
	return l.writeFailed(err)
}

// spare is the next log file, being made by a goroutine of its own.
type spare struct {
	size  int64
	path  string
	hurry atomic.Bool   // leave the rest of it unfilled: it reads as zeros all the same
	done  chan struct{} // closed when the goroutine is gone; guards what follows

	f          *os.File // nil if it could not be made
	err        error
	syncFailed bool
}

// prepare begins to make the next file. At most one is made at a time.
func (l *fileLog) prepare(size int64) *spare {
	sp := &spare{size: size, path: filepath.Join(l.dir, spareName), done: make(chan struct{})}
	go func() {
		defer close(sp.done)
		sp.err = sp.fill(l.d.io)
	}()
	return sp
}

// fillChunk is how much is filled at a time: small enough not to be in the way of commits for long.
const fillChunk = 1 << 20

// fill makes the file: allocated at once, so that a full disk shows, then filled with zeros, which makes each commit
// about half as long, because the file system has nothing to note down but the data.
func (sp *spare) fill(io fileIO) error {
	f, err := os.OpenFile(sp.path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	sp.f = f
	if err := io.allocate(f, sp.size); err != nil {
		return err
	}
	zeros := make([]byte, min(fillChunk, sp.size))
	for off := int64(0); off < sp.size && !sp.hurry.Load(); off += int64(len(zeros)) {
		if _, err := io.write(f, zeros[:min(int64(len(zeros)), sp.size-off)], off); err != nil {
			return err
		}
	}
	if err := io.sync(f); err != nil {
		sp.syncFailed = true
		return err
	}
	return nil
}

// finish returns the file. Unless wait, it is not filled further.
func (sp *spare) finish(wait bool) (*os.File, error) {
	if !wait {
		sp.hurry.Store(true)
	}
	<-sp.done
	return sp.f, sp.err
}

// discard removes the file.
func (sp *spare) discard() error {
	sp.hurry.Store(true)
	<-sp.done
	if sp.f == nil {
		return nil
	}
	_ = sp.f.Close() // nothing in it is needed
	sp.f = nil
	if err := os.Remove(sp.path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
