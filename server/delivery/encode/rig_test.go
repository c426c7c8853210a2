// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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

// duck is a folder with DuckDB, which nobody here wrote; npm fetches it, or has it in its cache.
var duck = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "leat-duckdb")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "query.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata", "duckdb", name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := duck(); err == nil {
		_ = os.RemoveAll(dir) // it is temporary
	}
	os.Exit(code)
}

// query asks DuckDB about files; FILE in a statement is the path of the object.
func query(t *testing.T, data []byte, statements ...string) []string {
	t.Helper()
	dir, err := duck()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"query.mjs"}
	for _, s := range statements {
		args = append(args, strings.ReplaceAll(s, "FILE", "'"+path+"'"))
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("DuckDB: %v\n%s", err, stderr.Bytes())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
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
