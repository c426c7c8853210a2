// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package wiremem is the memory of gRPC's messages: a pool whose buffers are not cleared before their next use, and
// gRPC's own codec out of it. gRPC's default pool clears all that a buffer can hold each time it is taken: for a batch of
// puts a megabyte here and half a megabyte there, though every byte is overwritten.
//
// It owns no message: whoever takes a buffer gives it back, once, when nothing refers to it any more. What a buffer holds
// when it is taken is somebody's old message, so nobody may show more of it than was written.
package wiremem

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// Buffers come in powers of two. Smaller ones than the least are not pooled by gRPC either; larger ones than the largest
// message that a server takes are left to the collector.
const (
	leastBits   = 10
	largestBits = 24
)

// Pool is a pool of buffers. The zero value is ready, and all methods may be called concurrently. What is not in use is
// given to the collector in time.
type Pool struct {
	sizes [largestBits + 1 - leastBits]sync.Pool // of *[]byte with a capacity of 1 << (leastBits + i)
}

var _ mem.BufferPool = (*Pool)(nil)

// Get returns a buffer of a length, with any content.
func (p *Pool) Get(length int) *[]byte {
	class := max(bits.Len(uint(max(length, 1)-1)), leastBits)
	if class > largestBits {
		b := make([]byte, length)
		return &b
	}
	if b, ok := p.sizes[class-leastBits].Get().(*[]byte); ok {
		*b = (*b)[:length]
		return b
	}
	b := make([]byte, length, 1<<class)
	return &b
}

// Put takes a buffer back. It MUST NOT be used after that.
func (p *Pool) Put(b *[]byte) {
	class := bits.Len(uint(cap(*b))) - 1
	if class < leastBits || class > largestBits || cap(*b) != 1<<class {
		return // none of ours
	}
	p.sizes[class-leastBits].Put(b)
}
