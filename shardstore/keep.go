// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// # Extents that stay where they are
//
// What a pack is for, few and large extents, a busy log of few shards has already: to write its records a second time
// would only halve what the medium takes. So an extent of Params.KeepBytes and more is registered where it is, and
// merged later in the background like an extent of a pack. The registration still covers exactly the whole segments
// [trim, trim'), in one transaction keyed (session, number) (rule 7): its extents lie in the pack or in segments of that
// range.
//
// Where each segment is an object (wal.Separate), the extent names that object. The segment is not queued for deletion with the
// rest of the range; it goes when no extent names it, as packs do (rule 17). In a local folder the log file gets a second name
// among the objects (link(2), no copy), one for each registration and file, and the extent names that: the log's own name
// goes with the trim as ever.
//
// Why the rules hold:
//   - 6, I6: a kept segment is below the trim that the transaction commits, from the moment at which anything names it;
//     whoever takes its last extent away queues it, and fences are never below a trim. Only a rebuild, which knows no
//     trim, and adoptions of what cannot be packed (stay.go) may name segments of a closed session that still holds others'
//     records: the catalog does not queue those.
//   - 8, 10: recovery begins at the trim, and kept segments are below. Behind a first missing segment lie none of them.
//   - 11, 12: closings list what is at or beyond the trim. What a dead session kept is in the catalog already; what it
//     had not registered is adopted into packs, and kept only where that cannot be (stay.go), since several owners may adopt
//     from one segment.
//   - 15: a release registers everything; a new owner reads, merges and expires what the old one's segments keep.
//   - 17, I7: every object that is named exists: it is durable before the transaction, and deleted after the one that
//     names it no more. A reader that is slower than the deletion meets a 404 and asks the index again.
//   - I8: the extent is the very one of the segment. I15: it is counted, once, by the transaction that registers it.
//   - I11: `leat rebuild` reads the tables of contents of segments below the trim as those of packs.
//   - encryption: an extent that is not sealed with its stream's present key is packed, which seals it.
//
// What is kept is a debt of rows, since it has smaller extents than packs have: Params.KeepRows bounds it, and beyond it
// everything is packed until merges have caught up.

// keptPrefix begins the keys of log files' second names: kept/<session>/<number of the registration>-<file>.
const keptPrefix = "kept/"

// KeptKey names what the registration with a number keeps of one log file.
func KeptKey(s leat.SessionID, number uint64, file int) string {
	return fmt.Sprintf("%s%03d", KeptName(s, number), file)
}

// KeptName begins the KeptKeys of one registration.
func KeptName(s leat.SessionID, number uint64) string {
	return fmt.Sprintf("%s%s/%020d-", keptPrefix, s, number)
}

// keepFile is how much of a log file must be worth keeping, in units of KeepBytes: its second name holds the space of the
// whole file.
const keepFile = 32

// filed is a log that is kept in files.
type filed interface {
	// Place tells in which file a durable segment lies, and from which byte on.
	Place(s leat.SessionID, n uint64) (wal.Place, bool)
}

// logRun is one extent of a segment that is about to be packed or kept.
type logRun struct {
	part *part
	e    Extent
}

// logSegment is a segment that is about to be packed or kept.
type logSegment struct {
	n    uint64
	runs []logRun
	kept bool // its large extents stay where they are
}

// newName is a second name that a log file is to get.
type newName struct{ key, file string }

// keepLarge decides which segments stay, and moves their large extents from the segments' runs to the parts. The rest of
// the runs is to be packed. The names MUST be given before anything is registered.
func (p *packer) keepLarge(reg *Registration, segments []logSegment) []newName {
	k := keeping{s: p.s, room: p.s.cfg.Params.KeepRows - p.s.keptRows(), keys: map[leat.StreamID]segment.Key{}}
	_, separate := p.s.cfg.Driver.(wal.Separate)
	files, inFiles := p.s.cfg.Driver.(filed)
	_, links := p.s.cfg.Blobs.(blob.Linker)
	switch {
	case separate:
		for i := range segments {
			if segments[i].kept = k.takes(&segments[i]); segments[i].kept {
				k.keep(&segments[i], func(*Extent) {})
			}
		}
	case inFiles && links && !p.noLinks:
		return k.keepFiles(reg, segments, files)
	}
	return nil
}

// link gives log files their second names. If it cannot be done once, no more is kept for its size in this session. Where it can never be done, since
// the folders of logs and of objects lie on two file systems, what cannot be packed does not stay either: a pack would be written in vain each time.
func (p *packer) link(ctx context.Context, names []newName) error {
	for _, n := range names {
		err := p.s.cfg.Blobs.(blob.Linker).Link(ctx, n.key, n.file)
		if err != nil {
			p.noLinks = p.noLinks || ctx.Err() == nil
			p.linkless = p.linkless || errors.Is(err, syscall.EXDEV) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported)
			return fmt.Errorf("keep %s as %s: %w", n.file, n.key, err)
		}
	}
	return nil
}

// keeping is one choice of what stays.
type keeping struct {
	s    *Store
	room int // rows that may still be kept
	keys map[leat.StreamID]segment.Key
}

// large tells whether an extent is one to be kept.
func (k *keeping) large(e *Extent) bool {
	if e.Len < k.s.cfg.Params.KeepBytes {
		return false
	}
	key, known := k.keys[e.Shard.Stream]
	if !known {
		var err error
		if key, err = k.s.current(e.Shard.Stream); err != nil && !errors.Is(err, ErrUnknownStream) {
			return false // the pack needs the key too, and says what is wrong
		}
		k.keys[e.Shard.Stream] = key
	}
	return key.ID.IsZero() || key.ID == e.Key
}

// takes tells whether a segment is to stay, and takes the room for the rows of its large extents: at least half of it is such, and there is
// room for them.
func (k *keeping) takes(seg *logSegment) bool {
	var all, large int64
	rows := 0
	for i := range seg.runs {
		e := &seg.runs[i].e
		all += e.Len
		if k.large(e) {
			large += e.Len
			rows++
		}
	}
	if rows == 0 || 2*large < all || rows > k.room {
		return false
	}
	k.room -= rows
	return true
}

// keep moves the large extents of a segment to their parts.
func (k *keeping) keep(seg *logSegment, place func(*Extent)) {
	left := seg.runs[:0]
	for _, r := range seg.runs {
		if !k.large(&r.e) {
			left = append(left, r)
			continue
		}
		place(&r.e)
		r.e.Level = 1 // it is merged as an extent of a pack is
		r.part.kept = append(r.part.kept, r.e)
	}
	seg.runs = left
}

// keepFiles keeps large extents of log files that hold enough of them. Every name that it returns is one that an extent has: a log file with
// another one would take space for ever.
func (k *keeping) keepFiles(reg *Registration, segments []logSegment, files filed) (names []newName) {
	places := make([]wal.Place, len(segments)) // of those that may stay
	worth := map[string]int64{}                // bytes of a file
	var order []string
	for i := range segments {
		at, ok := files.Place(k.s.cfg.Session, segments[i].n)
		if !ok || !k.takes(&segments[i]) {
			continue
		}
		places[i] = at
		if _, known := worth[at.File]; !known {
			order = append(order, at.File)
		}
		for _, r := range segments[i].runs {
			worth[at.File] += r.e.Len
		}
	}
	keys := map[string]string{}
	for _, file := range order {
		if worth[file] >= keepFile*k.s.cfg.Params.KeepBytes {
			keys[file] = KeptKey(k.s.cfg.Session, reg.Number, len(names))
			names = append(names, newName{keys[file], file})
		}
	}
	for i := range segments {
		if key := keys[places[i].File]; key != "" {
			k.keep(&segments[i], func(e *Extent) { e.Object, e.Off = key, e.Off+places[i].Off })
		}
	}
	return names
}

// isKept tells whether an extent is one that stayed.
func isKept(e *Extent) bool {
	return strings.HasPrefix(e.Object, keptPrefix) || strings.HasPrefix(e.Object, wal.KeyPrefix)
}

// countKept is how many of some extents stayed where they were.
func countKept(extents []Extent) (n int) {
	for i := range extents {
		if isKept(&extents[i]) {
			n++
		}
	}
	return n
}

// keptRows is about how many extents of the session's shards stayed and are not merged yet. Those of earlier sessions
// count from the time at which a merge has looked at their shard.
func (s *Store) keptRows() (n int) {
	for _, sh := range s.owned() {
		sh.mu.Lock()
		n += min(sh.kept, sh.count) + countKept(sh.parked)
		sh.mu.Unlock()
	}
	return n
}

// withKept puts the kept extents of each part between those in the pack and returns all, in the order of shards and offsets.
func withKept(parts []part) (all []Extent) {
	for i := range parts {
		pt := &parts[i]
		if len(pt.kept) > 0 {
			pt.extents = append(slices.Clone(pt.extents), pt.kept...)
			slices.SortFunc(pt.extents, func(a, b Extent) int { return cmp.Compare(a.First, b.First) })
		}
		all = append(all, pt.extents...)
	}
	return all
}
