// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/directio"
)

// A log file is a row of frames, each of one segment or fence. A frame begins at a multiple of 4 KiB, so that no write
// touches a page with a frame that was acked before; the space between frames and after the last is zero.
//
//	 0  8  "leatlog\n"
//	 8 16  session
//	24  8  n                     little-endian, as all numbers
//	32  8  length of the payload
//	40  4  zero
//	44  4  CRC-32C of bytes 0 to 44 and the payload
//	48     payload: the segment, then zeros up to a multiple of 4 KiB
const (
	frameMagic = "leatlog\n"
	frameHead  = 48
	framePage  = directio.Page
	frameCRC   = frameHead - 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameSize is how many bytes of a file a payload takes.
func frameSize(payload int64) int64 {
	return (frameHead + payload + framePage - 1) / framePage * framePage
}

// appendFrame appends the whole frame of segment n.
func appendFrame(b []byte, s leat.SessionID, n uint64, payload []byte) []byte {
	at := len(b)
	b = append(b, frameMagic...)
	b = append(b, s[:]...)
	b = binary.LittleEndian.AppendUint64(b, n)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(payload)))
	b = append(b, 0, 0, 0, 0)
	crc := crc32.Update(crc32.Checksum(b[at:], castagnoli), castagnoli, payload)
	b = binary.LittleEndian.AppendUint32(b, crc)
	b = append(b, payload...)
	return append(b, make([]byte, frameSize(int64(len(payload)))-int64(len(b)-at))...)
}

// frame is what a frame's head says.
type frame struct {
	s      leat.SessionID
	n      uint64
	length int64
	crc    uint32
}

// parseFrame reads a frame's head. false when there is none, or when its payload would not fit into room bytes. Only
// check tells whether it can be believed.
func parseFrame(b []byte, room int64) (f frame, ok bool) {
	if len(b) < frameHead || string(b[:8]) != frameMagic || binary.LittleEndian.Uint32(b[40:]) != 0 {
		return f, false
	}
	copy(f.s[:], b[8:24])
	f.n = binary.LittleEndian.Uint64(b[24:])
	f.crc = binary.LittleEndian.Uint32(b[frameCRC:])
	length := binary.LittleEndian.Uint64(b[32:])
	if length > uint64(room) || frameSize(int64(length)) > room {
		return f, false
	}
	f.length = int64(length)
	return f, true
}

// check tells whether head and payload are what was written.
func (f *frame) check(head, payload []byte) bool {
	return crc32.Update(crc32.Checksum(head[:frameCRC], castagnoli), castagnoli, payload) == f.crc
}
