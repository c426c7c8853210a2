// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/aws/aws-sdk-go-v2/config" // of the Go program in docs/clients.md, which go mod tidy does not see

	"github.com/leatstream/leat/test/e2e/rig"
)

// programLimit is for one program on a busy machine, or for npm to fetch what it needs.
const programLimit = 3 * time.Minute

// program runs somebody's program to its end, and fails the test unless it ends with status 0. It sees nothing of the
// user's own AWS settings.
func program(tb testing.TB, dir string, env []string, path string, args ...string) string {
	tb.Helper()
	home := tb.TempDir()
	env = append([]string{"HOME=" + home, "PATH=/usr/local/bin:/usr/bin:/bin", "AWS_CONFIG_FILE=" + home + "/none", "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1"}, env...)
	return run(tb, rig.Command{Binary: path, Args: args, Env: env, Dir: dir})
}

func run(tb testing.TB, c rig.Command) string {
	tb.Helper()
	c.Limit = programLimit
	r := rig.Exec(tb, c)
	if r.Code != 0 {
		tb.Fatalf("%s %q: exit status %d\n%s%s", c.Binary, c.Args, r.Code, r.Stdout, r.Stderr)
	}
	tb.Logf("%s%s", r.Stdout, r.Stderr)
	return r.Stdout
}

// Debian's AWS CLI, as a user types it.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	program(t, "", nil, "/bin/bash", "testdata/awscli.sh", "http://"+dev(t).HTTP)
}

// Debian's boto3. Another python3 may come first in PATH.
func TestBoto3(t *testing.T) {
	t.Parallel()
	t.Run("dev", func(t *testing.T) {
		program(t, "", nil, "/usr/bin/python3", "testdata/boto3_walk.py", "http://"+dev(t).HTTP)
	})
	t.Run("serve", func(t *testing.T) {
		n := serve(t, "--shard-limits", "off")
		program(t, "", newKey(t, n, "boto3").env(), "/usr/bin/python3", "testdata/boto3_walk.py", "http://"+n.HTTP)
	})
}

// The SDK for JavaScript speaks HTTP/2 with prior knowledge, and signs :authority where others sign host.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	dir := javaScript(t)
	walk := func(t *testing.T, endpoint string, env ...string) {
		t.Helper()
		out := program(t, dir, env, "node", "walk.mjs", endpoint)
		if !strings.Contains(out, "NodeHttp2Handler") {
			t.Errorf("the SDK did not speak HTTP/2: %s", out)
		}
	}
	t.Run("dev", func(t *testing.T) { walk(t, "http://"+dev(t).HTTP) })
	t.Run("serve", func(t *testing.T) {
		n := serve(t, "--shard-limits", "off")
		walk(t, "http://"+n.HTTP, newKey(t, n, "js").env()...)
	})
	t.Run("TLS", func(t *testing.T) {
		n, ca, _ := devTLS(t)
		walk(t, "https://"+n.HTTP, "NODE_EXTRA_CA_CERTS="+ca)
	})
}

// javaScript makes a folder with testdata/js and its packages, which come from npm or from its cache.
func javaScript(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "walk.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata", "js", name))
		must(tb, err)
		must(tb, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	run(tb, rig.Command{
		Binary: "npm", Dir: dir, Env: os.Environ(),
		Args: []string{"ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"},
	})
	return dir
}

// What docs/clients.md calls tested works as it stands there, on a stream that was made as it says.
func TestClientsDoc(t *testing.T) {
	t.Parallel()
	n := dev(t)
	rig.Must(t, n.Env(), "stream", "create", "events", "--shards", "2")
	active(t, client(t, n), "events")
	doc := page(t, "clients.md")
	for heading, e := range map[string]struct {
		file string
		run  func(*testing.T, string) string
		says string
	}{
		"AWS CLI": {"put.sh", func(t *testing.T, path string) string { return program(t, "", nil, "/bin/bash", "-eu", path) }, "aGVsbG8gZnJvbSB0aGUgY29tbWFuZCBsaW5l"},
		"Go": {"main.go", func(t *testing.T, path string) string {
			return run(t, rig.Command{Binary: "go", Args: []string{"run", path}, Env: os.Environ()})
		}, "hello from Go"},
		"Python": {"put.py", func(t *testing.T, path string) string { return program(t, "", nil, "/usr/bin/python3", path) }, "hello from Python"},
		"JavaScript": {"put.mjs", func(t *testing.T, path string) string {
			dir := javaScript(t)
			must(t, os.Rename(path, filepath.Join(dir, "put.mjs")))
			return program(t, dir, nil, "node", "put.mjs")
		}, "hello from JavaScript"},
	} {
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			section := doc.section(t, heading)
			if !strings.Contains(section, "**tested**") {
				t.Errorf("%s is tested and does not say so", heading)
			}
			_, code, found := strings.Cut(section, "\n```")
			code, _, closed := strings.Cut(code, "\n```")
			_, code, named := strings.Cut(code, "\n")
			if !found || !closed || !named || !strings.Contains(code, "http://127.0.0.1:4567") {
				t.Fatalf("%s has no code with an endpoint", heading)
			}
			path := filepath.Join(t.TempDir(), e.file)
			must(t, os.WriteFile(path, []byte(strings.ReplaceAll(code, "http://127.0.0.1:4567", "http://"+n.HTTP)), 0o600))
			if out := e.run(t, path); !strings.Contains(out, e.says) {
				t.Errorf("it prints %q", out)
			}
		})
	}
	if says, run := strings.Count(string(doc), "\n**tested**"), 4; says != run {
		t.Errorf("%d sections say that they are tested, %d are run", says, run)
	}
}
