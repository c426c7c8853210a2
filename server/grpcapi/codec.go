// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"errors"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat/internal/wiremem"
)

// codec is gRPC's own, but for messages that write and read themselves: a batch of records and its answer, and what a read gives, whose coding
// decides how much a node takes, and what nodes tell each other.
type codec struct{ wiremem.Codec }

type (
	marshaler interface {
		MarshalWire(memory mem.BufferPool) mem.BufferSlice
	}
	// unmarshaler MUST copy data, or hold a reference to it.
	unmarshaler interface {
		UnmarshalWire(data mem.BufferSlice, memory mem.BufferPool) error
	}
)

// Marshal writes a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(marshaler); ok {
		return m.MarshalWire(c.Memory()), nil
	}
	return c.Codec.Marshal(v)
}

// Unmarshal reads a message.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(unmarshaler); ok {
		return m.UnmarshalWire(data, c.Memory())
	}
	return c.Codec.Unmarshal(data, v)
}

// errWire says what the generated code says of malformed bytes.
var errWire = errors.New("proto: cannot parse invalid wire-format data")

// eachField calls f for each field of a message that is length-delimited, as all that a put has are.
func eachField(raw []byte, f func(protowire.Number, []byte) error) error {
	for len(raw) > 0 {
		field, kind, n := protowire.ConsumeTag(raw)
		if n < 0 || field > protowire.MaxValidNumber {
			return errWire
		}
		raw = raw[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(field, kind, raw); n < 0 {
				return errWire
			}
			raw = raw[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(raw)
		if n < 0 {
			return errWire
		}
		if err := f(field, value); err != nil {
			return err
		}
		raw = raw[n:]
	}
	return nil
}

// textOf views bytes that are never changed as a string.
func textOf(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", errors.New("proto: a string field contains invalid UTF-8")
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), nil
}
