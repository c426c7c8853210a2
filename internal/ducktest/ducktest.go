// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package ducktest asks DuckDB about files that tests wrote: a reader that nobody here wrote. npm fetches it, or has it in
// its cache.
package ducktest

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed duckdb/package.json duckdb/package-lock.json duckdb/.npmrc duckdb/query.mjs
var files embed.FS

// folder is a temporary folder with DuckDB in it.
var folder = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "leat-duckdb")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "query.mjs"} {
		data, err := files.ReadFile("duckdb/" + name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // a registry may never answer
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm: %w\n%s", errors.Join(err, ctx.Err()), out)
	}
	return dir, nil
})

// Main runs a package's tests, takes DuckDB away afterwards, and returns the exit status.
func Main(m *testing.M) int {
	code := m.Run()
	if dir, err := folder(); err == nil {
		_ = os.RemoveAll(dir) // it is temporary
	}
	return code
}

// Query returns the answers of statements, each a line of JSON.
func Query(tb testing.TB, statements ...string) []string {
	tb.Helper()
	dir, err := folder()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("node", append([]string{"query.mjs"}, statements...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("DuckDB: %v\n%s", err, stderr.Bytes())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
