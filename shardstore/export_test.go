// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import "github.com/leatstream/leat"

// ReuseAll has segments of any size written into the memory of earlier ones.
func ReuseAll() { reuseFrom = 1 }

// EncodeClosing shows encodeClosing to tests.
func EncodeClosing(c Closing) ([]byte, error) { return encodeClosing(c) }

// DecodeClosing shows decodeClosing to tests.
func DecodeClosing(b []byte) (Closing, error) { return decodeClosing(b) }

// SealClosing puts the right first line before any body.
func SealClosing(body []byte) []byte { return sealClosing(body) }

// Ahead tells whether the segment after those that are being written is encoded, or will be soon.
func (s *Store) Ahead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue[0].object != nil
}

// Forget drops what a shard knows of the index, as a merge or a retention does.
func (s *Store) Forget(k leat.ShardKey) {
	if sh, err := s.shard(k); err == nil {
		sh.forget()
	}
}
