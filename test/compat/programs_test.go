// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/test/e2e/rig"
)

// programLimit is for one program on a busy machine, or for npm to fetch what it needs.
const programLimit = 3 * time.Minute

// program runs one of testdata's programs to its end, and fails the test unless it ends with status 0. It sees
// nothing of the user's own AWS settings.
func program(tb testing.TB, dir, path string, args ...string) string {
	tb.Helper()
	home := tb.TempDir()
	env := []string{"HOME=" + home, "PATH=/usr/local/bin:/usr/bin:/bin", "AWS_CONFIG_FILE=" + home + "/none", "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1"}
	r := rig.Exec(tb, rig.Command{Binary: path, Args: args, Env: env, Dir: dir, Limit: programLimit})
	if r.Code != 0 {
		tb.Fatalf("%s %q: exit status %d\n%s%s", path, args, r.Code, r.Stdout, r.Stderr)
	}
	tb.Logf("%s%s", r.Stdout, r.Stderr)
	return r.Stdout
}

// Debian's AWS CLI, as a user types it.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	program(t, "", "/bin/bash", "testdata/awscli.sh", "http://"+dev(t).HTTP)
}

// Debian's boto3. Another python3 may come first in PATH.
func TestBoto3(t *testing.T) {
	t.Parallel()
	program(t, "", "/usr/bin/python3", "testdata/boto3_walk.py", "http://"+dev(t).HTTP)
}

// The SDK for JavaScript speaks HTTP/2 with prior knowledge. Its packages come from npm, or from its cache.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "js"))))
	must(t, os.RemoveAll(filepath.Join(dir, "node_modules"))) // of somebody who tried it by hand
	install := rig.Exec(t, rig.Command{
		Binary: "npm", Dir: dir, Env: os.Environ(), Limit: programLimit,
		Args: []string{"ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"},
	})
	if install.Code != 0 {
		t.Fatalf("npm ci: exit status %d\n%s%s", install.Code, install.Stdout, install.Stderr)
	}
	out := program(t, dir, "node", "walk.mjs", "http://"+dev(t).HTTP)
	if !strings.Contains(out, "NodeHttp2Handler") {
		t.Errorf("the SDK did not speak HTTP/2: %s", out)
	}
}
