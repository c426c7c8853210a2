// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/ducktest"
	"github.com/leatstream/leat/server/delivery/encode"
	"github.com/leatstream/leat/server/delivery/spec"
)

// maker returns what makes objects.
func maker(tb testing.TB, f spec.Format, c spec.Compression) spec.NewEncoder {
	tb.Helper()
	open, err := encode.New(f, c)
	if err != nil {
		tb.Fatal(err)
	}
	return open
}

// object makes an object of records, and returns the codes of those that do not fit, by their index.
func object(tb testing.TB, open spec.NewEncoder, records ...string) (data []byte, unfit map[int]string) {
	tb.Helper()
	var b bytes.Buffer
	e, err := open(&b)
	if err != nil {
		tb.Fatal(err)
	}
	unfit = map[int]string{}
	for i, r := range records {
		kept := []byte(r)
		err := e.Add(kept)
		if string(kept) != r {
			tb.Errorf("record %d was changed", i)
		}
		for i := range kept { // it belongs to somebody else from here on
			kept[i] = 'x'
		}
		if u, ok := errors.AsType[*spec.Unfit](err); ok {
			unfit[i] = u.Code
		} else if err != nil {
			tb.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes(), unfit
}

// fits is object where all records fit.
func fits(tb testing.TB, open spec.NewEncoder, records ...string) []byte {
	tb.Helper()
	data, unfit := object(tb, open, records...)
	if len(unfit) > 0 {
		tb.Fatalf("unfit: %v", unfit)
	}
	return data
}

func TestMain(m *testing.M) { os.Exit(ducktest.Main(m)) }

// query asks DuckDB about files; FILE in a statement is the path of the object.
func query(t *testing.T, data []byte, statements ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, st := range statements {
		statements[i] = strings.ReplaceAll(st, "FILE", "'"+path+"'")
	}
	return ducktest.Query(t, statements...)
}

// events are JSON records of one shape, as logs have them.
func events(n int) []string {
	all := make([]string, n)
	for i := range all {
		b, err := json.Marshal(map[string]any{
			"id": i, "time": "2026-11-29T00:00:00.123456Z", "user": fmt.Sprintf("user-%d", i%997), "action": []string{"view", "click", "buy"}[i%3],
			"price": float64(i%10_000) / 100, "ok": i%7 != 0, "path": fmt.Sprintf("/shop/items/%d?from=search", i*7919%100_003), "bytes": i * 31 % 65_536,
		})
		if err != nil {
			panic(err)
		}
		all[i] = string(b)
	}
	return all
}
