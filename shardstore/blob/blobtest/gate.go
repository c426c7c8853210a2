// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"strings"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

// testGate: every driver passes the start-up gate, which leaves its marker and
// nothing else.
func testGate(t *testing.T, s blob.Store) {
	for range 2 {
		if err := blob.ProveConditionalCreate(t.Context(), []blob.Store{s, s}, "x/", blob.GateOptions{}); err != nil {
			t.Fatal(err)
		}
		all, err := keys(t.Context(), s, "")
		if err != nil || len(all) != 1 || !strings.HasPrefix(all[0], "x/gate/v1/proved-") {
			t.Fatalf("the gate left %q, %v", all, err)
		}
	}
}
