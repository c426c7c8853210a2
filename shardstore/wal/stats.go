// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats are counts since the Writer was made.
type Stats struct {
	Segments uint64  // encoded and sent
	Bytes    uint64  // of those segments
	Flushed  uint64  // told durable
	InFlight int     // taken and not told durable
	Pending  int     // bytes not taken
	Retries  uint64  // further tries, twins included
	Unknowns uint64  // tries without a clear answer
	Verifies uint64  // headers read back after unknowns
	Probes   uint64  // looks for a fence, for the lease
	Latency  Latency // from the start of the first try to durable with all earlier ones
}

// latencyBuckets is enough for half a minute.
const latencyBuckets = 20

// Latency is a histogram of times.
type Latency struct {
	Count   uint64
	Sum     time.Duration
	Buckets [latencyBuckets]uint64 // Buckets[i] counts those up to LatencyBound(i) and above the bound before; the last all that are longer too
}

// LatencyBound is the upper bound of a bucket: 64 µs, doubled with each.
func LatencyBound(i int) time.Duration { return 64 * time.Microsecond << i }

type stats struct {
	segments, bytes, retries, unknowns, verifies, probes atomic.Uint64

	latency latency
}

func (s *stats) sent(size int) {
	s.segments.Add(1)
	s.bytes.Add(uint64(size))
}

type latency struct {
	sum     atomic.Int64
	buckets [latencyBuckets]atomic.Uint64
}

func (l *latency) observe(d time.Duration) {
	i := bits.Len64(uint64(max(d-1, 0)) / uint64(LatencyBound(0)))
	l.buckets[min(i, latencyBuckets-1)].Add(1)
	l.sum.Add(int64(d))
}

// Stats returns the counts. They are not of one instant.
func (w *Writer) Stats() Stats {
	flushed := w.flushed.Load()
	st := Stats{
		Segments: w.stats.segments.Load(), Bytes: w.stats.bytes.Load(), Flushed: flushed,
		InFlight: int(w.next.Load() - flushed), Pending: int(w.pending.Load()),
		Retries: w.stats.retries.Load(), Unknowns: w.stats.unknowns.Load(),
		Verifies: w.stats.verifies.Load(), Probes: w.stats.probes.Load(),
	}
	st.Latency.Sum = time.Duration(w.stats.latency.sum.Load())
	for i := range st.Latency.Buckets {
		st.Latency.Buckets[i] = w.stats.latency.buckets[i].Load()
		st.Latency.Count += st.Latency.Buckets[i]
	}
	return st
}
