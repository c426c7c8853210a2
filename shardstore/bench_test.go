// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
)

// openLocal is a store on a local folder with the parameters of `leat dev`.
func openLocal(b *testing.B, shards int) (*local, *shardstore.Store) {
	b.Helper()
	l := &local{rig: newRig(b), dir: b.TempDir()}
	l.log, l.params = wal.FileParams(), shardstore.LocalParams()
	l.fileSize = 64 << 20
	l.start()
	b.Cleanup(l.stop)
	l.shards(shards)
	return l, l.open()
}

// batchOf makes puts of random bytes, which do not compress, shared out to shards.
func batchOf(r *rig, records, size, shards int, rng *rand.Rand) []shardstore.Put {
	puts := make([]shardstore.Put, records)
	for i := range puts {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		puts[i] = put(r.key(i%shards), string(data))
		puts[i].Record.PartitionKey = fmt.Sprint("key-", i)
		puts[i].Record.CRC = puts[i].Record.Checksum()
	}
	return puts
}

// floorOf appends total bytes to a file with write and fdatasync, size bytes at a time, and returns bytes a second.
func floorOf(b *testing.B, size int, total int64) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			b.Error(err)
		}
	}()
	buf := make([]byte, size)
	for i := range buf {
		buf[i] = byte(i * 7)
	}
	began := time.Now()
	for off := int64(0); off < total; off += int64(size) {
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return float64(total) / time.Since(began).Seconds()
}

// BenchmarkAppend puts batches of 500 records of 1 KiB from 16 callers into 4 shards of a local folder, and compares with the machine's floor:
// the same bytes appended with fdatasync in commits of 4 MiB.
func BenchmarkAppend(b *testing.B) {
	const callers, records, size = 16, 500, 1024
	l, s := openLocal(b, 4)
	batches := make([][]shardstore.Put, callers)
	for i := range batches {
		batches[i] = batchOf(l.rig, records, size, 4, rand.New(rand.NewPCG(1, uint64(i))))
	}
	b.SetBytes(records * size)
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.Append(b.Context(), batches[i]); err != nil || batches[i][0].Err != nil {
					b.Errorf("append: %v, %v", err, batches[i][0].Err)
					return
				}
			}
		})
	}
	wg.Wait()
	rate := float64(b.N) * records * size / time.Since(began).Seconds()
	b.StopTimer()
	st := s.Stats()
	b.ReportMetric(float64(st.Bytes)/float64(st.Segments)/1024, "KiB/commit")
	b.ReportMetric(rate/floorOf(b, 4<<20, 256<<20), "of-floor")
}

// BenchmarkPut puts single records, from one caller and from 64: group commit must show.
func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			l, s := openLocal(b, 4)
			rng := rand.New(rand.NewPCG(1, 1))
			took := make([][]time.Duration, callers)
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for i := range callers {
				one := batchOf(l.rig, 1, 1024, 1, rng)
				one[0].Shard = l.key(i % 4)
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						began := time.Now()
						if err := s.Append(b.Context(), one); err != nil || one[0].Err != nil {
							b.Errorf("append: %v, %v", err, one[0].Err)
							return
						}
						took[i] = append(took[i], time.Since(began))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			b.ReportMetric(floorOf(b, 4096, 4<<20)/4096, "fdatasyncs/s")
		})
	}
}

// BenchmarkRead reads 64 MiB of 1 KiB records in pages of 10 MiB: from the tail in memory, and from packs.
func BenchmarkRead(b *testing.B) {
	const total, size = 64 << 20, 1024
	for _, from := range []string{"tail", "packs"} {
		b.Run(from, func(b *testing.B) {
			l := &local{rig: newRig(b), dir: b.TempDir()}
			l.log, l.params = wal.FileParams(), shardstore.LocalParams()
			l.fileSize = 64 << 20
			if from == "packs" {
				l.params.TailBytes, l.params.CacheBytes = 1, 16<<20
			}
			l.start()
			b.Cleanup(l.stop)
			l.shards(1)
			s := l.open()
			rng := rand.New(rand.NewPCG(1, 1))
			for range total / size / 500 {
				if err := s.Append(b.Context(), batchOf(l.rig, 500, size, 1, rng)); err != nil {
					b.Fatal(err)
				}
			}
			if from == "packs" {
				if err := s.Pack(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(total)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				readThrough(b, s, l.key(0))
			}
		})
	}
}

func readThrough(b *testing.B, s *shardstore.Store, k leat.ShardKey) {
	b.Helper()
	for at := uint64(0); ; {
		p, err := s.Read(b.Context(), k, at, shardstore.ReadLimits{Records: 10_000, Bytes: 10 << 20, MinTime: 1})
		if err != nil {
			b.Fatal(err)
		}
		if at = p.Next; at >= p.Tail {
			return
		}
	}
}
