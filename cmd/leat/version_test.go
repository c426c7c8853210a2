// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	leat := leatAt(t, "127.0.0.1:1")
	if out := leat("", "version").ok(t); out != "leat "+version+" ("+runtime.Version()+", "+runtime.GOOS+"/"+runtime.GOARCH+")\n" {
		t.Errorf("%q", out)
	}
	if out := leat("", "version", "-o", "json", "--modules").ok(t); !strings.Contains(out, `"google.golang.org/grpc":"v`) || !strings.Contains(out, `"version":"`+version+`"`) {
		t.Errorf("%s", out)
	}
}
