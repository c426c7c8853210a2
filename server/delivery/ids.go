// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Part is a range of one shard: [First, End).
type Part struct {
	Shard uint64 `json:"shard"`
	First uint64 `json:"first"`
	End   uint64 `json:"end"`
	// Newest is when the last of its records arrived, microseconds since 1970. It is no part of the plan's name.
	Newest int64 `json:"newest,omitempty"`
	// Bytes is what its records take, with their partition keys; 0: an older version planned it. Nor is it part of the name.
	Bytes int64 `json:"bytes,omitempty"`
}

// planID names a plan: the same for the same delivery stream, track and ranges, for ever.
func planID(delivery, track string, parts []Part) string {
	h := sha256.New()
	b := binary.AppendUvarint(nil, uint64(len(delivery)))
	b = append(b, delivery...)
	b = binary.AppendUvarint(b, uint64(len(track)))
	b = append(b, track...)
	for _, p := range parts {
		b = binary.AppendUvarint(b, p.Shard)
		b = binary.AppendUvarint(b, p.First)
		b = binary.AppendUvarint(b, p.End)
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// seed is what is random for Firehose: different for every object of a plan, the same at every try.
func seed(plan, what string) (s [16]byte) {
	sum := sha256.Sum256([]byte(plan + "\x00" + what))
	copy(s[:], sum[:16])
	return s
}

// Tally counts records of the source: how many, and a sum of hashes of their places that changes when one is lost,
// doubled or taken for another.
type Tally struct {
	Records uint64 `json:"records"`
	Hash    uint64 `json:"hash,string"`
}

func (t *Tally) add(shard, offset uint64) {
	t.Records++
	t.Hash += place(shard, offset)
}

func (t *Tally) plus(o Tally) {
	t.Records += o.Records
	t.Hash += o.Hash
}

// tallyOf is the tally of whole ranges.
func tallyOf(parts []Part) (t Tally) {
	for _, p := range parts {
		for o := p.First; o < p.End; o++ {
			t.add(p.Shard, o)
		}
	}
	return t
}

// place hashes a record's place to 64 bits: SplitMix64's finalizer, twice.
func place(shard, offset uint64) uint64 { return mix(mix(shard+1) ^ offset) }

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
