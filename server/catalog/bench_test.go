// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

const manyShards = 5000

// benchBoth runs a benchmark on each engine; PostgreSQL with fsync, as in production.
func benchBoth(b *testing.B, bench func(b *testing.B, c *bundle)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, newBundle(b, sqldb.SQLite)) })
	b.Run("postgres", func(b *testing.B) {
		bench(b, openBundle(b, sqldb.Config{Postgres: pgtest.New(b, pgtest.Durable()).Database(b)}))
	})
}

// everyShard makes one extent for each of 5,000 shards.
func everyShard(st leat.StreamID, n uint64) []shardstore.Extent {
	out := make([]shardstore.Extent, manyShards)
	for i := range out {
		out[i] = extent(leat.ShardKey{Stream: st, Ordinal: uint64(i)}, 1, n*10, 10, "")
	}
	return out
}

// One pack with an extent of each of 5,000 shards, as a busy node registers every minute.
func BenchmarkRegister5000(b *testing.B) {
	benchBoth(b, func(b *testing.B, c *bundle) {
		st := c.stream("s", manyShards)
		s := c.session()
		c.take(s)
		number := uint64(0)
		for b.Loop() {
			c.register(pack(s, number, number*60, (number+1)*60, everyShard(st.ID, number)...))
			number++
		}
	})
}

// One merge that joins ten packs' extents of 500 shards.
func BenchmarkMerge5000(b *testing.B) {
	benchBoth(b, func(b *testing.B, c *bundle) {
		st := c.stream("s", 500)
		s := c.session()
		c.take(s)
		number := uint64(0)
		for b.Loop() {
			b.StopTimer()
			m := shardstore.Registration{Session: s}
			base := number / 11 * 100
			for i := range uint64(10) {
				p := pack(s, number, 0, 0, everyShard(st.ID, base/10+i)[:500]...)
				c.register(p)
				number++
				m.Replaces = append(m.Replaces, p.Extents...)
			}
			var whole []shardstore.Extent
			for i := range uint64(500) {
				whole = append(whole, extent(leat.ShardKey{Stream: st.ID, Ordinal: i}, 1, base, 100, ""))
			}
			r := pack(s, number, 0, 0, whole...)
			r.Counted, r.Replaces = false, m.Replaces
			number++
			b.StartTimer()
			c.register(r)
		}
	})
}

// A node takes all of 5,000 shards after their owner died.
func BenchmarkTakeShards5000(b *testing.B) {
	benchBoth(b, func(b *testing.B, c *bundle) {
		st := c.stream("s", manyShards)
		s := c.session()
		c.take(s)
		for n := range uint64(3) {
			c.register(pack(s, n, n, n+1, everyShard(st.ID, n)...))
		}
		for b.Loop() {
			b.StopTimer()
			c.fence(s, 3)
			c.clock.advance(time.Second)
			s = c.session()
			b.StartTimer()
			if taken := c.take(s); len(taken) != manyShards || taken[0].Extents != 3 {
				b.Fatal(fmt.Sprint(len(taken), taken[0]))
			}
		}
	})
}

// The extents of 5,000 shards, in questions of 500 as the engine asks.
func BenchmarkExtents5000(b *testing.B) {
	benchBoth(b, func(b *testing.B, c *bundle) {
		st := c.stream("s", manyShards)
		s := c.session()
		c.take(s)
		for n := range uint64(3) {
			c.register(pack(s, n, n, n+1, everyShard(st.ID, n)...))
		}
		keys := make([]leat.ShardKey, manyShards)
		for i := range keys {
			keys[i] = leat.ShardKey{Stream: st.ID, Ordinal: uint64(i)}
		}
		for b.Loop() {
			for at := 0; at < len(keys); at += 500 {
				x, err := c.Extents(b.Context(), keys[at:at+500])
				c.must(err)
				if len(x[0].Extents) != 3 {
					b.Fatal(len(x[0].Extents))
				}
			}
		}
	})
}
