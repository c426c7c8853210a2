// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/test/e2e/rig"
)

const root = "../.."

// run are the documents whose commands are run.
var run = []string{
	"README.md",
	"docs/getting-started.md",
	"docs/producers.md",
	"docs/consumers.md",
	"docs/resharding.md",
	"docs/migrating.md",
	"docs/on-demand.md",
	"docs/operating.md",
	"docs/encryption.md",
	"docs/billing.md",
	"docs/scale.md",
	"docs/security.md",
}

// before is what a reader of a document has done before: the streams that it speaks of are there.
var before = map[string]string{
	"docs/billing.md":  "leat stream create orders --shards 1; echo a-secret-of-the-webhook >secret.txt",
	"docs/scale.md":    "leat stream create orders --shards 2",
	"docs/security.md": "leat stream create orders --shards 1; leat stream encrypt orders; leat account create 'Search team' --id 111111111111",
}

// notRun are the documents whose commands are not run here, and why.
var notRun = map[string]string{
	"docs/clients.md":     "its blocks are run by test/compat",
	"docs/performance.md": "measures a machine for minutes",
	"docs/rebuild.md":     "needs a lost database; test/e2e rebuilds one",
	"docs/reliability.md": "breaks things for minutes",
	"deploy/README.md":    "needs Docker and Kubernetes; test/deploy and test/manifests check what it starts",
}

// block is one ```sh block.
type block struct {
	line   int
	text   string
	why    string // it is not run
	output string // of the ```text block after it; lines that its output must have, in this order
}

var (
	marker = regexp.MustCompile(`^<!-- not run: (.{10,}) -->$`)
	fence  = "```"
)

// blocks reads a document.
func blocks(t *testing.T, name string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	inside := func(from int) (string, int) {
		end := slices.Index(lines[from:], fence)
		if end < 0 {
			t.Fatalf("%s:%d: the block does not end", name, from)
		}
		return strings.Join(lines[from:from+end], "\n"), from + end
	}
	before, at := "", -1 // the line before, and the block that a text block would belong to
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		switch {
		case line == fence+"sh":
			b := block{line: i + 1}
			b.text, i = inside(i + 1)
			if m := marker.FindStringSubmatch(before); m != nil {
				b.why = m[1]
			}
			all = append(all, b)
			at = len(all) - 1
		case line == fence+"text" && at >= 0:
			all[at].output, i = inside(i + 1)
			at = -1
		case strings.HasPrefix(line, fence):
			_, i = inside(i + 1)
			at = -1
		case line != "":
			before, at = line, -1
		}
	}
	return all
}

// TestCommandsInDocumentsRun runs the sh blocks of each document in one shell, but for those that a comment before them excepts with a
// reason (<!-- not run: needs … -->), and looks for the output that a text block right after one shows.
func TestCommandsInDocumentsRun(t *testing.T) {
	leat := rig.Binary(t)
	for _, name := range run {
		t.Run(name, func(t *testing.T) {
			all := blocks(t, name)
			if len(all) == 0 {
				t.Fatal("it has no sh block: take it off the list")
			}
			dir := t.TempDir()
			n := rig.Dev(t, "dev", filepath.Join(dir, "leat-data"))
			n.Start(t)
			home(t, dir, leat)
			var script strings.Builder
			fmt.Fprintf(&script, "{\n%s\n} >out.before 2>&1 </dev/null\n", cmp.Or(before[name], ":"))
			for i, b := range all {
				if b.why == "" {
					fmt.Fprintf(&script, "echo %d >block\n{\n%s\n} >out.%d 2>err.%d </dev/null\n", i, b.text, i, i)
				}
			}
			text := strings.NewReplacer("127.0.0.1:4567", n.HTTP, "127.0.0.1:4568", n.GRPC, "/var/log/dpkg.log*", "dpkg.log").Replace(script.String())
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			if out, err := shell(ctx, dir, text, "LEAT_ENDPOINT="+n.GRPC, "LEAT_ENDPOINT_HTTP=http://"+n.HTTP); err != nil {
				i := 0
				if _, err := fmt.Sscan(read(t, dir, "block"), &i); err != nil {
					t.Fatalf("%s: what goes before it failed:\n%s", name, read(t, dir, "out.before"))
				}
				t.Fatalf("%s:%d: %v\n%s\n%s%s%s", name, all[i].line, err, all[i].text, read(t, dir, fmt.Sprintf("out.%d", i)), read(t, dir, fmt.Sprintf("err.%d", i)), out)
			}
			for i, b := range all {
				if b.why == "" {
					shows(t, name, b, read(t, dir, fmt.Sprintf("out.%d", i)))
				} else if b.output != "" {
					t.Errorf("%s:%d: the block is not run, and output is shown", name, b.line)
				}
			}
		})
	}
}

// shell runs a script in a folder that home made, and ends whatever it has started.
func shell(ctx context.Context, dir, script string, env ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = slices.Concat(env, []string{
		"HOME=" + dir, "PATH=" + filepath.Join(dir, "path") + ":/usr/bin:/bin", "TERM=dumb", "LANG=C.UTF-8",
		"AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1",
	})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.CombinedOutput()
}

// home makes the folder that a reader would be in: the clone, with bin/leat, and leat in the path.
func home(t *testing.T, dir, leat string) {
	t.Helper()
	api, err := filepath.Abs(filepath.Join(root, "api"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"bin", "path"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"bin/leat": leat, "path/leat": leat, "api": api} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	for i := range 300 {
		fmt.Fprintf(&log, "2026-11-20 10:%02d:%02d %s package-%d:amd64 1.%d\n", i/60, i%60, []string{"install", "configure", "status"}[i%3], i, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "dpkg.log"), []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// shows fails the test unless the output has the lines that the document shows, in their order; … stands for anything.
func shows(t *testing.T, name string, b block, out string) {
	t.Helper()
	left := strings.Split(out, "\n")
	for line := range strings.SplitSeq(b.output, "\n") {
		if line == "" {
			continue
		}
		want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "$")
		at := slices.IndexFunc(left, want.MatchString)
		if at < 0 {
			t.Errorf("%s:%d: the output is\n%s\nand does not go on with %q", name, b.line, out, line)
			return
		}
		left = left[at+1:]
	}
}

// TestEveryDocumentIsOnAList has the commands of new documents run, or the reason told why not.
func TestEveryDocumentIsOnAList(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*.md", "api/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 30 {
		t.Fatalf("%d documents", len(files))
	}
	var withCommands []string
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks(t, name)) == 0 {
			continue
		}
		withCommands = append(withCommands, name)
		if !slices.Contains(run, name) && notRun[name] == "" {
			t.Errorf("%s has commands: add it to run, or to notRun with the reason", name)
		}
	}
	for name := range notRun {
		if !slices.Contains(withCommands, name) {
			t.Errorf("%s has no commands: take it off notRun", name)
		}
	}
}
