// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Small records that become large ones take no more memory than a range may make: what is beyond goes to the error prefix,
// as it came, and the delivery goes on.
func TestRecordsThatGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("half a gigabyte")
	}
	r := newRig(t)
	r.stream("s", 1)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 9 {
		_, err := z.Write(make([]byte, 1<<20))
		r.must(err)
	}
	r.must(z.Close())
	const n = 120 // of 9 MiB: a gigabyte, where half of one is allowed
	puts := make([]broker.Put, n+1)
	for i := range puts {
		puts[i].Record = leat.Record{PartitionKey: "k", Data: b.Bytes()}
	}
	puts[n].Record.Data = []byte("plain")
	failed, err := r.broker.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts})
	if err != nil || failed > 0 {
		t.Fatalf("put: %d failed, %v", failed, err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	var most runtime.MemStats
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Buffer.Bytes, c.Transforms = 5<<20, []spec.Transform{{Kind: spec.Decompress}}
	}))
	r.until("it is delivered", func() bool {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most.HeapAlloc = max(most.HeapAlloc, m.HeapAlloc)
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Shards) == 1 && d.Shards[0].Next == n+1
	})
	rep := r.clean("d", n+1)
	if rep.Failed != n-56 || rep.Stored != 57 { // 56 * 9 = 504, and the plain one
		t.Errorf("verify: %+v", rep)
	}
	lines := errorLines(t, r, "errors/processing-failed/")
	if len(lines) != n-56 || lines[0]["errorCode"] != "Transform.OutputTooLarge" || !strings.HasPrefix(fmt.Sprint(lines[0]["rawData"]), "H4sI") {
		t.Errorf("%d lines of errors", len(lines))
	}
	t.Logf("the heap had %d MiB at most", most.HeapAlloc>>20)
	if most.HeapAlloc > 1536<<20 {
		t.Errorf("the heap had %d MiB", most.HeapAlloc>>20)
	}
}
