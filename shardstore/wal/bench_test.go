// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// BenchmarkFiles commits through Writer and Files, one caller at a time, and measures beside it, commit by commit, the
// machine's floor: the same bytes appended to a bare file and synced. x-floor is the ratio of the medians: below 1 is
// faster than the floor (the log's files are filled with zeros before).
func BenchmarkFiles(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) { benchFiles(b, size) })
	}
}

func benchFiles(b *testing.B, size int) {
	dir := b.TempDir()
	d, err := wal.OpenFiles(filepath.Join(dir, "wal"), wal.FilesOptions{})
	if err != nil {
		b.Fatal(err)
	}
	g := waltest.NewSegments()
	if err := d.Begin(b.Context(), g.Session); err != nil {
		b.Fatal(err)
	}
	src := &benchSource{object: g.Make(b, 0, size), done: make(chan struct{}, 1)}
	src.w = wal.NewWriter(wal.Options{Driver: d, Session: g.Session, Source: src, Params: wal.FileParams()})
	ran := make(chan error, 1)
	go func() { ran <- src.w.Run(b.Context()) }()
	floor, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		b.Fatal(err)
	}
	var ours, bare []time.Duration
	b.SetBytes(int64(size))
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		src.append(size)
		<-src.done
		ours = append(ours, time.Since(start))
		if err := d.Remove(b.Context(), g.Session, uint64(i)); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		start = time.Now()
		if _, err := floor.Write(src.object); err != nil {
			b.Fatal(err)
		}
		if err := wal.DataSync(floor); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(start))
		if i%64 == 63 { // keep the disk's use bounded
			if _, err := floor.Seek(0, 0); err != nil {
				b.Fatal(err)
			}
			if err := floor.Truncate(0); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	b.StopTimer()
	if err := src.w.Drain(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := <-ran; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(mean(ours)/mean(bare), "x-floor-mean")
	b.ReportMetric(float64(median(ours).Microseconds()), "µs/commit")
	b.ReportMetric(float64(median(bare).Microseconds()), "µs/floor")
	b.ReportMetric(float64(median(ours))/float64(median(bare)), "x-floor")
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
	if err := floor.Close(); err != nil {
		b.Fatal(err)
	}
}

func mean(d []time.Duration) float64 {
	sum := 0.0
	for _, x := range d {
		sum += x.Seconds()
	}
	return sum / float64(len(d))
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// benchSource sends one object again and again.
type benchSource struct {
	w      *wal.Writer
	object []byte
	done   chan struct{}
}

func (s *benchSource) append(size int) { s.w.Notify(size) }

func (s *benchSource) Take(uint64) func() []byte {
	s.w.Notify(0)
	return func() []byte { return s.object }
}

func (s *benchSource) Durable(uint64) { s.done <- struct{}{} }

func (s *benchSource) Free([]byte) {}

// BenchmarkWriter is the writer's own cost: a round through it over a store in memory.
func BenchmarkWriter(b *testing.B) {
	g := waltest.NewSegments()
	src := &benchSource{object: g.Make(b, 0, 100), done: make(chan struct{}, 1)}
	p := wal.ObjectParams()
	p.PutsPerSecond = 0
	src.w = wal.NewWriter(wal.Options{Driver: wal.NewObjects(mem.New(nil)), Session: g.Session, Source: src, Params: p})
	ran := make(chan error, 1)
	go func() { ran <- src.w.Run(b.Context()) }()
	b.ReportAllocs()
	for b.Loop() {
		src.append(1)
		<-src.done
	}
	if err := src.w.Drain(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := <-ran; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkNotify is the cost of telling a busy writer.
func BenchmarkNotify(b *testing.B) {
	g := waltest.NewSegments()
	w := wal.NewWriter(wal.Options{Driver: wal.NewObjects(mem.New(nil)), Session: g.Session, Source: &benchSource{}, Params: wal.FileParams()})
	b.ReportAllocs()
	for b.Loop() {
		w.Notify(1)
	}
}
