// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/test/e2e/rig"
)

// serve starts a `leat serve` on PostgreSQL and a bucket, with a master key.
func serve(tb testing.TB, args ...string) *rig.Node {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "master.key")
	must(tb, os.WriteFile(file, []byte(rig.Must(tb, nil, "master-key")), 0o600))
	n := rig.Serve(tb, "serve", rig.SharedBackend(tb), append([]string{"--master-key-file", file}, args...)...)
	n.Start(tb)
	return n
}

// key is a pair of AWS credentials.
type key struct{ id, secret string }

// newKey makes a key as an operator does.
func newKey(tb testing.TB, n *rig.Node, name string) key {
	tb.Helper()
	var made struct{ ID, Secret string }
	must(tb, json.Unmarshal([]byte(rig.Must(tb, n.Env(), "key", "create", name, "-o", "json")), &made))
	return key{made.ID, made.Secret}
}

// removeKey deletes it.
func removeKey(tb testing.TB, n *rig.Node, k key) {
	tb.Helper()
	rig.Must(tb, n.Env(), "key", "delete", "--yes", k.id)
}

// env gives the key to a program.
func (k key) env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + k.id, "AWS_SECRET_ACCESS_KEY=" + k.secret}
}
