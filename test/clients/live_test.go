// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/api/leattest"
)

// patience is for an example, or for npm to fetch what it needs.
const patience = 2 * time.Minute

// TestPythonExample runs the example against a live server, with Debian's Python.
func TestPythonExample(t *testing.T) {
	dir := root(t, "api/python")
	run(t, dir, []string{"PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1", "LEAT_ENDPOINT=" + endpoint(t)},
		python, "examples/put_and_get.py")
}

// TestTypeScriptExample installs the client's dependencies in a copy, so that the tree stays as it is, and runs the
// example against a live server.
func TestTypeScriptExample(t *testing.T) {
	dir := t.TempDir()
	from := root(t, "api/typescript")
	for _, part := range []string{"package.json", "package-lock.json", ".npmrc", "gen", "examples"} {
		copyAll(t, filepath.Join(from, part), filepath.Join(dir, part))
	}
	run(t, dir, nil, "npm", "ci", "--omit=dev", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	run(t, dir, []string{"LEAT_ENDPOINT=" + endpoint(t)}, "node", "examples/put-and-get.mjs")
}

// endpoint starts a server and returns its gRPC address.
func endpoint(t *testing.T) string {
	t.Helper()
	return leattest.Start(t).Endpoint
}

// run fails the test unless the program ends with status 0.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	t.Logf("%s", out)
}

// copyAll copies a file, or a folder with all below it.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
