// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
)

// Dump writes a backup of a database that may be in use, as an operator does (pg_dump), and returns its file.
func (c *Cluster) Dump(tb testing.TB, dsn string) (file string) {
	tb.Helper()
	file = filepath.Join(tb.TempDir(), "backup")
	c.tool(tb, "pg_dump", "--format=custom", "--file="+file, "--dbname="+dsn)
	return file
}

// Restore makes a new database of a backup and returns its DSN.
func (c *Cluster) Restore(tb testing.TB, file string) (dsn string) {
	tb.Helper()
	dsn = c.Database(tb)
	c.tool(tb, "pg_restore", "--dbname="+dsn, file)
	return dsn
}

func (c *Cluster) tool(tb testing.TB, name string, args ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, c.server.binary(name), args...).CombinedOutput(); err != nil {
		tb.Fatalf("pgtest: %s: %v\n%s", name, err, out)
	}
}
