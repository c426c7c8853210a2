// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/leatstream/leat/internal/testproc"
)

// binEnv names a binary to test instead of building one: one built with -race, or a release.
const binEnv = "LEAT_BIN"

// LinkerFlags are what the binary is linked with, beside the usual. They are set before anything is built.
var LinkerFlags string

// built is the binary of this test binary. It is a package variable because nothing else lives as long as the test
// binary does.
var built = sync.OnceValues(build)

// binary is a built leat.
type binary struct {
	path string
	dir  *testproc.Dir // is removed when nobody holds it
}

// Binary returns the path of the leat binary, and builds it at the first call.
func Binary(tb testing.TB) string {
	tb.Helper()
	b, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return b.path
}

func build() (*binary, error) {
	if path := os.Getenv(binEnv); path != "" {
		path, err := filepath.Abs(path)
		return &binary{path: path}, err
	}
	dir, err := testproc.TempDir("leat-bin-")
	if err != nil {
		return nil, fmt.Errorf("rig: %w", err)
	}
	path := filepath.Join(dir.Path, "leat")
	cmd := exec.Command("go", "build", "-ldflags", LinkerFlags, "-o", path, "github.com/leatstream/leat/cmd/leat")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("rig: build leat: %w\n%s", err, out)
	}
	return &binary{path, dir}, nil
}
