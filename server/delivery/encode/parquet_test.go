// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/delivery/spec"
)

func parquet(p spec.Parquet) spec.Format { return spec.Format{Kind: spec.ParquetFile, Parquet: &p} }

// What real logs look like, read back by DuckDB: counts, sums, each value, types.
func TestParquetEvents(t *testing.T) {
	const n = 30_000
	records := events(n)
	for _, o := range []spec.Parquet{
		{},
		{Compression: spec.Zstd, RowGroupBytes: 1 << 20},
		{Compression: spec.Gzip},
		{Compression: spec.None},
		{RowGroupBytes: 1 << 20, Columns: []spec.Column{
			{Name: "id", Type: spec.TypeInt64},
			{Name: "user", Type: spec.TypeString, Optional: true},
			{Name: "price", Type: spec.TypeDouble},
			{Name: "ok", Type: spec.TypeBoolean},
			{Name: "bytes", Type: spec.TypeInt64},
			{Name: "time", Type: spec.TypeTimestamp},
			{Name: "none", Type: spec.TypeString, Optional: true},
		}},
	} {
		open := maker(t, parquet(o), spec.None)
		data := fits(t, open, records...)
		if again := fits(t, open, records...); !bytes.Equal(data, again) {
			t.Errorf("%s: two objects of the same records differ", o.Compression)
		}
		got := query(t, data,
			`SELECT count(*)::INT AS n, sum(id)::VARCHAR AS ids, sum(bytes)::VARCHAR AS bytes, sum((price*100)::BIGINT)::VARCHAR AS cents, count(*) FILTER (ok)::INT AS ok, count(DISTINCT "user")::INT AS users FROM read_parquet(FILE)`,
			`SELECT count(*)::INT AS wrong FROM (SELECT row_number() OVER () - 1 AS i, * FROM read_parquet(FILE)) WHERE id != i OR "user" != 'user-' || i % 997 OR ok != (i % 7 != 0) OR price != (i % 10000) / 100.0`,
			`SELECT count(DISTINCT row_group_id)::INT AS groups, min(row_group_num_rows)::INT AS least FROM parquet_metadata(FILE)`,
		)
		var sums struct {
			N, Ok, Users      int
			Ids, Bytes, Cents string
		}
		if err := json.Unmarshal([]byte(strings.Trim(got[0], "[]")), &sums); err != nil {
			t.Fatal(err)
		}
		var ids, size, cents, ok int
		for i := range n {
			ids, size, cents = ids+i, size+i*31%65_536, cents+i%10_000
			if i%7 != 0 {
				ok++
			}
		}
		want := fmt.Sprintf("%d %d %d %d %d %d", n, ok, 997, ids, size, cents)
		if have := fmt.Sprintf("%d %d %d %s %s %s", sums.N, sums.Ok, sums.Users, sums.Ids, sums.Bytes, sums.Cents); have != want {
			t.Errorf("DuckDB sums up %s, want %s", have, want)
		}
		if got[1] != `[{"wrong":0}]` {
			t.Errorf("DuckDB finds %s", got[1])
		}
		if one := strings.HasPrefix(got[2], `[{"groups":1,`); one == (o.RowGroupBytes > 0) {
			t.Errorf("row groups: %s", got[2])
		}
	}
}

// What types columns get, and that nothing in them is lost.
func TestParquetInferred(t *testing.T) {
	data, unfit := object(t, maker(t, parquet(spec.Parquet{}), spec.None),
		`{"b":true,"i":1,"d":1.5,"s":"x","n":null,"o":{"k":[1, 2]},"mixed":1,"mixed2":"a\"\u00e9","huge":1,"wide":9007199254740993}`,
		`{"late":"é","i":-9223372036854775808,"d":2,"s":"a\u00e9\ud83d\ude00\n","mixed":"one","mixed2":false,"huge":18446744073709551616,"wide":0.5}`,
		`[1]`,
		`{"new":1}x`,
		`{"i":3}{"i":4, "i":5}`,
		`{}`,
	)
	if fmt.Sprint(slices.Sorted(maps.Keys(unfit))) != "[2 3]" {
		t.Errorf("unfit: %v", unfit)
	}
	got := query(t, data,
		`SELECT string_agg(column_name || ' ' || column_type, ', ') AS c FROM (DESCRIBE SELECT * FROM read_parquet(FILE))`,
		`SELECT b, i::VARCHAR i, d, s, n, o::VARCHAR o, mixed::VARCHAR m, mixed2::VARCHAR m2, huge::VARCHAR h, wide::VARCHAR w, late FROM read_parquet(FILE)`,
	)
	for i, want := range []string{
		`[{"c":"b BOOLEAN, i BIGINT, d DOUBLE, s VARCHAR, n VARCHAR, o JSON, mixed JSON, mixed2 JSON, huge JSON, wide JSON, late VARCHAR"}]`,
		`[{"b":true,"i":"1","d":1.5,"s":"x","n":null,"o":"{\"k\":[1,2]}","m":"1","m2":"\"a\\\"\\u00e9\"","h":"1","w":"9007199254740993","late":null},` +
			`{"b":null,"i":"-9223372036854775808","d":2,"s":"aé😀\n","n":null,"o":null,"m":"\"one\"","m2":"false","h":"18446744073709551616","w":"0.5","late":"é"},` +
			`{"b":null,"i":"3","d":null,"s":null,"n":null,"o":null,"m":null,"m2":null,"h":null,"w":null,"late":null},` +
			`{"b":null,"i":"5","d":null,"s":null,"n":null,"o":null,"m":null,"m2":null,"h":null,"w":null,"late":null},` +
			`{"b":null,"i":null,"d":null,"s":null,"n":null,"o":null,"m":null,"m2":null,"h":null,"w":null,"late":null}]`,
	} {
		if got[i] != want {
			t.Errorf("DuckDB says %s\nwant        %s", got[i], want)
		}
	}
}

// Given columns take what is of their type and refuse the rest, record by record.
func TestParquetGiven(t *testing.T) {
	columns := []spec.Column{
		{Name: "z", Type: spec.TypeInt64}, {Name: "s", Type: spec.TypeString, Optional: true}, {Name: "d", Type: spec.TypeDouble, Optional: true},
		{Name: "b", Type: spec.TypeBoolean, Optional: true}, {Name: "t", Type: spec.TypeTimestamp, Optional: true}, {Name: "j", Type: spec.TypeJSON, Optional: true},
	}
	records := []string{
		`{"z":1,"s":"x","d":1,"b":true,"t":"2026-11-29T01:02:03.000004+01:00","j":"text","more":1}`,
		`{"z":2,"s":12.50,"t":1000001,"j":{"a": [1, 2]}}`,
		`{"z":3,"s":null,"d":null,"j":null}`,
		`{"s":"no z"}`, `{"z":null}`, `{"z":1.0}`, `{"z":"1"}`, `{"z":9223372036854775808}`, // bad
		`{"z":1,"s":{}}`, `{"z":1,"d":"1"}`, `{"z":1,"d":1e999}`, `{"z":1,"b":1}`, `{"z":1,"t":"yesterday"}`, `{"z":1,"t":1.5}`, `{"z":4}{"z":"no"}`, `nonsense`, // bad
		`{"z":5}`,
	}
	data, unfit := object(t, maker(t, parquet(spec.Parquet{Columns: columns}), spec.None), records...)
	for i := range records {
		if _, bad := unfit[i]; bad != (i >= 3 && i < len(records)-1) {
			t.Errorf("%s: unfit %v", records[i], bad)
		}
	}
	got := query(t, data, `SELECT z::INT z, s, d, b, strftime(t, '%Y-%m-%d %H:%M:%S.%f') t, j::VARCHAR j FROM (SELECT * REPLACE (t::TIMESTAMPTZ AT TIME ZONE 'UTC' AS t) FROM read_parquet(FILE))`,
		`SELECT string_agg(column_name || ' ' || column_type, ', ') AS c FROM (DESCRIBE SELECT * FROM read_parquet(FILE))`)
	want := `[{"z":1,"s":"x","d":1,"b":true,"t":"2026-11-29 00:02:03.000004","j":"\"text\""},{"z":2,"s":"12.50","d":null,"b":null,"t":"1970-01-01 00:00:01.000001","j":"{\"a\":[1,2]}"},` +
		`{"z":3,"s":null,"d":null,"b":null,"t":null,"j":null},{"z":5,"s":null,"d":null,"b":null,"t":null,"j":null}]`
	if got[0] != want {
		t.Errorf("DuckDB says %s\nwant        %s", got[0], want)
	}
	if want := `[{"c":"z BIGINT, s VARCHAR, d DOUBLE, b BOOLEAN, t TIMESTAMP WITH TIME ZONE, j JSON"}]`; got[1] != want {
		t.Errorf("DuckDB says %s\nwant        %s", got[1], want)
	}
}

// A file of given columns without a record is a file; a first record without members has no columns to go to.
func TestParquetEmpty(t *testing.T) {
	given := fits(t, maker(t, parquet(spec.Parquet{Columns: []spec.Column{{Name: "a", Type: spec.TypeInt64}}}), spec.None))
	if got := query(t, given, `SELECT count(*)::INT n FROM read_parquet(FILE)`); got[0] != `[{"n":0}]` {
		t.Errorf("DuckDB says %s", got[0])
	}
	if _, unfit := object(t, maker(t, parquet(spec.Parquet{}), spec.None), `{}`, `{"a":1}`, `{}`, `{"":1}`); fmt.Sprint(slices.Sorted(maps.Keys(unfit))) != "[0 3]" {
		t.Errorf("unfit: %v", unfit)
	}
}

// A member too many is refused, and leaves the columns as they were.
func TestParquetColumnsMost(t *testing.T) {
	wide := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `,"c%d":%d`, i, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	data, unfit := object(t, maker(t, parquet(spec.Parquet{}), spec.None), wide(0, 999), wide(998, 1001), wide(999, 1000), `{"c1":7}`)
	if fmt.Sprint(slices.Sorted(maps.Keys(unfit))) != "[1]" {
		t.Errorf("unfit: %v", unfit)
	}
	if got := query(t, data, `SELECT sum(c1)::INT s, sum(c999)::INT n FROM read_parquet(FILE)`); got[0] != `[{"s":8,"n":999}]` {
		t.Errorf("DuckDB says %s", got[0])
	}
}

// Records a second on one core.
func BenchmarkParquet(b *testing.B) {
	records := events(50_000)
	data, size := make([][]byte, len(records)), int64(0)
	for i, r := range records {
		data[i] = []byte(r)
		size += int64(len(r))
	}
	columns := []spec.Column{
		{Name: "id", Type: spec.TypeInt64}, {Name: "time", Type: spec.TypeTimestamp}, {Name: "user", Type: spec.TypeString}, {Name: "action", Type: spec.TypeString},
		{Name: "price", Type: spec.TypeDouble}, {Name: "ok", Type: spec.TypeBoolean}, {Name: "path", Type: spec.TypeString}, {Name: "bytes", Type: spec.TypeInt64},
	}
	for name, o := range map[string]spec.Parquet{"inferred": {}, "given": {Columns: columns}, "zstd": {Compression: spec.Zstd}} {
		b.Run(name, func(b *testing.B) {
			open := maker(b, parquet(o), spec.None)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				e, err := open(io.Discard)
				for i := 0; err == nil && i < len(data); i++ {
					err = e.Add(data[i])
				}
				if err == nil {
					err = e.Close()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(data))/b.Elapsed().Seconds(), "records/s")
		})
	}
}
