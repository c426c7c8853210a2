// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat"
)

// kpl is an aggregate of the Kinesis Producer Library, all under one key.
func kpl(data ...string) []byte {
	body := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "k")
	for _, d := range data {
		r := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		r = protowire.AppendString(protowire.AppendTag(r, 3, protowire.BytesType), d)
		body = protowire.AppendBytes(protowire.AppendTag(body, 3, protowire.BytesType), r)
	}
	sum := md5.Sum(body)
	return append(append(bytes.Clone(aggregateMagic), body...), sum[:]...)
}

// A page keeps what it shows of its records, and nothing of what they unpack to.
func TestRowsKeepWhatIsShown(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte("[" + strings.Repeat("{},", 300_000) + "{}]")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var parts []string
	for range 900 {
		parts = append(parts, strings.Repeat("[", 500)+strings.Repeat("]", 500))
	}
	for kind, data := range map[string][]byte{
		"gzip of JSON":                 zipped.Bytes(),
		"text":                         []byte(strings.Repeat("text ", 200_000)),
		"KPL aggregate of 900 records": kpl(parts...),
	} {
		const rows, each = 20, 3 * previewMost
		l := &looker{p: &dataPage{Limit: rows}}
		before := heapInUse()
		for range rows {
			if !l.list(leat.ShardKey{}, &leat.Record{Data: data}) {
				t.Fatal("it is not decided")
			}
		}
		if got := l.p.Rows[0].Data.Kind; got != kind {
			t.Errorf("%s is shown as %s", kind, got)
		}
		if n := heapInUse() - before; n > rows*each {
			t.Errorf("%d rows of %s hold %d bytes", rows, kind, n)
		}
		runtime.KeepAlive(l)
	}
}

// heapInUse is what the heap has in use.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Of an aggregate each record is shown as in a list, also where there is room for much more.
func TestAggregatesAreShownInLittleMemory(t *testing.T) {
	var parts []string
	for range 900 {
		parts = append(parts, strings.Repeat("[", 500)+strings.Repeat("]", 500))
	}
	subs, size := decode(kpl(parts...), recordMost).Subs, 0
	for _, s := range subs {
		size += len(s.Data.Text)
	}
	if len(subs) != len(parts) {
		t.Errorf("%d records are shown of %d", len(subs), len(parts))
	}
	if size > len(parts)*previewMost {
		t.Errorf("an aggregate of 900 KB is shown in %d bytes", size)
	}
}
