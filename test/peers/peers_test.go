// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPayloads(t *testing.T) {
	p, again := newPayloads(7, 3000, 1024, false), newPayloads(7, 3000, 1024, false)
	for i, b := range p.data {
		if len(b) != 1024 || !json.Valid(b) {
			t.Fatalf("payload %d is not 1024 bytes of JSON: %s", i, b)
		}
		if !bytes.Equal(b, again.data[i]) || p.keys[i] != again.keys[i] {
			t.Fatalf("payload %d differs under the same seed", i)
		}
	}
	if x, err := p.deflated(); err != nil || x < 2.5 || x > 6 {
		t.Errorf("log lines deflate %.2f times (%v): logs do 3 to 5 times", x, err)
	}
	if x, err := newPayloads(7, 3000, 1024, true).deflated(); err != nil || x > 1.01 {
		t.Errorf("noise deflates %.2f times (%v)", x, err)
	}
}

// memory is a log that keeps what it is given, and can be told to fail or to forget.
type memory struct {
	mu     sync.Mutex
	lanes  [2][][]byte
	failAt int // fails the n-th call from 1; 0: none
	calls  int
}

func (m *memory) Writer(n int) (writer, error) { return &memoryWriter{m, n % 2}, nil }
func (m *memory) Close() error                 { return nil }

func (m *memory) Read(_ context.Context, lane int, see func([]byte)) error {
	for _, b := range m.lanes[lane] {
		see(b)
	}
	return nil
}

type memoryWriter struct {
	m    *memory
	lane int
}

var errFull = errors.New("full")

func (w *memoryWriter) Close() error { return nil }

func (w *memoryWriter) Put(ctx context.Context, p *payloads, i int) error {
	return w.PutBatch(ctx, "", p, i, 1)
}

func (w *memoryWriter) PutBatch(_ context.Context, _ string, p *payloads, i, n int) error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.calls++; w.m.calls == w.m.failAt {
		return errFull
	}
	w.m.lanes[w.lane] = append(w.m.lanes[w.lane], p.data[i:i+n]...)
	return nil
}

func TestPutAndRead(t *testing.T) {
	p := newPayloads(1, 100, 64, false)
	m := &memory{}
	got, err := put(t.Context(), m, p, load{callers: 5, calls: 37, batch: 10, way: "any", atMost: time.Minute})
	if err != nil || got.Records != 370 || got.Bytes != 370*64 {
		t.Fatalf("put %+v, %v", got, err)
	}
	back, err := read(t.Context(), m, 2, 3, got.tally, time.Minute)
	if err != nil || back.Records != 3*got.Records || back.Bytes != 3*got.Bytes {
		t.Fatalf("read %+v, %v", back, err)
	}
	for lane, held := range m.lanes {
		if len(held) > 0 {
			m.lanes[lane] = held[1:]
		}
	}
	if _, err := read(t.Context(), m, 2, 1, got.tally, time.Minute); err == nil {
		t.Fatal("a lost record was not noticed")
	}
}

func TestReadNoticesAnotherPayload(t *testing.T) {
	p := newPayloads(1, 100, 64, false)
	m := &memory{}
	got, err := put(t.Context(), m, p, load{callers: 1, calls: 10, batch: 1, atMost: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	m.lanes[0][4] = p.data[99]
	if _, err := read(t.Context(), m, 2, 1, got.tally, time.Minute); err == nil {
		t.Fatal("a record that was exchanged was not noticed")
	}
}

func TestPutStops(t *testing.T) {
	p := newPayloads(1, 100, 64, false)
	if got, err := put(t.Context(), &memory{}, p, load{callers: 2, calls: 1e9, batch: 1, atMost: time.Millisecond}); err != nil || got.Records == 0 {
		t.Errorf("when the time is over: %+v, %v", got, err)
	}
	got, err := put(t.Context(), &memory{failAt: 5}, p, load{callers: 1, calls: 100, batch: 1, atMost: time.Minute})
	if !errors.Is(err, errFull) || got.Records != 4 {
		t.Errorf("after an error: %+v, %v", got, err)
	}
}

func sample() *report {
	one := func(rate int64) result {
		runs := map[string]run{}
		for _, m := range metrics {
			runs[m.Measurement] = run{tally: tally{Records: rate, Bytes: 1000 * rate}, Took: time.Second, P50: time.Second / time.Duration(rate), P99: time.Second, CPU: cpu{time.Second, time.Second}}
		}
		return result{runs: runs, ways: map[string]run{"slow": {tally: tally{Records: rate / 2}, Took: time.Second}, "quick": runs[mBatch]}}
	}
	return &report{
		Head: []string{"about"}, Systems: []string{"leat", "redis"}, Floors: []floor{{}},
		Rounds: [][]result{{one(3000), one(1000)}, {one(400), one(200)}, {one(1000), one(250)}},
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := sample().table(&out); err != nil {
		t.Fatal(err)
	}
	// Medians are 1000 and 250; the rounds' ratios 3, 2 and 4.
	fields := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"batched puts records/s 1,000 250 3.00 (2.00-4.00)", "single puts, 1 caller p50 ms 1.00 4.00 0.33 (0.25-0.50)",
		"redis: quick 250/s; slow 125/s",
	} {
		if !strings.Contains(fields, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	r := sample()
	r.Floors[0].Record = run{tally: tally{Records: 10}, Took: time.Second}
	r.Floors[0].Batch = r.Floors[0].Record
	if err := r.json(&out); err != nil {
		t.Fatal(err)
	}
	var back jsonReport
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	m := back.Metrics[0]
	if len(back.Metrics) != len(metrics) || m.Ratio["redis"] != 3 || m.Median["leat"] != 1000 || len(m.Rounds["redis"]) != 3 {
		t.Errorf("%+v", back)
	}
}

func TestMedian(t *testing.T) {
	for want, of := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(of); got != want {
			t.Errorf("median of %v is %v", of, got)
		}
	}
}

func TestCPU(t *testing.T) {
	stat := []byte("7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 99")
	if got, err := parseStat(stat); err != nil || got != 3*time.Second {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "7 (a) S 1", "7 (a) S 1 2 3 4 5 6 7 8 9 10 x 50 0"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
	before, err := cpuNow(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
		newPayloads(1, 10, 100, false)
	}
	after, err := cpuNow(os.Getpid())
	if used := after.since(before); err != nil || used.Client < 10*time.Millisecond || used.Server < 10*time.Millisecond {
		t.Errorf("50 ms of work used %+v, %v", used, err)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"-rounds 0", "-lanes 65", "-o yaml", "extra", "-batches 0", "-only kafka -leat true", "-only leat -leat no-such-binary"} {
		if err := start(t.Context(), strings.Fields(bad), &strings.Builder{}, &strings.Builder{}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
