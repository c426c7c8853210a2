// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"

	"github.com/leatstream/leat"
)

const (
	// KeyBytes is the length of a stream's key.
	KeyBytes = 32

	sealTag   = 16 // bytes that sealing adds to a block
	sealNonce = 12
	sealInfo  = "leat extent 1"
)

// Key is what a stream's records are sealed with; the zero Key seals nothing.
type Key struct {
	ID     leat.KeyID
	Secret []byte // KeyBytes, random; MUST NOT be changed
}

// Keys finds the secrets of keys. An implementation may do I/O, and MUST return soon.
type Keys interface {
	// Key returns KeyBytes of secret. KindUnavailable when it cannot be had now or here: never a wrong one. It is ErrErased when the
	// key was destroyed.
	Key(id leat.KeyID) (secret []byte, err error)
}

// ErrErased says that a key was destroyed on purpose: what it sealed cannot be read again, and is not damaged.
var ErrErased = errors.New("segment: the key was destroyed")

// Nonce tells two encodings of one extent apart.
type Nonce [sealNonce]byte

// IsZero tells whether it was never set.
func (n Nonce) IsZero() bool { return n == Nonce{} }

// Sealed tells whether the extent's records are encrypted.
func (e *Extent) Sealed() bool { return !e.Key.IsZero() }

// sealer seals and opens the blocks of one extent.
type sealer struct {
	aead  cipher.AEAD
	plain []byte // scratch of open
}

// newSealer derives the extent's own key: from the stream's key, the nonce and all that names the extent, its sum
// included. No other extent has the same, so that a block's place in the extent is nonce enough.
func newSealer(secret []byte, e *Extent) (*sealer, error) {
	if len(secret) != KeyBytes {
		return nil, broken("key %s has %d bytes of %d", e.Key, len(secret), KeyBytes)
	}
	info := make([]byte, 0, len(sealInfo)+sealNonce+48)
	info = append(info, sealInfo...)
	info = append(info, e.Nonce[:]...)
	info = appendIdentity(info, e)
	info = le.AppendUint64(info, e.Hash)
	key, err := hkdf.Expand(sha256.New, secret, string(info), KeyBytes)
	if err != nil {
		return nil, broken("derive the key of an extent: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, broken("cipher of an extent: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, broken("cipher of an extent: %w", err)
	}
	return &sealer{aead: aead}, nil
}

// nonce is a block's: the offset of its first record, relative to the extent's.
func (s *sealer) nonce(rel uint64) (n [sealNonce]byte) {
	le.PutUint64(n[sealNonce-8:], rel)
	return n
}

// seal replaces the stored bytes of the last block of an object, which begins at at and whose header is written, by
// their sealed form, which is longer by sealTag. A nil sealer leaves them.
func (s *sealer) seal(object []byte, at int, rel uint64) []byte {
	if s == nil {
		return object
	}
	header, stored := object[at:at+blockCRC], object[at+blockHeaderSize:]
	nonce := s.nonce(rel)
	sealed := s.aead.Seal(stored[:0], nonce[:], stored, header) // in place where the capacity allows
	return append(object[:at+blockHeaderSize], sealed...)
}

// open undoes seal for a whole block. What it returns stays as it is until the next call when reuse is set.
func (s *sealer) open(stored []byte, rel uint64, reuse bool) ([]byte, error) {
	dst := s.plain[:0]
	if !reuse {
		dst = make([]byte, 0, len(stored))
	}
	nonce := s.nonce(rel)
	plain, err := s.aead.Open(dst, nonce[:], stored[blockHeaderSize:], stored[:blockCRC])
	if err != nil {
		return nil, corrupt("a sealed block does not open: its bytes or its place were changed")
	}
	if reuse {
		s.plain = plain
	}
	return plain, nil
}

// opener returns what opens an extent's blocks; nil for one that is not sealed.
func (c *Coder) opener(e *Extent) (*sealer, error) {
	if !e.Sealed() {
		return nil, nil
	}
	if c.keys == nil {
		return nil, leat.Errorf(leat.KindUnavailable, "records of %v are sealed with key %s, and no master key was given here (--master-key-file)", e.Shard, e.Key)
	}
	secret, err := c.keys.Key(e.Key)
	if err != nil {
		return nil, err
	}
	return newSealer(secret, e)
}

// WithKeys returns a coder that opens sealed extents too. It shares the compressors.
func (c *Coder) WithKeys(keys Keys) *Coder {
	with := *c
	with.keys = keys
	return &with
}
