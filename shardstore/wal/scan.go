// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// scan is what the files of a session hold.
type scan struct {
	d     *Files
	s     leat.SessionID
	files []*logFile // all, also those that were not read
	segs  []place    // in order, with a place for each
	first uint64     // number of segs[0]
	next  uint64     // the first missing segment
	end   int64      // where valid frames end in the last file that was read
	fence bool       // a fence stands at next
	later error      // proof that next and more were there once: not a torn end but corruption

	below  uint64 // segments below it do not count: damage there is passed over
	lost   error  // what was passed over first; nil: nothing
	lostTo uint64 // the end of what was passed over last
	gaps   []gap  // what was passed over in the last file that was read
	least  uint64 // the first number after the last gap of that file
}

// gap is a part of a file that holds damaged frames.
type gap struct{ from, to int64 }

// scanFiles reads the frames of a session that may be at or beyond from; each is called for every one of them that is
// sound. Files that lie whole below from are not read. Damage is passed over where all of it lies below the bound. An error
// is one of reading: it says nothing about what is in the files.
func (d *Files) scanFiles(s leat.SessionID, from, below uint64, each func(n uint64, payload []byte) error) (sc *scan, err error) {
	sc = &scan{d: d, s: s, below: below}
	defer func() {
		if err != nil {
			sc.close()
		}
	}()
	if err := sc.open(); err != nil || len(sc.files) == 0 {
		return sc, err
	}
	k := 0
	for k+1 < len(sc.files) && sc.files[k+1].first <= from {
		k++
	}
	sc.first, sc.next = sc.files[k].first, sc.files[k].first
	var before *logFile
	for _, f := range sc.files[k:] {
		if sc.fence || f.first != sc.next {
			damage := leat.Errorf(leat.KindCorrupt, "session log %s: segment %d is damaged or missing, but file %s begins with segment %d", s, sc.next, filepath.Base(f.f.Name()), f.first)
			if sc.fence || !sc.pass(f.first, damage, before, 0) {
				sc.later = damage
				return sc, nil
			}
		}
		if err := sc.file(f, each); err != nil || sc.later != nil {
			return sc, err
		}
		before = f
	}
	return sc, nil
}

// pass goes on with segment n, if those before it that are damaged do not count. The first of them begins at the end of what is sound in the file they
// are in, and each other one where the one before it ends, if that is sure: what stays in a place (Files.Place) stays there for good. Segment n begins
// at until in the same file; 0: it is in another.
func (sc *scan) pass(n uint64, damage error, in *logFile, until int64) bool {
	const most = 1 << 20 // places; of more missing ones it is enough to know that they are
	if n < sc.next || n > sc.below {
		return false
	}
	if n-sc.next > most {
		sc.segs, sc.first, sc.next = nil, n, n
	}
	for at := sc.end; sc.next < n; sc.next++ {
		p := place{damaged: true}
		if in != nil && (until > 0 || sc.written(in, at)) {
			p.file, p.off = in, at+frameHead
			if at = sc.behind(in, at, n, until); at == 0 {
				in = nil
			}
		}
		sc.segs = append(sc.segs, p)
	}
	if sc.lost == nil {
		sc.lost = damage
	}
	sc.lostTo = n
	return true
}

// open opens the session's log files in order.
func (sc *scan) open() error {
	dir := sc.d.folder(sc.s)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return sc.d.here()
	}
	if err != nil {
		return explain(err)
	}
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), logSuffix)
		first, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil || len(digits) != 20 {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return explain(err)
		}
		sc.files = append(sc.files, &logFile{f: f, first: first})
		info, err := f.Stat()
		if err != nil {
			return explain(err)
		}
		sc.files[len(sc.files)-1].size = info.Size()
	}
	slices.SortFunc(sc.files, func(a, b *logFile) int { return strings.Compare(a.f.Name(), b.f.Name()) })
	return nil
}

func (sc *scan) close() {
	for _, f := range sc.files {
		_ = f.f.Close() // only read
	}
}

// file reads the frames of one file up to its end, a fence, or bytes that are no frame.
func (sc *scan) file(f *logFile, each func(n uint64, payload []byte) error) error {
	sc.end, sc.gaps, sc.least = 0, nil, math.MaxUint64
	var buf []byte
	for sc.end+framePage <= f.size && !sc.fence {
		fr, payload, err := sc.frame(f, sc.end, &buf)
		if err != nil && !sc.mayLose(err) {
			return err
		}
		if payload == nil || fr.n != sc.next && sc.next < sc.below {
			if on, err := sc.seek(f); err != nil || !on {
				return err
			}
			continue
		}
		if fr.n != sc.next {
			sc.later = sc.damaged(f, sc.end, fr.n)
			return nil
		}
		if h, err := segment.ParseHeader(payload); err == nil && h.Kind == segment.KindFence {
			sc.fence = true
			return nil
		}
		if err := each(fr.n, payload); err != nil {
			return err
		}
		sc.segs = append(sc.segs, place{file: f, off: sc.end + frameHead, length: fr.length})
		sc.next++
		sc.end += frameSize(fr.length)
	}
	return nil
}

// mayLose tells whether a failed read is damage that does not count.
func (sc *scan) mayLose(err error) bool { return sc.next < sc.below && errors.Is(err, syscall.EIO) }

// frame reads the frame at off; a nil payload when no valid one of this session is there. buf is used again.
func (sc *scan) frame(f *logFile, off int64, buf *[]byte) (frame, []byte, error) {
	var head [frameHead]byte
	if _, err := sc.d.io.read(f.f, head[:], off); err != nil {
		return frame{}, nil, explain(err)
	}
	fr, ok := parseFrame(head[:], f.size-off)
	if !ok || fr.s != sc.s {
		return fr, nil, nil
	}
	*buf = slices.Grow((*buf)[:0], int(fr.length)+1)[:fr.length]
	if _, err := sc.d.io.read(f.f, *buf, off+frameHead); err != nil {
		return fr, nil, explain(err)
	}
	if !fr.check(head[:], *buf) {
		return fr, nil, nil
	}
	return fr, *buf, nil
}

// seek looks behind bytes that are no frame. A commit begins only after the one before it is durable, so a valid frame
// of this session there means that an acked one is damaged; it goes on there if none of those counts. A frame with a number
// that was seen before is none: it may be the content of a record. After a gap it may not be told any more which of two is.
func (sc *scan) seek(f *logFile) (on bool, err error) {
	chunk := make([]byte, 256*framePage)
	var buf []byte
	for off := sc.end + framePage; off < f.size; off += int64(len(chunk)) {
		got, err := sc.pages(f, chunk, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, explain(err)
		}
		for at := 0; at+frameHead <= got; at += framePage {
			fr, ok := parseFrame(chunk[at:], f.size-off-int64(at))
			if !ok || fr.s != sc.s || fr.n < min(sc.next, sc.least) {
				continue
			}
			_, payload, err := sc.frame(f, off+int64(at), &buf)
			if err != nil && !sc.mayLose(err) {
				return false, err
			}
			if payload != nil {
				return sc.found(f, off+int64(at), fr.n), nil
			}
		}
	}
	return false, nil
}

// found goes on with a frame behind damaged ones, each of which took a page at least, or tells what is wrong.
func (sc *scan) found(f *logFile, at int64, n uint64) bool {
	damage := sc.damaged(f, at, n)
	if n-sc.next > uint64((at-sc.end)/framePage) || !sc.pass(n, damage, f, at) {
		sc.later = damage
		return false
	}
	sc.gaps = append(sc.gaps, gap{sc.end, at})
	sc.end, sc.least = at, n
	return true
}

// written tells whether something was written to the page at a place of a file.
func (sc *scan) written(f *logFile, at int64) bool {
	page := make([]byte, framePage)
	if at+framePage > f.size {
		return false
	}
	_, err := sc.d.io.read(f.f, page, at)
	return errors.Is(err, syscall.EIO) || err == nil && !zero(page)
}

// behind is where the frame behind the damaged one of sc.next begins; 0 when that is not sure. Each of those up to n takes a page at least.
func (sc *scan) behind(f *logFile, at int64, n uint64, until int64) int64 {
	rest := int64(n-sc.next-1) * framePage
	if until > 0 && until-at == rest+framePage {
		return at + framePage
	}
	if _, err := sc.d.io.read(f.f, make([]byte, frameHead), at); err != nil {
		return 0
	}
	size, err := sc.sizeOf(f, at, sc.next)
	if err != nil || size == 0 || until > 0 && at+size+rest > until {
		return 0
	}
	return at + size
}

// pages reads many pages. Those that cannot be read are zero where damage does not count.
func (sc *scan) pages(f *logFile, b []byte, off int64) (n int, err error) {
	n, err = sc.d.io.read(f.f, b, off)
	if err == nil || !sc.mayLose(err) {
		return n, err
	}
	b = b[:min(int64(len(b)), f.size-off)]
	for at := 0; at < len(b); at += framePage {
		page := b[at:min(at+framePage, len(b))]
		if _, err := sc.d.io.read(f.f, page, off+int64(at)); err != nil {
			if !sc.mayLose(err) {
				return at, err
			}
			clear(page)
		}
	}
	return len(b), nil
}

// passLast passes over damaged segments at the very end of the log, where no later one tells where they end: if they are the
// last that were trimmed, it is to be proved that nothing that counts was ever written behind them. Each of them must show
// that it was there and how long it is, and all behind them must be as the file was made.
func (sc *scan) passLast() error {
	if len(sc.files) == 0 || sc.next >= sc.below {
		return nil
	}
	f, at := sc.files[len(sc.files)-1], sc.end
	for n := sc.next; n < sc.below; n++ {
		size, err := sc.sizeOf(f, at, n)
		if err != nil || size == 0 {
			return err
		}
		at += size
	}
	buf := make([]byte, 256*framePage)
	for off := at; off < f.size; off += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), f.size-off)]
		if _, err := sc.d.io.read(f.f, b, off); err != nil {
			return explain(err)
		}
		if !zero(b) {
			return nil
		}
	}
	damage := leat.Errorf(leat.KindCorrupt, "session log %s: segment %d is damaged at byte %d of %s", sc.s, sc.next, sc.end, filepath.Base(f.f.Name()))
	if from := sc.end; sc.pass(sc.below, damage, f, at) {
		sc.gaps = append(sc.gaps, gap{from, at})
		sc.end = at
	}
	return nil
}

// sizeOf is how much of the file the damaged frame of segment n takes; 0 when that is not certain. A head is believed if it
// says that the frame is one page, or if the table of contents is where it says. A page that the disk does not give back had
// something written to it; if it was not all of the frame, the rest stands behind it.
func (sc *scan) sizeOf(f *logFile, at int64, n uint64) (int64, error) {
	if at+framePage > f.size {
		return 0, nil
	}
	head := make([]byte, frameHead)
	if _, err := sc.d.io.read(f.f, head, at); err != nil {
		if errors.Is(err, syscall.EIO) {
			return framePage, nil
		}
		return 0, explain(err)
	}
	fr, ok := parseFrame(head, f.size-at)
	if !ok || fr.s != sc.s || fr.n != n {
		return 0, nil
	}
	size := frameSize(fr.length)
	if size == framePage {
		return size, nil
	}
	payload := make([]byte, fr.length)
	if _, err := sc.d.io.read(f.f, payload, at+frameHead); err != nil {
		if errors.Is(err, syscall.EIO) {
			return 0, nil
		}
		return 0, explain(err)
	}
	foot, _, err := segment.ParseFooter(payload, fr.length)
	if err == nil && foot.Header.Session == sc.s && foot.Header.N == n {
		return size, nil
	}
	return 0, nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// ReadAt implements io.ReaderAt for the last file that was read: pages of damaged frames that cannot be read are zero.
func (sc *scan) ReadAt(b []byte, off int64) (int, error) {
	f := sc.files[len(sc.files)-1]
	n, err := sc.d.io.read(f.f, b, off)
	if !errors.Is(err, syscall.EIO) {
		return n, err
	}
	for n = 0; n < len(b); {
		at := off + int64(n)
		page := b[n:min(int64(len(b)), int64(n)+framePage-at%framePage)]
		if _, err := sc.d.io.read(f.f, page, at); err != nil {
			lost := slices.ContainsFunc(sc.gaps, func(g gap) bool { return g.from <= at && at < g.to })
			if !lost || !errors.Is(err, syscall.EIO) {
				return n, err
			}
			clear(page)
		}
		n += len(page)
	}
	return n, nil
}

func (sc *scan) damaged(f *logFile, at int64, n uint64) error {
	return leat.Errorf(leat.KindCorrupt, "session log %s: segment %d is damaged at byte %d of %s, but segment %d follows at byte %d; nothing is cut off: restore the file or the whole folder from a copy", sc.s, sc.next, sc.end, filepath.Base(f.f.Name()), n, at)
}
