// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// Extent is a contiguous run of one shard's records in one object.
type Extent = segment.Extent

// ErrFenced says that the session is no longer live, or no longer owns a shard that it writes for: it MUST stop
// acking and serving at once.
var ErrFenced = errors.New("shardstore: session fenced")

// Index is the extent index that the engine needs; server/catalog satisfies it. Every method may be called again after
// an error whose outcome is unknown.
type Index interface {
	// Register commits one pack or merge in one transaction. It is idempotent by (Session, Number): a second call for
	// a number that is registered changes nothing and returns nil. ErrFenced when the session is not live, the trim has
	// moved, a shard's epoch is another, or a Counted extent does not begin where the shard's registered extents end (I7).
	Register(ctx context.Context, r Registration) error
	// Extents returns the registered extents of shards, one answer a shard in the order asked. A shard that does not
	// exist has no extents.
	Extents(ctx context.Context, shards []leat.ShardKey) ([]ShardExtents, error)
	// AdvanceHorizon moves a shard's horizon forward, removes the extents that end at or below it, and queues the
	// objects that no extent names any more for deletion after notBefore (microseconds since 1970). ErrFenced when the epoch is another.
	AdvanceHorizon(ctx context.Context, shard leat.ShardKey, epoch, horizon uint64, notBefore int64) error
	// DueDeletions returns up to limit queued object keys whose time has come at now (microseconds).
	DueDeletions(ctx context.Context, now int64, limit int) (keys []string, err error)
	// Deleted takes keys off the deletion queue once the objects are gone.
	Deleted(ctx context.Context, keys []string) error
	// Named tells which of the keys an extent or the deletion queue names; the sweep of orphans asks before it deletes.
	Named(ctx context.Context, keys []string) (map[string]bool, error)
}

// ShardExtents is what the index holds of one shard.
type ShardExtents struct {
	Shard   leat.ShardKey
	Extents []Extent // in order of First
	Horizon uint64   // the lowest offset that is kept
}

// Registration is one transaction of the packer or merger (data-plane.md, rules 7, 12 and 17).
type Registration struct {
	Session leat.SessionID // of the writer: MUST be live
	Number  uint64         // of the pack; with Session the key of the transaction
	Object  string         // the pack's key, empty when nothing was left to write

	// Extents are sorted by shard and First; those whose shard no longer exists are skipped, and counted all the same. They lie in the pack, or in
	// the very segments [TrimFrom, TrimTo) that are not in Deletes, or in segments of the session that it adopts from, or
	// in objects that this registration alone names (KeptKey). Objects of which no extent is left are queued for deletion.
	Extents []Extent

	// A pack of the session's own segments covers exactly the whole segments [TrimFrom, TrimTo): trim is moved by
	// compare-and-swap. Equal values move nothing.
	TrimFrom, TrimTo uint64

	// Adopts says which shards of a closed session this pack finished: their rows (closed session, shard) go.
	Adopts      leat.SessionID
	AdoptShards []leat.ShardKey

	// Replaces lists the extents whose place the new ones take in a merge: rows (shard, First) with that Object.
	Replaces []Extent

	// Counted says that the extents' records are new to the index, so that their usage is written: true for packs
	// of segments and adoptions, false for merges (invariant I15).
	Counted bool

	// Gone are records of dropped shards, sorted as Extents are, that are in no pack and will be in none: where the shard does not exist they
	// are counted, and nothing else. They lie nowhere. In counted packs of the session's own segments alone.
	Gone []Extent

	// Deletes are object keys to queue for deletion after NotBefore: trimmed segments. Objects that Replaces leaves
	// unnamed are queued by Register itself.
	Deletes   []string
	NotBefore int64 // microseconds since 1970
}
