// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"errors"

	"github.com/leatstream/leat"
)

// ErrNotLive is in the error of a call that was refused whole since the session is not live: certainly not executed, and
// another session will take the shards.
var ErrNotLive = errors.New("shardstore: session is not live")

// Epoch returns the epoch in which this session owns a shard. ok is false when it does not, or does not serve it any more.
// It asks memory alone: whether the session still owns the shard is what puts and reads find out.
func (s *Store) Epoch(key leat.ShardKey) (epoch uint64, ok bool) {
	sh, err := s.shard(key)
	if err != nil {
		return 0, false
	}
	return sh.epoch, true
}
