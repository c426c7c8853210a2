// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/leatstream/leat"
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// corrupt is data that fails its checks.
func corrupt(format string, args ...any) error {
	return leat.Errorf(leat.KindCorrupt, "segment: "+format, args...)
}

// unsupported is data that a later version may have written.
func unsupported(format string, args ...any) error {
	return leat.Errorf(leat.KindUnsupported, "segment: "+format+": not supported by this version", args...)
}

// broken is a caller that contradicts itself.
func broken(format string, args ...any) error {
	return leat.Errorf(leat.KindInternal, "segment: "+format, args...)
}
