// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/delivery/spec"
)

// taken is how many bytes f allocates.
func taken(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// wideObject has n members.
func wideObject(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"c%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// A record of many rows, and then many columns, costs what its members do and not what rows times columns would.
func TestParquetSparse(t *testing.T) {
	const rows = 50_000
	record := `{"a":1}` + strings.Repeat("{}", rows) + wideObject(999)
	open := maker(t, parquet(spec.Parquet{}), spec.None)
	var data []byte
	if n := taken(func() { data = fits(t, open, record) }); n > 512<<20 {
		t.Errorf("a record of %d KiB has %d MiB allocated", len(record)>>10, n>>20)
	}
	got := query(t, data, `SELECT count(*)::INT n, sum(a)::INT a, sum(c0)::INT c0, sum(c998)::INT c998 FROM read_parquet(FILE)`,
		`SELECT count(DISTINCT row_group_id)::INT > 2 AS several FROM parquet_metadata(FILE)`)
	if got[0] != fmt.Sprintf(`[{"n":%d,"a":1,"c0":1,"c998":1}]`, rows+2) || got[1] != `[{"several":true}]` {
		t.Errorf("DuckDB says %s", got)
	}
}

// Rows times columns are bounded, whichever grows: the record that exceeds it does not fit.
func TestParquetPlacesMost(t *testing.T) {
	rows := `{"a":1}` + strings.Repeat("{}", 1_100_000)
	if _, unfit := object(t, maker(t, parquet(spec.Parquet{}), spec.None), rows, wideObject(999), `{"a":2}`); len(unfit) != 1 || unfit[1] == "" {
		t.Errorf("unfit: %v", unfit)
	}
	columns := make([]spec.Column, 1000)
	for i := range columns {
		columns[i] = spec.Column{Name: fmt.Sprint("c", i), Type: spec.TypeInt64, Optional: true}
	}
	e, err := maker(t, parquet(spec.Parquet{Columns: columns}), spec.None)(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*spec.Unfit](e.Add([]byte(rows))); !ok {
		t.Error("a record of too many rows fits given columns")
	}
}

// What a record becomes as CSV is bounded: two bytes make a line of as many separators as there are columns.
func TestCSVRecordMost(t *testing.T) {
	columns := make([]string, 1000)
	for i := range columns {
		columns[i] = fmt.Sprint("c", i)
	}
	open := maker(t, spec.Format{Kind: spec.CSVFormat, CSV: &spec.CSV{Columns: columns}}, spec.Gzip)
	if _, unfit := object(t, open, `{"c0":1}`, strings.Repeat("{}", 100_000), `{"c0":2}`); len(unfit) != 1 || unfit[1] == "" {
		t.Errorf("unfit: %v", unfit)
	}
}
