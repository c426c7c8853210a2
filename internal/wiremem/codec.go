// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wiremem

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's codec for messages of protobuf, with the memory of a pool.
type Codec struct{ memory mem.BufferPool }

var _ encoding.CodecV2 = Codec{}

// NewCodec makes one.
func NewCodec(memory mem.BufferPool) Codec { return Codec{memory} }

// Memory is where its messages come from.
func (c Codec) Memory() mem.BufferPool { return c.memory }

// Name is that of gRPC's own.
func (Codec) Name() string { return "proto" }

// Marshal writes a message. gRPC gives its memory back when it was sent.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("wiremem: %T is no message of protobuf", v)
	}
	o := proto.MarshalOptions{UseCachedSize: true} // of the next line: nobody changes a message that is being sent
	size := proto.Size(m)
	if mem.IsBelowBufferPoolingThreshold(size) {
		b, err := o.Marshal(m)
		if err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	buf := c.memory.Get(size)
	b, err := o.MarshalAppend((*buf)[:0], m)
	if err != nil {
		c.memory.Put(buf)
		return nil, err
	}
	*buf = b
	return mem.BufferSlice{mem.NewBuffer(buf, c.memory)}, nil
}

// Unmarshal reads a message, which copies what it keeps.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("wiremem: %T is no message of protobuf", v)
	}
	buf := data.MaterializeToBuffer(c.memory)
	defer buf.Free()
	return proto.Unmarshal(buf.ReadOnlyData(), m)
}
