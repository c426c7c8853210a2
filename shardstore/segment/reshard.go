// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import "github.com/leatstream/leat"

// Reshard is the control record that closes parents at their finals and opens children, in one segment (data-plane.md, rule 16).
type Reshard struct {
	ID       string // of the catalog's intent
	Parents  []ReshardParent
	Children []ReshardChild
	Time     int64 // microseconds since 1970; not below the parents' last times
}

// ReshardParent is a shard that ends.
type ReshardParent struct {
	Shard leat.ShardKey
	Epoch uint64
	Final uint64 // offset after the last record; set by the owner when it writes the record
}

// ReshardChild is a shard that begins at offset 0 with epoch 1.
type ReshardChild struct {
	Shard leat.ShardKey
	Range leat.HashKeyRange
}
