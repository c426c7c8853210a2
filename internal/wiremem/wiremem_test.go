// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wiremem_test

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/leatstream/leat/internal/wiremem"
)

func TestLengths(t *testing.T) {
	var p wiremem.Pool
	for _, n := range []int{0, 1, 1023, 1024, 1025, 16 << 10, 128 << 10, 520_000, 1 << 20, 16 << 20, 16<<20 + 1} {
		for range 3 {
			b := p.Get(n)
			if len(*b) != n || cap(*b) > max(1024, 2*n) {
				t.Errorf("asked for %d bytes: length %d, capacity %d", n, len(*b), cap(*b))
			}
			*b = (*b)[:n/2] // a prefix is all of it
			p.Put(b)
		}
	}
	foreign := make([]byte, 3000)
	p.Put(&foreign)
	if b := p.Get(3000); cap(*b) != 4096 {
		t.Errorf("the pool gave a buffer of %d bytes that is not its own", cap(*b))
	}
}

// What is taken again is not cleared, which is what the pool is for, and is not given out twice.
func TestReuse(t *testing.T) {
	var p wiremem.Pool
	for range 1000 { // the collector, or the race detector, may take what was given back
		a := p.Get(5000)
		copy(*a, "old")
		p.Put(a)
		b, c := p.Get(6000), p.Get(6000)
		if b == c || &(*b)[0] == &(*c)[0] {
			t.Fatal("one buffer was given out twice")
		}
		if string((*b)[:3]) == "old" {
			return
		}
	}
	t.Error("no buffer was used again")
}

// The codec writes and reads what gRPC's own does, in small and in large, out of memory that is full of other bytes.
func TestCodec(t *testing.T) {
	dirty := new(wiremem.Pool)
	for _, n := range []int{2000, 100_000} {
		b := dirty.Get(n)
		copy(*b, bytes.Repeat([]byte{0xdb}, n))
		dirty.Put(b)
	}
	mine, own := wiremem.NewCodec(dirty), encoding.GetCodecV2(grpcproto.Name)
	if mine.Name() != own.Name() {
		t.Errorf("it calls itself %s", mine.Name())
	}
	for _, n := range []int{0, 1, 1000, 1025, 60_000} {
		m := wrapperspb.Bytes(bytes.Repeat([]byte{7}, n))
		got, err := mine.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want, err := own.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Materialize(), want.Materialize()) {
			t.Errorf("%d bytes are written otherwise than by gRPC", n)
		}
		raw := want.Materialize()
		split := mem.BufferSlice{mem.SliceBuffer(raw[:len(raw)/2]), mem.SliceBuffer(raw[len(raw)/2:])}
		read := &wrapperspb.BytesValue{}
		if err := mine.Unmarshal(split, read); err != nil || !proto.Equal(read, m) {
			t.Errorf("%d bytes were read as %d: %v", n, len(read.GetValue()), err)
		}
		got.Free()
	}
	if _, err := mine.Marshal("text"); err == nil {
		t.Error("a string was written")
	}
	if err := mine.Unmarshal(nil, "text"); err == nil {
		t.Error("a string was read")
	}
}
