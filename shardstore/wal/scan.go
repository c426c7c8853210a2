// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// scan is what the files of a session hold.
type scan struct {
	d     *Files
	s     leat.SessionID
	files []*logFile // all, also those that were not read
	segs  []place    // in order, without a gap
	first uint64     // number of segs[0]
	next  uint64     // the first missing segment
	end   int64      // where valid frames end in the last file that was read
	fence bool       // a fence stands at next
	later error      // proof that next and more were there once: not a torn end but corruption
}

// scanFiles reads the frames of a session that may be at or beyond from; each is called for every one of them. Files
// that lie whole below from are not read. An error is one of reading: it says nothing about what is in the files.
func (d *Files) scanFiles(s leat.SessionID, from uint64, each func(n uint64, payload []byte) error) (sc *scan, err error) {
	sc = &scan{d: d, s: s}
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
	for _, f := range sc.files[k:] {
		if sc.fence || f.first != sc.next {
			sc.later = leat.Errorf(leat.KindCorrupt, "session log %s: segment %d is damaged or missing, but file %s begins with segment %d", s, sc.next, filepath.Base(f.f.Name()), f.first)
			return sc, nil
		}
		if err := sc.file(f, each); err != nil || sc.later != nil {
			return sc, err
		}
	}
	return sc, nil
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
	sc.end = 0
	var buf []byte
	for sc.end+framePage <= f.size && !sc.fence {
		fr, payload, err := sc.frame(f, sc.end, &buf)
		if err != nil {
			return err
		}
		if payload == nil {
			return sc.seek(f)
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
		sc.segs = append(sc.segs, place{f, sc.end + frameHead, fr.length})
		sc.next++
		sc.end += frameSize(fr.length)
	}
	return nil
}

// frame reads the frame at off; a nil payload when no valid one of this session is there. buf is used again.
func (sc *scan) frame(f *logFile, off int64, buf *[]byte) (frame, []byte, error) {
	var head [frameHead]byte
	if _, err := f.f.ReadAt(head[:], off); err != nil {
		return frame{}, nil, explain(err)
	}
	fr, ok := parseFrame(head[:], f.size-off)
	if !ok || fr.s != sc.s {
		return fr, nil, nil
	}
	*buf = slices.Grow((*buf)[:0], int(fr.length)+1)[:fr.length]
	if _, err := f.f.ReadAt(*buf, off+frameHead); err != nil {
		return fr, nil, explain(err)
	}
	if !fr.check(head[:], *buf) {
		return fr, nil, nil
	}
	return fr, *buf, nil
}

// seek looks behind bytes that are no frame. A commit begins only after the one before it is durable, so a valid frame
// of this session there means that an acked one is damaged. A frame with a number that was seen before is none: it may
// be the content of a record.
func (sc *scan) seek(f *logFile) error {
	chunk := make([]byte, 256*framePage)
	var buf []byte
	for off := sc.end + framePage; off < f.size; off += int64(len(chunk)) {
		got, err := f.f.ReadAt(chunk, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return explain(err)
		}
		for at := 0; at+frameHead <= got; at += framePage {
			fr, ok := parseFrame(chunk[at:], f.size-off-int64(at))
			if !ok || fr.s != sc.s || fr.n < sc.next {
				continue
			}
			_, payload, err := sc.frame(f, off+int64(at), &buf)
			if err != nil {
				return err
			}
			if payload != nil {
				sc.later = sc.damaged(f, off+int64(at), fr.n)
				return nil
			}
		}
	}
	return nil
}

func (sc *scan) damaged(f *logFile, at int64, n uint64) error {
	return leat.Errorf(leat.KindCorrupt, "session log %s: segment %d is damaged at byte %d of %s, but segment %d follows at byte %d; nothing is cut off: restore the file or the whole folder from a copy", sc.s, sc.next, sc.end, filepath.Base(f.f.Name()), n, at)
}
