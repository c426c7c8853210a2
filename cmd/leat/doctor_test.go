// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/leatstream/leat/api/leattest"
)

// A server that runs answers in both ways that SDKs ask.
func TestDoctorOfAServer(t *testing.T) {
	s := leattest.Start(t)
	leat := leatAt(t, s.Endpoint)
	out := leat("", "doctor", "--endpoint-http", s.HTTP, "--data-dir", s.Dir).ok(t)
	for _, want := range []string{"ok      server: ready", "ok      AWS wire, HTTP/1.1, JSON: 200", "ok      AWS wire, HTTP/2, CBOR: 200", "disk fsync: median"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out := leat("", "doctor", "--endpoint-http", s.HTTP, "-o", "json").ok(t); !strings.Contains(out, `{"check":"server","grade":"ok","found":"ready"}`) {
		t.Errorf("as JSON: %s", out)
	}
}

func TestDoctorRefuses(t *testing.T) {
	leat := leatAt(t, "127.0.0.1:1")
	leat("", "doctor").refused(t, exitFailed, "say what to look at")
	leat("", "doctor", "--s3-endpoint", "http://127.0.0.1:1").refused(t, exitFailed, "s3-bucket")
	if o := leat("", "doctor", "--endpoint-http", "127.0.0.1:1"); o.code != exitFailed || !strings.Contains(o.out, "do:") || !strings.Contains(o.err, "1 bad finding") {
		t.Errorf("%+v", o)
	}
}
