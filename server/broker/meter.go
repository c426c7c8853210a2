// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import "github.com/leatstream/leat"

// Meter is told what was given to clients, once, by the node that gave it: reads that nodes forward to each other are not told.
// What was put is not told either: it is counted where packs are registered (server/catalog). Methods MUST NOT block. Package billing
// satisfies it.
type Meter interface {
	// CountRead tells of an answer of GetRecords: records, and their bytes of data and partition keys.
	CountRead(s *leat.Stream, records, bytes int64)
	// CountPush tells of a batch of a subscription.
	CountPush(s *leat.Stream, records, bytes int64)
}

// noMeter counts nothing.
type noMeter struct{}

func (noMeter) CountRead(*leat.Stream, int64, int64) {}
func (noMeter) CountPush(*leat.Stream, int64, int64) {}
