// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// # What cannot be packed
//
// A pack covers whole segments, and the trim moves over whole segments. So one extent that cannot be read, because its
// bytes are damaged or gone or its stream's key is not to be had, would keep the records of all shards out of the index:
// nothing would be trimmed and deleted any more, no shard released, and in the end no put taken. Instead such an extent is
// registered where it is, as large ones are (keep.go): nothing is lost by that, not even the chance that it can be read
// again later, and whoever reads its records is told what is wrong with them.
//
// So may what a closed session left. Its segment may hold leftovers of other shards, of other owners, too: it is not queued
// for deletion before the session's last row is gone, and not then while an extent names it.

// stuckAfter is for how long what cannot be read or sealed is tried again before it stays. Bytes that fail their checks
// twice stay at once.
const stuckAfter = 5 * time.Minute

// staying is what stays of one registration because it cannot be packed. Whoever has the turn in packer.one has it.
type staying struct {
	p      *packer
	reg    *Registration
	names  []newName // that log files MUST have before anything is registered
	shards map[*shard]bool
	in     map[string]bool // the segments that something stays in
}

// leave has extents of a shard stay, if they have been tried for long enough and there is a way.
func (st *staying) leave(pt *part, cause error, extents ...Extent) bool {
	if !st.p.givesUp(st.stuckIn(pt), cause) {
		return false
	}
	extents = slices.Clone(extents)
	for i := range extents {
		if !st.place(&extents[i]) {
			return false
		}
	}
	if st.shards == nil {
		st.shards = map[*shard]bool{}
	}
	if !st.shards[pt.sh] {
		st.p.s.cfg.Logger.Error("records cannot be packed and stay where they are", "shard", pt.sh.key, "object", extents[0].Object, "offset", extents[0].First, "error", cause)
	}
	st.shards[pt.sh] = true
	pt.kept = append(pt.kept, extents...)
	return true
}

// seals tells why a part's records cannot be sealed as they should be; nil when they can, or stay where they are.
func (st *staying) seals(pt *part) error {
	if len(pt.chunks) == 0 {
		return nil
	}
	_, err := st.p.s.sealOf(pt)
	if err != nil && st.leave(pt, err, pt.from...) {
		pt.chunks, pt.from, err = nil, nil, nil
	}
	return err
}

// place makes an extent of a log one that names where it is for good.
func (st *staying) place(e *Extent) bool {
	session, n, ok := wal.ParseKey(e.Object)
	if !ok {
		return false
	}
	e.Level = 1 // as in keeping.keep
	if _, separate := st.p.s.cfg.Driver.(wal.Separate); separate {
		if st.in == nil {
			st.in = map[string]bool{}
		}
		st.in[e.Object] = true
		return true
	}
	files, inFiles := st.p.s.cfg.Driver.(filed)
	_, links := st.p.s.cfg.Blobs.(blob.Linker)
	if !inFiles || !links || st.p.linkless {
		return false
	}
	at, ok := files.Place(session, n)
	if !ok {
		return false
	}
	i := slices.IndexFunc(st.names, func(n newName) bool { return n.file == at.File })
	if i < 0 {
		i = len(st.names)
		st.names = append(st.names, newName{KeptKey(st.reg.Session, st.reg.Number, i), at.File})
	}
	e.Object, e.Off = st.names[i].key, e.Off+at.Off
	return true
}

// stuckIn is what a part is stuck in.
func (st *staying) stuckIn(pt *part) stuckIn {
	if st.reg.Adopts.IsZero() {
		return stuckIn{}
	}
	return stuckIn{pt.sh, st.reg.Adopts}
}

// recovered forgets that the parts were stuck, but for what something stays of again.
func (st *staying) recovered(parts []part) {
	if st.reg.Adopts.IsZero() {
		if len(st.shards) == 0 {
			delete(st.p.stuck, stuckIn{})
		}
		return
	}
	for i := range parts {
		if !st.shards[parts[i].sh] {
			delete(st.p.stuck, stuckIn{parts[i].sh, st.reg.Adopts})
		}
	}
}

// stuckIn is a shard of which something cannot be packed, and the closed session that left it. The zero value is our own log: there one extent
// keeps all others waiting, so that whatever else fails once the time is over has waited for as long.
type stuckIn struct {
	sh     *shard
	adopts leat.SessionID
}

// givesUp tells whether what cannot be packed has been tried for long enough.
func (p *packer) givesUp(in stuckIn, cause error) bool {
	if leat.KindOf(cause) == leat.KindCorrupt {
		return true
	}
	now := p.s.cfg.Clock.Now()
	since, known := p.stuck[in]
	if !known {
		p.stuck[in] = now
	}
	return known && now.Sub(since) >= stuckAfter
}
