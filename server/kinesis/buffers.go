// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "sync"

// largestKept bounds the buffers that wait for their next use: one large request does not cost memory for ever.
const largestKept = hotBody + hotBody/2

// buffers are the memory of bodies and answers.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{pool: sync.Pool{New: func() any { return new([]byte) }}}
}

func (b *buffers) get() *[]byte { return b.pool.Get().(*[]byte) }

func (b *buffers) put(p *[]byte) {
	if cap(*p) <= largestKept {
		*p = (*p)[:0]
		b.pool.Put(p)
	}
}
