// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"hash/crc32"

	"github.com/leatstream/leat"
)

// HeaderSize is the length of an object's header, in bytes.
const HeaderSize = 128

// Version is the format that this package writes, and the only one that it reads.
const Version = 1

const (
	headerMagic = "leatobj\n"
	headerUsed  = 88 // bytes with a meaning; the rest, up to the CRC, is zero
	headerCRC   = HeaderSize - 4
)

// Kind says what an object is.
type Kind uint8

// The kinds of object.
const (
	KindSegment Kind = 1
	KindPack    Kind = 2
	KindFence   Kind = 3
)

// String returns segment, pack or fence.
func (k Kind) String() string {
	switch k {
	case KindSegment:
		return "segment"
	case KindPack:
		return "pack"
	case KindFence:
		return "fence"
	}
	return "unknown"
}

// Header opens every object, and its footer repeats it. The nonce tells whose bytes they are (data-plane.md, rule 2).
type Header struct {
	Kind    Kind
	Version uint16 // Version; zero means the same when writing
	Cluster leat.ClusterID
	Session leat.SessionID
	N       uint64 // number of the segment or pack in its session
	Nonce   [16]byte
	Trim    uint64 // segments below it were packed and registered when this was sealed
	Created int64  // microseconds since 1970
}

// Append appends the HeaderSize bytes of the header. It always writes Version.
func (h *Header) Append(b []byte) []byte {
	at := len(b)
	b = append(b, headerMagic...)
	b = le.AppendUint16(b, Version)
	b = append(b, byte(h.Kind), 0, 0, 0, 0, 0)
	b = append(b, h.Cluster[:]...)
	b = append(b, h.Session[:]...)
	b = le.AppendUint64(b, h.N)
	b = append(b, h.Nonce[:]...)
	b = le.AppendUint64(b, h.Trim)
	b = le.AppendUint64(b, uint64(h.Created))
	b = append(b, make([]byte, headerCRC-headerUsed)...)
	return le.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// ParseHeader reads the header at the start of b, which may go on. KindCorrupt when it is none, KindUnsupported when
// a later version wrote it.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, corrupt("header has %d bytes of %d", len(b), HeaderSize)
	}
	b = b[:HeaderSize]
	if string(b[:8]) != headerMagic {
		return Header{}, corrupt("header begins with %q, not %q", b[:8], headerMagic)
	}
	if got, want := crc32.Checksum(b[:headerCRC], castagnoli), le.Uint32(b[headerCRC:]); got != want {
		return Header{}, corrupt("header has CRC %08x, its bytes %08x", want, got)
	}
	h := Header{Version: le.Uint16(b[8:]), Kind: Kind(b[10]), N: le.Uint64(b[48:]), Trim: le.Uint64(b[72:]), Created: int64(le.Uint64(b[80:]))}
	copy(h.Cluster[:], b[16:32])
	copy(h.Session[:], b[32:48])
	copy(h.Nonce[:], b[56:72])
	switch {
	case h.Version != Version:
		return Header{}, unsupported("format version %d", h.Version)
	case h.Kind < KindSegment || h.Kind > KindFence:
		return Header{}, unsupported("object of kind %d", h.Kind)
	case !zero(b[11:16]) || !zero(b[headerUsed:headerCRC]):
		return Header{}, unsupported("header with reserved bytes in use")
	}
	return h, nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
