// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/leatstream/leat"
)

// What a message becomes in memory can be many times what was sent: an element of two bytes becomes an object of a hundred and more. So nobody's
// message is decoded before its sender has signed in, and then it is bounded twice: by its bytes, and by how many fields it has, which is counted first.

const (
	maxSmallBytes = 1 << 20  // of a message, or a body, without bytes of the caller's in it, such as records and WebAssembly modules
	maxFields     = 16 << 10 // of a message, in all its parts: ten times what a batch of records has
	countFrom     = 64 << 10 // what is smaller cannot become much
)

// registrar registers services whose callers sign in before their messages are decoded.
type registrar struct {
	grpc.ServiceRegistrar
	s *Server
}

// RegisterService registers a service.
func (g registrar) RegisterService(d *grpc.ServiceDesc, impl any) {
	own := *d
	own.Methods = slices.Clone(d.Methods)
	for i := range own.Methods {
		m := &own.Methods[i]
		m.Handler = g.s.unary("/"+d.ServiceName+"/"+m.MethodName, m.Handler)
	}
	g.ServiceRegistrar.RegisterService(&own, impl)
}

// bounds are those of a method's messages.
type bounds struct {
	none  bool // nodes know what they tell each other
	bytes int
}

func (s *Server) boundsOf(method string) bounds {
	if s.isInternal(method) {
		return bounds{none: true}
	}
	name := protoreflect.FullName(strings.ReplaceAll(method[1:], "/", "."))
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		if m, ok := d.(protoreflect.MethodDescriptor); ok && hasBytes(m.Input(), nil) {
			return bounds{bytes: maxMessageBytes}
		}
	}
	return bounds{bytes: maxSmallBytes}
}

// hasBytes tells whether a message, or one that is in it, has bytes. above are those that it is in.
func hasBytes(d protoreflect.MessageDescriptor, above []protoreflect.FullName) bool {
	if slices.Contains(above, d.FullName()) {
		return false
	}
	above = append(above, d.FullName())
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Kind() == protoreflect.BytesKind || f.Message() != nil && hasBytes(f.Message(), above) {
			return true
		}
	}
	return false
}

// decode has gRPC read a message, if it is within the bounds.
func (b bounds) decode(dec func(any) error, m any) error {
	generated, ok := m.(proto.Message)
	if b.none || !ok { // what is read by hand is bounded there
		return dec(m)
	}
	l := &bounded{bounds: b, message: generated}
	err := dec(l)
	if l.refused != nil {
		return l.refused
	}
	return err
}

// bounded is a message that is decoded if it is within its bounds.
type bounded struct {
	bounds
	message proto.Message
	refused error // why it was not decoded
}

// UnmarshalWire reads the message. An error would be told by gRPC itself.
func (b *bounded) UnmarshalWire(data mem.BufferSlice, memory mem.BufferPool) error {
	if n := data.Len(); n > b.bytes {
		b.refused = leat.Invalid("", "the message has %d bytes: this method takes %d at most", n, b.bytes)
		return nil
	}
	buf := data.MaterializeToBuffer(memory)
	defer buf.Free()
	raw := buf.ReadOnlyData()
	if left := maxFields; len(raw) > countFrom && !countFields(raw, b.message.ProtoReflect().Descriptor(), &left) {
		b.refused = leat.Invalid("", "the message has too many fields: %d are taken at most", maxFields)
		return nil
	}
	return proto.Unmarshal(raw, b.message) // which copies what it keeps
}

// countFields tells whether a message has no more fields than are left, in all its parts. What is malformed is told by whoever decodes it.
func countFields(raw []byte, d protoreflect.MessageDescriptor, left *int) bool {
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return true
		}
		raw = raw[n:]
		if n = protowire.ConsumeFieldValue(number, kind, raw); n < 0 {
			return true
		}
		if *left--; *left < 0 {
			return false
		}
		if f := d.Fields().ByNumber(number); f != nil && f.Message() != nil && kind == protowire.BytesType {
			if part, _ := protowire.ConsumeBytes(raw); !countFields(part, f.Message(), left) {
				return false
			}
		}
		raw = raw[n:]
	}
	return true
}

// countJSON is countFields of a message in JSON. It knows no more of JSON than where strings end.
func countJSON(raw []byte) error {
	if len(raw) <= countFrom {
		return nil
	}
	for left, i := maxFields, 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[', ',':
			if left--; left < 0 {
				return leat.Invalid("", "the body has too many values: %d are taken at most", maxFields)
			}
		case '"':
			i = stringEnd(raw, i+1)
		}
	}
	return nil
}

// stringEnd is the place of the quotation mark that ends a string, or the length of raw.
func stringEnd(raw []byte, i int) int {
	for begin := i; ; i++ {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return len(raw)
		}
		i += n
		slashes := 0
		for i-slashes > begin && raw[i-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// compressed tells whether the messages of a call are. gRPC makes a thousand times of such a message what was sent, up to maxMessageBytes.
func compressed(ctx context.Context) bool {
	call, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ RecvCompress() string })
	return ok && call.RecvCompress() != "" && call.RecvCompress() != encoding.Identity
}
