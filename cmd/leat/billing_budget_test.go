// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
)

// TestBudgets shows that a budget that throttles refuses puts, and that raising it lifts that.
func TestBudgets(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "orders", "--shards", "1").ok(t)
	leatCmd("", "put", "orders", "before").ok(t)
	leatCmd("", "billing", "credit", "5", "setting up", "--charge").ok(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-of-the-hook\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	leatCmd("", "billing", "budget", "set", "all", "--amount", "1", "--webhook", "http://127.0.0.1:1/").refused(t, 1, "webhook")
	made := objects[budgetView](t, leatCmd("", "billing", "budget", "set", "all", "--amount", "1", "--throttle", "--webhook", "http://127.0.0.1:1/", "--webhook-secret-file", secret, "-o", "json").ok(t))[0]
	if !made.Exceeded || made.Spent != "5" || !made.Throttle || len(made.Alerts) != 2 || !made.Locked {
		t.Errorf("got %+v", made)
	}
	leatCmd("", "put", "orders", "x").refused(t, 1, "budget all", "Raise the budget")
	leatCmd("", "get", "orders", "--from", "trim-horizon").ok(t) // reads go on
	if got := leatCmd("", "billing", "budget", "list").ok(t); !strings.Contains(got, "REFUSED") || !strings.Contains(got, "everything") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "billing", "budget", "set", "all", "--amount", "5", "--throttle").ok(t)
	leatCmd("", "put", "orders", "after").ok(t)
	leatCmd("", "billing", "budget", "set", "part", "--amount", "1", "--stream", "nowhere").refused(t, 1, "nowhere")
	leatCmd("", "billing", "budget", "delete", "all").ok(t)
	leatCmd("", "billing", "budget", "delete", "all").refused(t, 1, "all")
}
