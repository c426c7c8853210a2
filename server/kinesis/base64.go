// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"slices"

	"github.com/segmentio/asm/base64"
)

// strictBase64 is base64 (RFC 4648, section 4, padded; what is left of the last character's bits is zero), several times as
// fast as encoding/base64 where the processor has vectors: in a batch of puts it was the most expensive part of the edge.
var strictBase64 = base64.StdEncoding.Strict()

// appendBase64 appends the base64 of data.
func appendBase64(b, data []byte) []byte {
	from, size := len(b), strictBase64.EncodedLen(len(data))
	b = slices.Grow(b, size)[:from+size]
	strictBase64.Encode(b[from:], data)
	return b
}

// appendDecoded appends what raw stands for; false when it is not strict, padded base64. b MUST have capacity for three
// quarters of it.
func appendDecoded(b, raw []byte) ([]byte, bool) {
	if len(raw)%4 != 0 {
		return b, false
	}
	size := len(raw) / 4 * 3
	for n := len(raw); n > 0 && n > len(raw)-2 && raw[n-1] == '='; n-- {
		size--
	}
	n, err := strictBase64.Decode(b[len(b):len(b)+len(raw)/4*3], raw)
	return b[:len(b)+n], err == nil && n == size // it passes over line breaks, which no string in JSON has
}
