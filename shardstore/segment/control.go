// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"math"

	"github.com/leatstream/leat"
)

// ControlKind says what a control record does.
type ControlKind uint8

// The kinds of control record.
const (
	ControlOpen    ControlKind = 1 // the session begins
	ControlClose   ControlKind = 2 // the session ends in order: nothing follows
	ControlRelease ControlKind = 3 // the owner gives up one shard at an epoch and a final offset
	ControlReshard ControlKind = 4 // parents end, children begin
)

// String returns the name in upper case, as data-plane.md spells it.
func (k ControlKind) String() string {
	switch k {
	case ControlOpen:
		return "OPEN"
	case ControlClose:
		return "CLOSE"
	case ControlRelease:
		return "RELEASE"
	case ControlReshard:
		return "RESHARD"
	}
	return "UNKNOWN"
}

// Control is a record of the log itself. It takes effect after the segment's records.
type Control struct {
	Kind    ControlKind
	Shard   leat.ShardKey // of RELEASE
	Epoch   uint64        // of RELEASE
	Final   uint64        // of RELEASE: the offset after the last record
	Reshard *Reshard      // of RESHARD
}

const (
	controlSize = 1 + 24 + 8 + 8
	parentSize  = 24 + 8 + 8
	childSize   = 24 + 32
)

// check tells whether the record can be written.
func (c *Control) check() error {
	if c.Kind < ControlOpen || c.Kind > ControlReshard {
		return broken("control record of kind %d", c.Kind)
	}
	if (c.Kind == ControlReshard) != (c.Reshard != nil) {
		return broken("%v control record with reshard %v", c.Kind, c.Reshard)
	}
	if r := c.Reshard; r != nil && (len(r.ID) > math.MaxUint16 || len(r.Parents) > math.MaxUint16 || len(r.Children) > math.MaxUint16) {
		return broken("reshard %.64q is too large", r.ID)
	}
	return nil
}

func (c *Control) size() int {
	n := controlSize
	if r := c.Reshard; r != nil {
		n += 2 + len(r.ID) + 8 + 2 + parentSize*len(r.Parents) + 2 + childSize*len(r.Children)
	}
	return n
}

func (c *Control) append(b []byte) []byte {
	b = append(b, byte(c.Kind))
	b = appendShard(b, c.Shard)
	b = le.AppendUint64(b, c.Epoch)
	b = le.AppendUint64(b, c.Final)
	if r := c.Reshard; r != nil {
		b = r.append(b)
	}
	return b
}

func (r *Reshard) append(b []byte) []byte {
	b = le.AppendUint16(b, uint16(len(r.ID)))
	b = append(b, r.ID...)
	b = le.AppendUint64(b, uint64(r.Time))
	b = le.AppendUint16(b, uint16(len(r.Parents)))
	for _, p := range r.Parents {
		b = appendShard(b, p.Shard)
		b = le.AppendUint64(b, p.Epoch)
		b = le.AppendUint64(b, p.Final)
	}
	b = le.AppendUint16(b, uint16(len(r.Children)))
	for _, c := range r.Children {
		b = appendShard(b, c.Shard)
		start, end := c.Range.Start.Bytes(), c.Range.End.Bytes()
		b = append(b, start[:]...)
		b = append(b, end[:]...)
	}
	return b
}

func appendShard(b []byte, k leat.ShardKey) []byte {
	b = append(b, k.Stream[:]...)
	return le.AppendUint64(b, k.Ordinal)
}

// parseControls reads exactly n control records that fill b.
func parseControls(b []byte, n uint32) ([]Control, error) {
	if uint64(n)*controlSize > uint64(len(b)) {
		return nil, corrupt("%d control records in %d bytes", n, len(b))
	}
	if n == 0 && len(b) == 0 {
		return nil, nil
	}
	r := reader{b: b}
	controls := make([]Control, 0, n)
	for range n {
		c := Control{Kind: ControlKind(r.u8()), Shard: r.shard(), Epoch: r.u64(), Final: r.u64()}
		if c.Kind < ControlOpen || c.Kind > ControlReshard {
			return nil, unsupported("control record of kind %d", c.Kind)
		}
		if c.Kind == ControlReshard {
			c.Reshard = r.reshard()
		}
		controls = append(controls, c)
	}
	if r.short || len(r.b) != 0 {
		return nil, corrupt("control records do not fill their %d bytes", len(b))
	}
	return controls, nil
}

// reader takes fixed fields off the front of b. Once b is too short everything reads as zero, and short says so.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.b, r.short = nil, true
		return make([]byte, n)
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u16() uint16 { return le.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return le.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return le.Uint64(r.take(8)) }

func (r *reader) shard() (k leat.ShardKey) {
	copy(k.Stream[:], r.take(16))
	k.Ordinal = r.u64()
	return k
}

func (r *reader) hashKey() leat.HashKey { return leat.HashKeyFromBytes([16]byte(r.take(16))) }

func (r *reader) reshard() *Reshard {
	s := &Reshard{ID: string(r.take(int(r.u16()))), Time: int64(r.u64())}
	for range r.u16() {
		if r.short {
			break
		}
		s.Parents = append(s.Parents, ReshardParent{Shard: r.shard(), Epoch: r.u64(), Final: r.u64()})
	}
	for range r.u16() {
		if r.short {
			break
		}
		s.Children = append(s.Children, ReshardChild{Shard: r.shard(), Range: leat.HashKeyRange{Start: r.hashKey(), End: r.hashKey()}})
	}
	return s
}
