// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// scale measures what is on its way to a bucket, and what the process holds meanwhile.
type scale struct {
	mu                  sync.Mutex
	puts, now, most     int
	bytes, mostBytes    int64
	mostHeap, firstHeap uint64
}

func (s *scale) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPut || strings.Contains(req.URL.Path, "/errors/") {
		return http.DefaultTransport.RoundTrip(req)
	}
	s.mu.Lock()
	if s.puts%1000 == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		s.mostHeap = max(s.mostHeap, m.HeapAlloc)
		if s.puts == 0 {
			s.firstHeap = m.HeapAlloc
		}
	}
	s.puts++
	s.now++
	s.bytes += req.ContentLength
	s.most, s.mostBytes = max(s.most, s.now), max(s.mostBytes, s.bytes)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
		s.bytes -= req.ContentLength
	}()
	return http.DefaultTransport.RoundTrip(req)
}

// A range of ten thousand partitions, the most that are allowed, makes an object for each; what is held while they are
// written are the records and a few objects, however many there are. What is beyond goes to the error prefix.
func TestTenThousandPartitions(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand objects")
	}
	var s scale
	r := newRig(t, compile(keys{}), func(c *delivery.Config) { c.S3.Transport = &s })
	r.stream("s", 1)
	const size, beyond = 1000, 100
	records := make([]string, spec.MaxPartitions+beyond)
	for i := range records {
		records[i] = fmt.Sprintf("w%05d:%s", i, strings.Repeat("x", size))
	}
	r.put("s", records...)
	r.deliver("d", r.toBucket("s", partitioned(spec.MaxPartitions), func(c *spec.Config) { c.Buffer.Bytes = 64 << 20 }))
	began := time.Now()
	r.settled("d", uint64(len(records)))
	took := time.Since(began)
	rep, err := r.broker.VerifyDelivery(t.Context(), who, broker.VerifyDeliveryRequest{Delivery: "d"}) // a HEAD for each
	r.must(err)
	if !rep.Clean || rep.Objects != spec.MaxPartitions || rep.Stored != spec.MaxPartitions || rep.Errors != 1 || rep.Failed != beyond {
		t.Errorf("verify: %+v", rep)
	}
	over := errorLines(t, r, "errors/partitioning-failed/")
	if len(over) != beyond || over[0]["errorCode"] != "DynamicPartitioning.ActivePartitionLimitExceeded" {
		t.Errorf("%d records went to the error prefix", len(over))
	}
	t.Logf("%d PUTs in %v, %d at once, %d bytes at once; the heap had %d bytes at the first and %d at most", s.puts, took, s.most, s.mostBytes, s.firstHeap, s.mostHeap)
	if s.most > 8 || s.mostBytes > 9*(size+6) {
		t.Errorf("%d objects of %d bytes were on their way at once", s.most, s.mostBytes)
	}
	if s.mostHeap > s.firstHeap+16<<20 { // of what is written nothing is kept but its name and sums
		t.Errorf("the heap grew from %d to %d bytes while objects were written", s.firstHeap, s.mostHeap)
	}
}

// Each partition has a buffer of its own: its objects end at the buffer's bytes, however many other partitions there are.
func TestBufferIsEachPartitions(t *testing.T) {
	r := newRig(t, compile(keys{}))
	r.stream("s", 1)
	const each, size = 24, 64 << 10 // of a partition: one and a half MiB
	var records []string
	for i := range 6 * each {
		records = append(records, fmt.Sprintf("w%d:%d %s", i%6, i, strings.Repeat("x", size)))
	}
	r.put("s", records[:len(records)/2]...)
	r.put("s", records[len(records)/2:]...)
	r.deliver("d", r.toBucket("s", partitioned(10)))
	r.settled("d", uint64(len(records)))
	r.once(r.lines("data/"), records)
	if rep := r.clean("d", uint64(len(records))); rep.Objects != 12 {
		t.Errorf("%d objects for 6 partitions of one and a half buffers", rep.Objects)
	}
}
