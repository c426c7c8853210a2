// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// Recover implements Driver: rules 10 and 21. What the last file holds may be in the page cache alone, and a sync that
// follows a failed one proves nothing, so its valid frames are copied to a new file and synced there before anyone sees
// them; the new file takes the old one's name. The fence is a file of its own.
func (d *Files) Recover(ctx context.Context, s leat.SessionID, trim uint64, o RecoverOptions) (Recovered, error) {
	if err := o.fill(); err != nil {
		return Recovered{}, err
	}
	d.recovering.Lock()
	defer d.recovering.Unlock()
	if err := d.retire(s); err != nil {
		return Recovered{}, err
	}
	var rec Recovered
	sc, err := d.scanFiles(s, trim, trim, func(n uint64, payload []byte) error {
		if n < trim {
			return nil
		}
		f, _, err := segment.ParseFooter(payload, int64(len(payload)))
		if err == nil {
			err = o.check(s, n, &f.Header)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", Key(s, n), err)
		}
		rec.add(s, n, f)
		return nil
	})
	if err != nil {
		return Recovered{}, err
	}
	defer sc.close()
	if !sc.fence {
		if err := sc.missing(ctx, trim, &o); err != nil {
			return Recovered{}, err
		}
		if err := sc.settle(o.fenceOf(s, sc.next, trim)); err != nil {
			return Recovered{}, err
		}
		o.Logger.Info("session fenced", "session", s, "segment", sc.next)
	}
	rec.Fence = sc.next
	_, err = d.load(s, trim)
	return rec, err
}

// retire ends a log that this process wrote or read. A write that the disk does not give back keeps its file: what it
// writes is in no file that has a name any more.
func (d *Files) retire(s leat.SessionID) error {
	d.mu.Lock()
	l := d.logs[s]
	delete(d.logs, s)
	d.mu.Unlock()
	if l == nil {
		return nil
	}
	l.end(fmt.Errorf("%w: the session was recovered", ErrFenced))
	if !l.commit.TryLock() {
		d.o.Logger.Warn("a write of the session log hangs; its file stays open", "session", s)
		return nil
	}
	l.commit.Unlock()
	return l.close(nil)
}

// missing decides about the first missing segment of a log without a fence: its end, or damage.
func (sc *scan) missing(ctx context.Context, trim uint64, o *RecoverOptions) error {
	if err := o.closed(ctx, sc.s); err != nil {
		return err
	}
	if sc.later == nil {
		if err := sc.passLast(); err != nil {
			return err
		}
	}
	switch {
	case sc.later != nil:
		return sc.later
	case len(sc.files) > 0 && sc.files[0].first > trim:
		return stale(sc.s, trim, "the log goes on with segment %d", sc.files[0].first)
	case sc.next < trim:
		return leat.Errorf(leat.KindCorrupt, "session log %s ends before segment %d, but the catalog trimmed all below %d: the folder is older than the catalog, or was emptied", sc.s, sc.next, trim)
	}
	return nil
}

// settle makes what was found durable and puts the fence behind it.
func (sc *scan) settle(fence []byte) error {
	d, dir := sc.d, sc.d.folder(sc.s)
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return explain(err)
	}
	if err := d.io.syncDir(d.dir); err != nil {
		return explain(err)
	}
	if k := len(sc.files); k > 0 && sc.end > 0 {
		last := sc.files[k-1]
		err := d.replace(last.f.Name(), io.NewSectionReader(sc, 0, sc.end))
		if err != nil {
			return err
		}
	}
	// The copy's name is durable by now: a fence after a tail that could still vanish would look like damage.
	frame := appendFrame(nil, sc.s, sc.next, fence)
	name := filepath.Join(dir, fmt.Sprintf("%020d%s", sc.next, logSuffix))
	return d.replace(name, io.NewSectionReader(bytesAt(frame), 0, int64(len(frame))))
}

// replace writes a file whole, syncs it, and gives it a name for good, in the place of what had it.
func (d *Files) replace(name string, from *io.SectionReader) error {
	tmp := name + tmpSuffix
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, fileMode)
	if err != nil {
		return explain(err)
	}
	if err = d.copy(f, from); err == nil {
		err = d.io.sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return explain(err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return explain(err)
	}
	return explain(d.io.syncDir(filepath.Dir(name)))
}

func (d *Files) copy(to *os.File, from *io.SectionReader) error {
	buf := make([]byte, min(fillChunk, from.Size()))
	for off := int64(0); off < from.Size(); {
		n, err := from.ReadAt(buf[:min(int64(len(buf)), from.Size()-off)], off)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		if _, err := d.io.write(to, buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// bytesAt reads from memory.
type bytesAt []byte

// ReadAt implements io.ReaderAt.
func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, b[min(off, int64(len(b))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// log returns the log of a session, live or over; nil when nothing is kept of it.
func (d *Files) log(ctx context.Context, s leat.SessionID) (*fileLog, error) {
	if l := d.live(s); l != nil {
		return l, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.recovering.Lock()
	defer d.recovering.Unlock()
	if l := d.live(s); l != nil {
		return l, nil
	}
	return d.load(s, 0)
}

// load reads where the segments of a session that is over are, from the file that holds segment from on. recovering is held.
// Damaged ones are known as such to those who ask for them; they keep nobody from the others.
func (d *Files) load(s leat.SessionID, from uint64) (*fileLog, error) {
	sc, err := d.scanFiles(s, from, math.MaxUint64, func(uint64, []byte) error { return nil })
	if err != nil {
		return nil, err
	}
	if sc.later != nil {
		sc.close()
		return nil, sc.later
	}
	return d.loaded(sc), nil
}

// loaded keeps what a scan found.
func (d *Files) loaded(sc *scan) *fileLog {
	if len(sc.files) == 0 {
		return nil
	}
	l := newFileLog(d, sc.s)
	l.over = fmt.Errorf("%w: session %s is over", ErrFenced, sc.s)
	l.files, l.segs, l.first = sc.files, sc.segs, sc.first
	l.lost, l.lostTo = sc.lost, sc.lostTo
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[sc.s] = l
	return l
}
