// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/directio"
	"github.com/leatstream/leat/shardstore/blob"
)

// fileLog is one session's log in a folder: live, or over and only read.
type fileLog struct {
	d   *Files
	s   leat.SessionID
	dir string

	// commit is held during a write; it guards the fields of this group.
	commit sync.Mutex
	buf    []byte    // a frame on its way
	nextN  uint64    // number of the next segment
	tail   *logFile  // the last file
	at     int64     // where the next frame goes in it
	since  time.Time // when it became the last
	spare  *spare    // the next file; nil while none is being made

	mu    sync.Mutex
	over  error // why nothing is written any more; nil while live
	files []*logFile
	segs  []place // segs[i] is segment first+i
	first uint64

	lost   error  // of a log that is over: why some segments below lostTo cannot be read; nil when all can
	lostTo uint64 // both are never changed
}

// place is where a segment's bytes are. One that is damaged has a file if it is sure where it was.
type place struct {
	file        *logFile
	off, length int64
	damaged     bool
}

func newFileLog(d *Files, s leat.SessionID) *fileLog {
	return &fileLog{d: d, s: s, dir: d.folder(s)}
}

func (l *fileLog) path(first uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("%020d%s", first, logSuffix))
}

// next is the number after the last segment. mu is held.
func (l *fileLog) next() uint64 { return l.first + uint64(len(l.segs)) }

// write makes segment n durable: one write, one fdatasync. After an unknown the same bytes go to the same place.
func (l *fileLog) write(ctx context.Context, n uint64, object []byte) error {
	l.commit.Lock()
	defer l.commit.Unlock()
	if err := l.mayWrite(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case n < l.nextN:
		return nil // the answer to an earlier try was lost
	case n > l.nextN:
		return leat.Errorf(leat.KindUnavailable, "segment %d comes before segment %d", n, l.nextN)
	}
	size := frameSize(int64(len(object)))
	if int64(cap(l.buf)) < size {
		l.buf = directio.Buffer(size)
	}
	l.buf = appendFrame(l.buf[:0], l.s, n, object)
	if l.at+size > l.tail.size {
		if err := l.roll(size, false); err != nil {
			return err
		}
		if err := l.mayWrite(); err != nil { // a roll may hang until another has ended the log: the new file's name is the fence's by now
			return err
		}
	}
	if err := l.tail.write(l.d.io, l.buf, l.at); err != nil {
		return l.writeFailed(err)
	}
	if err := l.d.io.dataSync(l.tail.f); err != nil {
		return l.fail(err)
	}
	return l.wrote(int64(len(object)), size)
}

// mayWrite tells why nothing can be written.
func (l *fileLog) mayWrite() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// wrote notes a segment that is durable, and prepares the next file in time.
func (l *fileLog) wrote(payload, size int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		return l.over // recovered or closed meanwhile: too late
	}
	l.segs = append(l.segs, place{file: l.tail, off: l.at + frameHead, length: payload})
	l.nextN++
	l.at += size
	if l.spare == nil && l.at >= l.tail.size/4 {
		fast := l.d.o.Clock.Now().Sub(l.since) < fillTime(l.tail.size)/3 // the other three quarters are used before the next file is filled
		l.spare = l.prepare(l.d.o.FileSize, fillPause, !fast)
	}
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	return nil
}

// A larger buffer than this is not kept for the next frame.
const keepBuffer = 16 << 20

// fail ends the log for ever: what is on the disk is not known any more, and to sync again would only hide that.
func (l *fileLog) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over == nil {
		l.over = fmt.Errorf("%w: %w", ErrFailed, explain(err))
	}
	return l.over
}

// writeFailed tells a full disk, which can be mended, from a broken one.
func (l *fileLog) writeFailed(err error) error {
	if passes(err) {
		return explain(err)
	}
	return l.fail(err)
}

// find returns where segment n is.
func (l *fileLog) find(n uint64) (place, bool) {
	p, ok := l.place(n)
	return p, ok && !p.damaged
}

// place is where a segment is, or was before it was damaged.
func (l *fileLog) place(n uint64) (place, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.first || n >= l.next() {
		return place{}, false
	}
	p := l.segs[n-l.first]
	return p, p.file != nil
}

func (l *fileLog) read(n uint64, off, length int64) ([]byte, error) {
	p, ok := l.find(n)
	if !ok && l.lost != nil && n < l.lostTo {
		return nil, fmt.Errorf("%s: %w", Key(l.s, n), l.lost)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", Key(l.s, n), blob.ErrNotFound)
	}
	from, to := blob.Span(p.length, off, length)
	b := make([]byte, to-from)
	_, err := l.d.io.read(p.file.f, b, p.off+from)
	if errors.Is(err, os.ErrClosed) {
		return nil, fmt.Errorf("%s: %w", Key(l.s, n), blob.ErrNotFound) // removed meanwhile
	}
	if err != nil {
		return nil, explain(err)
	}
	return b, nil
}

func (l *fileLog) isOver() bool { return l.mayWrite() != nil }

func (l *fileLog) verify(n uint64, header []byte) (State, error) {
	if l.isOver() {
		return StateForeign, nil // a fence, or as good as one
	}
	got, err := l.read(n, 0, int64(len(header)))
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return StateAbsent, nil
	case err != nil:
		return StateAbsent, err
	case len(header) > 0 && bytes.Equal(got, header):
		return StateOurs, nil
	}
	return StateForeign, nil
}

// remove forgets segments up to n and deletes the files that hold nothing else. The last file stays: it is written to,
// or it is the fence.
func (l *fileLog) remove(n uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n >= l.next() {
		return leat.Errorf(leat.KindInternal, "%s is not a durable segment: it is not removed", Key(l.s, n))
	}
	for len(l.files) > 1 && l.files[1].first <= n+1 {
		f := l.files[0]
		if err := os.Remove(f.f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return explain(err)
		}
		l.files = l.files[1:]
		if err := f.close(); err != nil {
			return explain(err)
		}
		l.forget(l.files[0].first)
	}
	return nil
}

// forget drops the places of segments below n. mu is held.
func (l *fileLog) forget(n uint64) {
	if n > l.first {
		k := min(n-l.first, uint64(len(l.segs)))
		l.segs = append([]place(nil), l.segs[k:]...)
		l.first += k
	}
}

// end makes the log over: nothing is written or told durable any more.
func (l *fileLog) end(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over == nil {
		l.over = reason
	}
}

// close ends the log, waits for a commit on its way and lets go of its files.
func (l *fileLog) close(reason error) error {
	l.end(reason)
	l.commit.Lock()
	defer l.commit.Unlock()
	var errs []error
	if l.spare != nil {
		errs = append(errs, l.spare.discard())
		l.spare = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		errs = append(errs, f.close())
	}
	l.files, l.segs = nil, nil
	return errors.Join(errs...)
}
