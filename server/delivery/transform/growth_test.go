// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/delivery/transform"
)

// squeezed is n MiB that compress well.
func squeezed(tb testing.TB, n int) string {
	tb.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return string(z.EncodeAll(make([]byte, n<<20), nil))
}

// What steps make is counted for each record of the source, whatever parts it was in: one that exceeds it fails once, as it
// came, and its neighbours do not.
func TestGrowth(t *testing.T) {
	kpl, decompress := spec.Transform{Kind: spec.UnpackKPL}, spec.Transform{Kind: spec.Decompress}
	query := func(q string) spec.Transform { return spec.Transform{Kind: spec.JQ, Query: q} }
	large := squeezed(t, 20)
	for _, tc := range []struct {
		what    string
		steps   []spec.Transform
		records []string
		says    string
	}{
		{"bytes of parts", []spec.Transform{kpl, decompress}, []string{"before", aggregate(large, large, large, large), "after"}, "0=before; 2=after; 1!processing-failed Transform.OutputTooLarge"},
		{"number of parts", []spec.Transform{kpl, query(".,.")}, []string{"1", aggregate(slices.Repeat([]string{"3"}, 6000)...), "2"}, "0=1; 0=1; 2=2; 2=2; 1!processing-failed Transform.OutputTooLarge"},
		{
			"parts that failed before", []spec.Transform{query(`range(.) | [., "x" * 20000000]`), query(`if .[0] == 0 then error("no") else .[1], "y" * 10000000 end`)},
			[]string{"3"}, "0!processing-failed Transform.OutputTooLarge",
		},
		{
			"one result in few steps", []spec.Transform{query(`"x" * 1000 | reduce range(60) as $i (.; [., .])`)}, []string{"1", "2"},
			"0!processing-failed JQProcessing.Error; 1!processing-failed JQProcessing.Error",
		},
		{
			"an error in few steps", []spec.Transform{query(`if . == 1 then error("x" * 1000 | reduce range(60) as $i (.; [., .])) else . end`)}, []string{"1", "2"},
			"1=2; 0!processing-failed JQProcessing.Error",
		},
		{
			"partition keys", []spec.Transform{kpl, {Kind: spec.PartitionKeys, Query: `{a: ("x" * 20000000)}`}}, []string{"0", aggregate("1", "2", "3", "4")},
			"0=0 q; 1!processing-failed Transform.OutputTooLarge",
		},
	} {
		t.Run(tc.what, func(t *testing.T) {
			var records []spec.Record
			for _, d := range tc.records {
				records = append(records, spec.Record{Data: []byte(d)})
			}
			p := pipeline(t, of(tc.steps...))
			if got := says(withRoom(t, p, records)); got != says(apply(t, p, records)) {
				t.Errorf("with the room that it takes: %.300s", got)
			}
			r := apply(t, p, records)
			for i := range r.Outputs {
				if q := r.Outputs[i].Query; q != nil {
					clear(q)
				}
			}
			if got := strings.ReplaceAll(says(r), " qmap[]", " q"); got != tc.says {
				t.Errorf("got %.300s\nwant %s", got, tc.says)
			}
		})
	}
}

// withRoom gives a pipeline more room until it is enough.
func withRoom(t *testing.T, p *transform.Pipeline, records []spec.Record) spec.Result {
	t.Helper()
	short := false
	for most := int64(0); ; most = 8*most + 1 {
		r, err := p.Apply(t.Context(), records, most)
		switch {
		case err == nil && !short:
			t.Error("it does with no room")
		case err == nil:
			return r
		case !errors.Is(err, spec.ErrRoom):
			t.Fatal(err)
		}
		short = true
	}
}

// What there is no room for is not made.
func TestNoRoom(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(make([]byte, 60<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, bomb := range [][]byte{z.Bytes(), []byte(squeezed(t, 60))} {
		p := pipeline(t, of(spec.Transform{Kind: spec.Decompress}))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := p.Apply(t.Context(), []spec.Record{{Data: bomb}}, 1<<20); !errors.Is(err, spec.ErrRoom) {
			t.Errorf("60 MiB have room in one: %v", err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 40<<20 {
			t.Errorf("%d MiB were made", n>>20)
		}
	}
}

// Many records that grow at once, as those that an endpoint is asked about together, are bounded too: who exceeds it fails, and
// what is small goes on.
func TestGrowthOfABatch(t *testing.T) {
	if testing.Short() {
		t.Skip("half a gigabyte")
	}
	large := []byte(squeezed(t, 60))
	var records []spec.Record
	for range 11 {
		records = append(records, spec.Record{Data: large})
	}
	records = append(records, spec.Record{Data: []byte("small")})
	r := apply(t, pipeline(t, of(spec.Transform{Kind: spec.Decompress})), records)
	if len(r.Outputs) != 9 || string(r.Outputs[8].Data) != "small" || len(r.Failed) != 3 || r.Failed[0].Code != "Transform.OutputTooLarge" || r.Failed[0].Source != 8 {
		t.Errorf("%d outputs, %v", len(r.Outputs), r.Failed)
	}
}
