// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server/audit"
)

func TestAudit(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "orders", "--shards", "2").ok(t)
	if got := leatCmd("", "audit", "list", "--operation", "CreateStream").ok(t); !strings.Contains(got, "stream/orders") || !strings.Contains(got, "OPERATION") {
		t.Errorf("got %s", got)
	}
	all := objects[auditView](t, leatCmd("", "audit", "list", "--changes", "--resource", "stream/orders", "--since", "1h", "-o", "json").ok(t))
	if len(all) == 0 || all[len(all)-1].Operation != "CreateStream" || all[len(all)-1].Outcome != "OK" || !strings.Contains(string(all[len(all)-1].After), `"shards":2`) || all[0].Edge != "grpc" {
		t.Errorf("got %+v", all)
	}
	if got := leatCmd("", "audit", "list", "--until", "1h").ok(t); strings.Contains(got, "orders") {
		t.Errorf("got %s", got)
	}
	out := leatCmd("", "audit", "export", "--principal", "dev").ok(t)
	lines := objects[audit.Exported](t, out)
	if len(lines) < len(all) || lines[0].Operation != "CreateStream" || lines[0].Source != "127.0.0.1" || strings.Contains(out, "source_ip") {
		t.Errorf("got %s", out)
	}
	old := leatCmd("", "audit", "export", "--principal", "dev", "--snake-case").ok(t)
	if was := objects[auditView](t, old); len(was) != len(lines) || was[0].Source != "127.0.0.1" || was[0].ID != lines[0].ID {
		t.Errorf("with the former names: %s", old)
	}
	leatCmd("", "audit", "list", "--since", "yesterday").refused(t, 1, "--since", "24h")
}
