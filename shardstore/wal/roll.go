// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/directio"
)

// roll makes a new last file that holds a frame of need bytes. wait says to fill it with zeros first, all of it. The file's name is durable before the first segment in it can be. commit is held.
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
		sp = l.prepare(size, 0, true)
	}
	f, err := sp.finish(wait)
	if err != nil {
		return l.rollFailed(sp, err)
	}
	// A recovery may have put its fence there while this hung: a name that exists is never taken (rule 8).
	if err := os.Link(f.Name(), l.path(l.nextN)); errors.Is(err, fs.ErrExist) {
		return errors.Join(fmt.Errorf("%w: something else stands at %s", ErrFenced, filepath.Base(l.path(l.nextN))), sp.discard())
	} else if err != nil {
		return l.rollFailed(sp, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return l.fail(err) // the log file has two names now, and the other one is not to be trusted with the next file
	}
	if err := l.d.io.syncDir(l.dir); err != nil {
		return l.fail(err)
	}
	// The handle keeps the name it was opened with; remove needs the new one.
	tail, err := l.open(sp.size)
	if err != nil {
		return l.unname(f, err)
	}
	if err := f.Close(); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail != nil {
		if err := l.tail.endDirect(); err != nil {
			l.d.o.Logger.Warn("close a log file's second handle", "session", l.s, "error", err) // all in it is durable
		}
	}
	l.tail, l.at, l.since = tail, 0, l.d.o.Clock.Now()
	l.files = append(l.files, l.tail)
	return nil
}

// unname takes back the name of a file that could not be opened under it: nothing was written there, and the next try
// makes another.
func (l *fileLog) unname(f *os.File, reason error) error {
	err := errors.Join(f.Close(), os.Remove(l.path(l.nextN)), l.d.io.syncDir(l.dir))
	if err != nil {
		return l.fail(errors.Join(reason, err))
	}
	return l.writeFailed(reason)
}

// open opens the file that was just named as the last one.
func (l *fileLog) open(size int64) (*logFile, error) {
	name := l.path(l.nextN)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	direct, err := l.d.io.openDirect(name)
	if err == nil && direct != nil {
		err = directio.Scattered(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), closeIf(direct))
	}
	return &logFile{f: f, direct: direct, first: l.nextN, size: size}, nil
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
	pause time.Duration // between chunks
	hurry chan struct{} // closed: leave the rest unfilled, it reads as zeros all the same
	once  sync.Once     // closes hurry
	done  chan struct{} // closed when the goroutine is gone; guards what follows

	f          *os.File // nil if it could not be made
	err        error
	syncFailed bool
}

// The next file is filled from the moment at which a quarter of the last one is used, a small chunk at a time with a
// pause after it, at most about 100 MB/s: commits hardly notice. A log that is written faster than that gets files that are
// not filled: large commits gain little by it, and would lose a part of the disk's throughput. One that becomes fast gets
// files that are filled in part.
const (
	fillChunk = 1 << 20
	fillPause = 10 * time.Millisecond
)

// fillTime is how long filling a file takes at least.
func fillTime(size int64) time.Duration { return time.Duration(size/fillChunk) * fillPause }

// prepare begins to make the next file, filled or not. At most one is made at a time.
func (l *fileLog) prepare(size int64, pause time.Duration, fill bool) *spare {
	sp := &spare{size: size, path: filepath.Join(l.dir, spareName), pause: pause, hurry: make(chan struct{}), done: make(chan struct{})}
	if !fill {
		sp.hasten()
	}
	io, clock := l.d.io, l.d.o.Clock
	go func() {
		defer close(sp.done)
		sp.err = sp.make(io, clock)
	}()
	return sp
}

// make makes the file: of its full size at once, so that a full disk shows, then filled with zeros. That makes a commit about
// half as long, because the file system has nothing to note down but the data.
func (sp *spare) make(io fileIO, clock leat.Clock) error {
	// Never truncated: after a crash this may be the second name of a log file.
	if err := os.Remove(sp.path); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(sp.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	sp.f = f
	if err := io.allocate(f, sp.size); err != nil {
		return err
	}
	lf := &logFile{f: f}
	if lf.direct, err = io.openDirect(sp.path); err != nil {
		return err
	}
	err = sp.fill(lf, io, clock)
	return errors.Join(err, lf.endDirect())
}

// fill writes the zeros.
func (sp *spare) fill(lf *logFile, io fileIO, clock leat.Clock) error {
	zeros := directio.Buffer(min(fillChunk, sp.size))
	zeros = zeros[:cap(zeros)]
	for off := int64(0); off < sp.size && sp.rest(off, clock); off += int64(len(zeros)) {
		if err := lf.write(io, zeros[:min(int64(len(zeros)), sp.size-off)], off); err != nil {
			return err
		}
		if sp.pause == 0 {
			continue // nobody is disturbed by one large sync at the end
		}
		if err := io.dataSync(lf.f); err != nil {
			sp.syncFailed = true
			return err
		}
	}
	if err := io.sync(lf.f); err != nil {
		sp.syncFailed = true
		return err
	}
	return nil
}

// rest pauses before a chunk. false when the file is wanted now.
func (sp *spare) rest(off int64, clock leat.Clock) bool {
	if sp.pause == 0 || off == 0 {
		select {
		case <-sp.hurry:
			return false
		default:
			return true
		}
	}
	c, stop := clock.NewTimer(sp.pause)
	defer stop()
	select {
	case <-c:
		return true
	case <-sp.hurry:
		return false
	}
}

// hasten ends the filling.
func (sp *spare) hasten() { sp.once.Do(func() { close(sp.hurry) }) }

// finish returns the file. Unless wait, it is not filled further.
func (sp *spare) finish(wait bool) (*os.File, error) {
	if !wait {
		sp.hasten()
	}
	<-sp.done
	return sp.f, sp.err
}

// discard removes the file.
func (sp *spare) discard() error {
	sp.hasten()
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
