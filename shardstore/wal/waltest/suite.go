// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package waltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// Run runs the contract of wal.Driver, with a fresh driver from open in each test. open registers its own cleanup.
func Run(t *testing.T, open func(t *testing.T) wal.Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, wal.Driver, *Segments)
	}{
		{"WriteAndRead", testWriteAndRead},
		{"WriteAgain", testWriteAgain},
		{"Verify", testVerify},
		{"RecoverNothing", testRecoverNothing},
		{"Recover", testRecover},
		{"RecoverFromTrim", testRecoverFromTrim},
		{"RecoverTwice", testRecoverTwice},
		{"RecoverRace", testRecoverRace},
		{"RecoverClosed", testRecoverClosed},
		{"FencedAfterRecover", testFenced},
		{"Remove", testRemove},
		{"Sessions", testSessions},
		{"Writer", testWriter},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t), NewSegments()) })
	}
}

// Options are those of a recovery of a session that nobody decided about.
func Options(g *Segments) wal.RecoverOptions {
	return wal.RecoverOptions{
		Cluster:      g.Cluster,
		ClosedExists: func(context.Context) (bool, error) { return false, nil },
		Clock:        NewSkippingClock(),
	}
}

// write begins the session and writes segments 0 to n-1.
func write(t *testing.T, d wal.Driver, g *Segments, n int) [][]byte {
	t.Helper()
	if err := d.Begin(t.Context(), g.Session); err != nil {
		t.Fatal(err)
	}
	var objects [][]byte
	for i := range n {
		objects = append(objects, g.Make(t, uint64(i), 100+i*3000))
		if err := d.Write(t.Context(), g.Session, uint64(i), objects[i]); err != nil {
			t.Fatalf("Write(%d) = %v", i, err)
		}
	}
	return objects
}

// mustRecover recovers and compares what was found with what was written.
func mustRecover(t *testing.T, d wal.Driver, g *Segments, trim uint64, fence int) wal.Recovered {
	t.Helper()
	rec, err := d.Recover(t.Context(), g.Session, trim, Options(g))
	if err != nil {
		t.Fatalf("Recover = %v", err)
	}
	CheckRecovered(t, rec, g, trim, uint64(fence))
	return rec
}

// CheckRecovered fails unless rec holds the segments of g from trim to fence, each with its extent.
func CheckRecovered(t testing.TB, rec wal.Recovered, g *Segments, trim, fence uint64) {
	t.Helper()
	if rec.Fence != fence || uint64(len(rec.Segments)) != fence-trim {
		t.Fatalf("recovered %d segments up to %d, want %d up to %d", len(rec.Segments), rec.Fence, fence-trim, fence)
	}
	for i, seg := range rec.Segments {
		n := trim + uint64(i)
		if seg.N != n || seg.Footer.Header.N != n || len(seg.Footer.Extents) != 1 {
			t.Fatalf("segment %d is %+v", n, seg)
		}
		if e := seg.Footer.Extents[0]; e.First != n || e.Object != wal.Key(g.Session, n) {
			t.Fatalf("extent of segment %d is %+v", n, e)
		}
	}
}

func testWriteAndRead(t *testing.T, d wal.Driver, g *Segments) {
	for n, want := range write(t, d, g, 4) {
		size := int64(len(want))
		for _, c := range []struct{ off, length int64 }{{0, -1}, {0, segment.HeaderSize}, {5, 7}, {-100, -1}, {-100, 10}, {size - 1, 100}, {size, 10}, {-2 * size, -1}} {
			from, to := blob.Span(size, c.off, c.length)
			got, err := d.Read(t.Context(), g.Session, uint64(n), c.off, c.length)
			if err != nil || !bytes.Equal(got, want[from:to]) {
				t.Fatalf("Read(%d, %d, %d) = %d bytes, %v; want %d to %d", n, c.off, c.length, len(got), err, from, to)
			}
		}
	}
	if _, err := d.Read(t.Context(), g.Session, 4, 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Read of a segment that was not written = %v", err)
	}
	if _, err := d.Read(t.Context(), NewSegments().Session, 0, 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Read of a session that never was = %v", err)
	}
}

func testWriteAgain(t *testing.T, d wal.Driver, g *Segments) {
	objects := write(t, d, g, 2)
	for n, object := range objects {
		if err := d.Write(t.Context(), g.Session, uint64(n), object); err != nil {
			t.Errorf("the same segment %d again = %v", n, err)
		}
	}
	mustRecover(t, d, g, 0, 2)
}

func testVerify(t *testing.T, d wal.Driver, g *Segments) {
	objects := write(t, d, g, 1)
	for _, c := range []struct {
		name   string
		n      uint64
		header []byte
		want   wal.State
	}{
		{"our segment", 0, Header(objects[0]), wal.StateOurs},
		{"another nonce", 0, Header(g.Make(t, 0, 100)), wal.StateForeign},
		{"no header", 0, nil, wal.StateForeign},
		{"not written", 1, Header(g.Make(t, 1, 100)), wal.StateAbsent},
		{"not written, no header", 1, nil, wal.StateAbsent},
	} {
		if got, err := d.Verify(t.Context(), g.Session, c.n, c.header); got != c.want || err != nil {
			t.Errorf("Verify of %s = %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	mustRecover(t, d, g, 0, 1)
	if got, err := d.Verify(t.Context(), g.Session, 1, nil); got != wal.StateForeign || err != nil {
		t.Errorf("Verify of the fence = %v, %v", got, err)
	}
}

func testRecoverNothing(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 0)
	mustRecover(t, d, g, 0, 0)
	never := NewSegments() // registered, and dead before it began
	mustRecover(t, d, never, 0, 0)
}

func testRecover(t *testing.T, d wal.Driver, g *Segments) {
	objects := write(t, d, g, 5)
	if rec := mustRecover(t, d, g, 0, 5); rec.Clean {
		t.Error("a log without CLOSE is clean")
	}
	for n, want := range objects {
		if got, err := d.Read(t.Context(), g.Session, uint64(n), 0, -1); err != nil || !bytes.Equal(got, want) {
			t.Errorf("after recovery Read(%d) = %d bytes, %v", n, len(got), err)
		}
	}
}

func testRecoverFromTrim(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 6)
	for n := range uint64(3) {
		if err := d.Remove(t.Context(), g.Session, n); err != nil {
			t.Fatal(err)
		}
	}
	mustRecover(t, d, g, 4, 6)
}

func testRecoverTwice(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 3)
	for range 3 {
		mustRecover(t, d, g, 0, 3)
	}
	mustRecover(t, d, g, 3, 3)
}

func testRecoverRace(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 3)
	var racers sync.WaitGroup
	for range 8 {
		racers.Go(func() {
			rec, err := d.Recover(t.Context(), g.Session, 0, Options(g))
			if err != nil || rec.Fence != 3 || len(rec.Segments) != 3 {
				t.Errorf("a racer found %d segments up to %d, %v", len(rec.Segments), rec.Fence, err)
			}
		})
	}
	racers.Wait()
}

func testRecoverClosed(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 2)
	o := Options(g)
	o.ClosedExists = func(context.Context) (bool, error) { return true, nil }
	if _, err := d.Recover(t.Context(), g.Session, 0, o); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("Recover of a session that is closed = %v", err)
	}
	o.ClosedExists = func(context.Context) (bool, error) { return false, errors.New("no answer") }
	if _, err := d.Recover(t.Context(), g.Session, 0, o); err == nil || errors.Is(err, wal.ErrClosed) {
		t.Errorf("Recover that cannot find out = %v", err)
	}
	mustRecover(t, d, g, 0, 2)
}

func testFenced(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 2)
	mustRecover(t, d, g, 0, 2)
	if err := d.Write(t.Context(), g.Session, 2, g.Make(t, 2, 10)); !errors.Is(err, wal.ErrFenced) {
		t.Errorf("Write at the fence = %v", err)
	}
	mustRecover(t, d, g, 0, 2)
}

func testRemove(t *testing.T, d wal.Driver, g *Segments) {
	write(t, d, g, 3)
	mustRecover(t, d, g, 0, 3)
	for range 2 { // removal of what is gone is no error
		for n := range uint64(3) {
			if err := d.Remove(t.Context(), g.Session, n); err != nil {
				t.Fatalf("Remove(%d) = %v", n, err)
			}
		}
	}
	for n := range uint64(3) {
		if _, err := d.Read(t.Context(), g.Session, n, 0, -1); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Read(%d) after its removal = %v", n, err)
		}
	}
	if err := d.Remove(t.Context(), g.Session, 3); err == nil {
		t.Error("a fence was removed (I6)")
	}
	if got, err := d.Verify(t.Context(), g.Session, 3, nil); got != wal.StateForeign || err != nil {
		t.Errorf("after Remove the fence is %v, %v", got, err)
	}
	if err := d.Remove(t.Context(), NewSegments().Session, 0); err != nil {
		t.Errorf("Remove of a session that never was = %v", err)
	}
}

func testSessions(t *testing.T, d wal.Driver, g *Segments) {
	other := NewSegments()
	write(t, d, g, 2)
	write(t, d, other, 3)
	mustRecover(t, d, g, 0, 2)
	if err := d.Write(t.Context(), other.Session, 3, other.Make(t, 3, 10)); err != nil {
		t.Errorf("Write to a session beside a fenced one = %v", err)
	}
	mustRecover(t, d, other, 0, 4)
}

// testWriter sends many appends through a Writer and finds them all in the log.
func testWriter(t *testing.T, d wal.Driver, g *Segments) {
	if err := d.Begin(t.Context(), g.Session); err != nil {
		t.Fatal(err)
	}
	src := NewSource(t, g)
	p := wal.FileParams()
	w := wal.NewWriter(wal.Options{Driver: d, Session: g.Session, Source: src, Params: p})
	src.Notify, src.Target = w.Notify, p.SegmentTarget
	ran := make(chan error, 1)
	go func() { ran <- w.Run(t.Context()) }()
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 20 {
				<-src.Append(1 + i*500)
			}
		})
	}
	callers.Wait()
	<-src.Control(segment.ControlClose)
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	rec, err := d.Recover(t.Context(), g.Session, 0, Options(g))
	if err != nil || rec.Fence != w.Flushed() || !rec.Clean {
		t.Fatalf("after %d segments Recover = %d, clean %v, %v", w.Flushed(), rec.Fence, rec.Clean, err)
	}
	if st := w.Stats(); st.Flushed != rec.Fence || st.Latency.Count != rec.Fence || st.InFlight != 0 {
		t.Errorf("stats %+v after %d segments", st, rec.Fence)
	}
	var controls []string
	for _, s := range rec.Segments {
		for _, c := range s.Footer.Controls {
			controls = append(controls, fmt.Sprintf("%v", c.Kind))
		}
	}
	if !slices.Equal(controls, []string{"CLOSE"}) {
		t.Errorf("found control records %v", controls)
	}
}
