// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"encoding/binary"
	"hash/crc32"
)

// Messages of an event stream (vnd.amazon.eventstream), all numbers big-endian:
//
//	4 total length | 4 length of headers | 4 CRC-32 of these 8 | headers | payload | 4 CRC-32 of everything before
//
// and of a header, whose values are all strings (type 7) here:
//
//	1 length of name | name | 1 type | 2 length of value | value
const (
	contentEvents = "application/vnd.amazon.eventstream"

	preludeBytes   = 12
	headerString   = 7
	maxHeaderValue = 1<<15 - 1
)

// header is one of a message's.
type header struct{ name, value string }

// beginMessage appends the prelude's room and the headers; payload is appended to what it returns, then endMessage.
func beginMessage(b []byte, headers ...header) []byte {
	start := len(b)
	b = append(b, make([]byte, preludeBytes)...)
	for _, h := range headers {
		value := h.value[:min(len(h.value), maxHeaderValue)]
		b = append(append(b, byte(len(h.name))), h.name...)
		b = binary.BigEndian.AppendUint16(append(b, headerString), uint16(len(value)))
		b = append(b, value...)
	}
	binary.BigEndian.PutUint32(b[start+4:], uint32(len(b)-start-preludeBytes))
	return b
}

// endMessage fills in lengths and checksums of the message that began at start.
func endMessage(b []byte, start int) []byte {
	m := b[start:]
	binary.BigEndian.PutUint32(m, uint32(len(m)+4))
	binary.BigEndian.PutUint32(m[8:], crc32.ChecksumIEEE(m[:8]))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(m))
}

// eventHeaders are those of an event of a type.
func eventHeaders(kind, content string) []header {
	return []header{{":message-type", "event"}, {":event-type", kind}, {":content-type", content}}
}

// streamExceptions are the errors that SubscribeToShard's stream has as its own members.
const streamExceptions = "|ResourceNotFoundException|ResourceInUseException|InternalFailureException|" +
	"KMSAccessDeniedException|KMSDisabledException|KMSInvalidStateException|KMSNotFoundException|KMSOptInRequired|KMSThrottlingException|"
