// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

// kept bounds the disk space of a benchmark: older objects are deleted, untimed.
const kept = 64

// BenchCreate measures Create of segments of 4 MiB, with 1 and with 4 in flight.
func BenchCreate(b *testing.B, open func(b *testing.B) blob.Store) {
	body := body(4<<20, "bench")
	for _, inFlight := range []int{1, 4} {
		b.Run(fmt.Sprintf("4MiB/inflight=%d", inFlight), func(b *testing.B) {
			s := open(b)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			for from := 0; from < b.N; from += kept {
				to := min(from+kept, b.N)
				createAll(b, s, body, from, to, inFlight)
				b.StopTimer()
				for i := from; i < to; i++ {
					if err := s.Delete(b.Context(), benchKey(i)); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
		})
	}
}

func createAll(b *testing.B, s blob.Store, body []byte, from, to, inFlight int) {
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < to; i = int(next.Add(1)) - 1 {
				if err := s.Create(b.Context(), benchKey(i), body); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchKey(i int) string { return fmt.Sprintf("wal/bench/%020d", i) }

// BenchRead measures Read of 4 MiB out of an object of 16 MiB, 1 and 4 in flight.
func BenchRead(b *testing.B, open func(b *testing.B) blob.Store) {
	const part = 4 << 20
	s := open(b)
	if err := s.Create(b.Context(), "bench", body(16<<20, "bench")); err != nil {
		b.Fatal(err)
	}
	for _, inFlight := range []int{1, 4} {
		b.Run(fmt.Sprintf("4MiB/inflight=%d", inFlight), func(b *testing.B) {
			b.SetBytes(part)
			b.ReportAllocs()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range inFlight {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if got, err := s.Read(b.Context(), "bench", i%4*part, part); err != nil || len(got) != part {
							b.Errorf("%d bytes, %v", len(got), err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
