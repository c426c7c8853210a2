// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
)

func TestAccountsRolesAndTokens(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	const id = "111111111111"
	made := objects[accountView](t, leatCmd("", "account", "create", "Search team", "--id", id, "--label", "cost=42", "-o", "json").ok(t))[0]
	if made.ID != id || made.Name != "Search team" || made.State != "ACTIVE" || made.Labels["cost"] != "42" {
		t.Errorf("got %+v", made)
	}
	leatCmd("", "account", "create", "again", "--id", id).refused(t, 1, id)
	if got := leatCmd("", "account", "create", "any").ok(t); !regexp.MustCompile(`(?m)^[1-9][0-9]{11}\s+any\s+ACTIVE`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	if got := leatCmd("", "account", "list").ok(t); !strings.Contains(got, "000000000000") || !strings.Contains(got, "cost=42") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "stream", "list", "--account", "999999999999").refused(t, 1, "999999999999", "leat account list")

	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kinesis:List*","kinesis:Describe*"],"Resource":"*"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	leatCmd("", "role", "put", "reader", "--policy", policy, "--account", id, "--tag", "team=search").ok(t)
	leatCmd(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"x","Resource":"*"}}`, "role", "put", "bad", "--policy", "-", "--account", id).refused(t, 1, "SERVICE:NAME")
	if got := leatCmd("", "role", "describe", "reader", "--account", id).ok(t); !strings.Contains(got, "kinesis:List*") {
		t.Errorf("got %s", got)
	}
	if got := leatCmd("", "role", "list").ok(t); strings.Contains(got, "reader") {
		t.Errorf("another account's role: %s", got)
	}

	m := regexp.MustCompile(`^export LEAT_TOKEN=(leat_[A-Z2-7]{16}_[A-Za-z0-9_-]{43})\n$`).FindStringSubmatch(leatCmd("", "token", "create", "ci", "--role", "reader", "--account", id).ok(t))
	if m == nil {
		t.Fatal("no token")
	}
	leatCmd("", "stream", "create", "orders", "--shards", "1", "--account", id).ok(t)
	if got := leatCmd("", "stream", "list", "--token", m[1]).ok(t); !strings.Contains(got, "orders") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "stream", "create", "s", "--token", m[1]).refused(t, 1, "kinesis:CreateStream", "role/reader")
	leatCmd("", "account", "list", "--token", m[1]).refused(t, 1, "the server's own token")
	leatCmd("", "role", "delete", "reader", "--account", id).refused(t, 1, "reader")
	tokens := objects[tokenView](t, leatCmd("", "token", "list", "--account", id, "-o", "json").ok(t))
	if len(tokens) != 1 || tokens[0].Role != "reader" || tokens[0].Secret != "" {
		t.Fatalf("got %+v", tokens)
	}
	leatCmd("", "token", "delete", tokens[0].ID, "--account", id).refused(t, 1, "--yes")
	leatCmd("", "token", "delete", tokens[0].ID, "--account", id, "-y").ok(t)
	leatCmd("", "stream", "list", "--token", m[1]).refused(t, 1, "--token")
	leatCmd("", "role", "delete", "reader", "--account", id).ok(t)

	if got := leatCmd("", "account", "quotas", id, "--streams", "1", "--retention-hours", "48").ok(t); !regexp.MustCompile(`(?m)^streams\s+1$`).MatchString(got) || !regexp.MustCompile(`(?m)^retention_hours\s+48$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	if got := leatCmd("", "account", "quotas", id, "--shards", "7").ok(t); !regexp.MustCompile(`(?m)^streams\s+1$`).MatchString(got) || !regexp.MustCompile(`(?m)^bytes_in\s+default$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
	leatCmd("", "stream", "create", "more", "--shards", "1", "--account", id).refused(t, 1, "the quota streams of account "+id)

	if got := leatCmd("", "account", "disable", id).ok(t); !strings.Contains(got, "DISABLED") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "account", "delete", id).refused(t, 1, "--yes")
	leatCmd("", "account", "delete", id, "-y").refused(t, 1, "1 streams")
	leatCmd("", "account", "delete", id, "-y", "--erase").ok(t)
	leatCmd("", "account", "delete", "000000000000", "-y").refused(t, 1, "000000000000")
}
