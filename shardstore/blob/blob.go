// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrExists answers Create when an object already stands at the key (HTTP 412).
// It is not success and not failure: the caller MUST read the object back to
// learn whose it is.
var ErrExists = errors.New("blob: object exists")

// ErrNotFound answers Read and Stat when no object stands at the key. A store
// that cannot be reached, or a bucket that is gone, is never ErrNotFound.
var ErrNotFound = errors.New("blob: object not found")

// Store is an S3-like object store with strong read-after-write and conditional
// creation. Objects are immutable. Implementations MUST be safe for concurrent
// use, MUST NOT keep or change body after Create returns, and MUST hand out
// bytes that the caller may change.
type Store interface {
	// Create writes a whole object if the key does not exist. nil: this call, or
	// an earlier attempt of the same bytes whose answer was 200, is durable.
	// ErrExists (412): an object stands there, whose it is the caller MUST find
	// out. Any other error: outcome unknown.
	Create(ctx context.Context, key string, body []byte) error

	// Read returns length bytes from off (length < 0: to the end). off < 0: the
	// last -off bytes, or the whole object if it is shorter, cut to length if
	// length >= 0. ErrNotFound. The result is short only where the object ends;
	// at or beyond the end it is empty.
	Read(ctx context.Context, key string, off, length int64) ([]byte, error)

	// Stat returns size and modification time. ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)

	// List returns up to limit keys (limit <= 0: the driver's page size, 1000)
	// with prefix, strictly after `after`, in ascending byte order. Fewer than
	// limit (or than 1000) means that there are no more. An absent prefix is an
	// empty list.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)

	// Delete removes a key; deleting an absent key is no error.
	Delete(ctx context.Context, key string) error
}

// Linker is a Store that can give a file of its own file system a second name. What wraps a Store MUST pass it on.
type Linker interface {
	// Link makes an object of a file whose contents are durable, as Create does of bytes.
	Link(ctx context.Context, key, file string) error
}

// Eraser is a Store that can also change and destroy: for the few small objects whose contents must not outlive their use,
// the keys of encrypted streams. What wraps a Store MUST pass it on.
type Eraser interface {
	Store

	// Replace makes body what stands at key, whatever did before. Whoever reads sees the one or the other, whole. An error:
	// outcome unknown.
	Replace(ctx context.Context, key string, body []byte) error

	// Forget destroys what stood at keys with prefix before, where the store keeps that: former versions of the objects that
	// stand there, and with deleted also those that do not stand any more. What stands stays. It may be called again.
	Forget(ctx context.Context, prefix string, deleted bool) error
}

// Info describes one object.
type Info struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // by the store's clock
}

// PageSize is the number of keys that List returns at most when its limit is
// not positive.
const PageSize = 1000

// largestPage bounds what All asks for at once, and with it All's memory.
const largestPage = 16 * PageSize

// All yields every object whose key starts with prefix, in ascending byte
// order, a page at a time. It stops after the first error. Objects that come or
// go meanwhile may be seen or not.
func All(ctx context.Context, s Store, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		after := ""
		// Pages grow because a folder cannot be entered in its middle: a
		// driver may read a whole one for each page.
		for size := PageSize; ; size = min(2*size, largestPage) {
			page, err := s.List(ctx, prefix, after, size)
			if err != nil {
				yield(Info{}, err)
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
			}
			if len(page) < size {
				return
			}
			after = page[len(page)-1].Key
		}
	}
}
