// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strconv"

	"github.com/leatstream/leat"
)

// A subscription tells its reader where to go on even when it sent no record: the continuation sequence number. It is
// not the number of a record but of the gap before the record at an offset, so that AT_SEQUENCE_NUMBER and
// AFTER_SEQUENCE_NUMBER both resume there: nothing is lost with AFTER_ (the record at the offset is still to come) and
// nothing is sent twice with AT_ (the record before it was delivered). Readers use both.
//
// It has the form of every other sequence number and sorts between its neighbours:
//
//	before offset n > 0: the number of record n-1 with the reserved digits 001 instead of 000
//	before offset 0:     the number of record 0 with its check digits halved
//
// The check digits still bind it to its shard and stream.
const gapMark = "001"

const (
	reservedFrom = 33 // digits 33 to 35 of a sequence number are reserved (leat.SequenceNumber)
	checkFrom    = 36 // digits 36 to 55 are its check
	sequenceLen  = 56
)

// continuation returns the number of the gap before an offset of a shard.
func continuation(k leat.ShardKey, offset uint64) string {
	if offset == 0 {
		first := leat.SequenceNumber(k, 0)
		check, _ := strconv.ParseUint(first[checkFrom:], 10, 64)
		half := strconv.FormatUint(check/2, 10)
		const zeros = "00000000000000000000"
		return first[:checkFrom] + zeros[len(half):] + half
	}
	s := leat.SequenceNumber(k, offset-1)
	return s[:reservedFrom] + gapMark + s[checkFrom:]
}

// startAt returns the offset at which AT_SEQUENCE_NUMBER begins: the record's own, or the one after a gap.
func startAt(k leat.ShardKey, number string) (uint64, error) {
	if offset, ok := parseContinuation(k, number); ok {
		return offset, nil
	}
	return leat.ParseSequenceNumber(k, number)
}

// startAfter returns the offset at which AFTER_SEQUENCE_NUMBER begins.
func startAfter(k leat.ShardKey, number string) (uint64, error) {
	if offset, ok := parseContinuation(k, number); ok {
		return offset, nil
	}
	offset, err := leat.ParseSequenceNumber(k, number)
	return offset + 1, err
}

func parseContinuation(k leat.ShardKey, s string) (offset uint64, ok bool) {
	if len(s) != sequenceLen {
		return 0, false
	}
	if s[reservedFrom:checkFrom] == gapMark {
		offset, err := leat.ParseSequenceNumber(k, s[:reservedFrom]+"000"+s[checkFrom:])
		return offset + 1, err == nil
	}
	return 0, s == continuation(k, 0)
}
