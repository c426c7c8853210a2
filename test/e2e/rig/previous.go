// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/leatstream/leat/internal/testproc"
)

// previousEnv names a binary of the previous release instead of building one.
const previousEnv = "LEAT_PREVIOUS_BIN"

//go:embed previous.txt
var previousText string

// errNoHistory says that there is no repository to build the previous release from, as in an unpacked archive of the sources.
var errNoHistory = errors.New("rig: these sources have no git history, from which the previous release is built: name a binary of it in " + previousEnv)

// previous is the binary of the previous release, for as long as the test binary lives.
var previous = sync.OnceValues(buildPrevious)

// Previous returns the path of a leat of the previous release, which it builds from the history at the first call. Where the
// sources came without a history it skips the test.
func Previous(tb testing.TB) string {
	tb.Helper()
	b, err := previous()
	if errors.Is(err, errNoHistory) {
		tb.Skipf("NOT CHECKED: %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b.path
}

func buildPrevious() (_ *binary, err error) {
	if path := os.Getenv(previousEnv); path != "" {
		path, err := filepath.Abs(path)
		return &binary{path: path}, err
	}
	version, tree, err := parsePrevious(previousText)
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("rig: find the module: %w", err)
	}
	top := strings.TrimSpace(string(root))
	if _, err := os.Stat(filepath.Join(top, ".git")); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoHistory
	}
	sources := exec.Command("git", "-C", top, "archive", tree)
	var said bytes.Buffer
	sources.Stderr = &said
	archive, err := sources.Output()
	if err != nil {
		return nil, fmt.Errorf("rig: this clone does not have %s, tree %s of previous.txt (git fetch --unshallow brings the whole history; %s names a binary instead): %w\n%s", version, tree, previousEnv, err, said.String())
	}
	dir, err := testproc.TempDir("leat-previous-")
	if err != nil {
		return nil, fmt.Errorf("rig: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dir.Remove())
		}
	}()
	from := filepath.Join(dir.Path, "src")
	if err := os.Mkdir(from, 0o700); err != nil {
		return nil, fmt.Errorf("rig: %w", err)
	}
	unpack := exec.Command("tar", "-x", "-C", from)
	unpack.Stdin = bytes.NewReader(archive)
	if out, err := unpack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("rig: unpack %s: %w\n%s", version, err, out)
	}
	path := filepath.Join(dir.Path, "leat")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+version, "-o", path, "./cmd/leat")
	cmd.Dir = from
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("rig: build %s: %w\n%s", version, err, out)
	}
	return &binary{path, dir}, os.RemoveAll(from)
}

// parsePrevious reads "VERSION TREE" below comments.
func parsePrevious(text string) (version, tree string, err error) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && !strings.HasPrefix(line, "#") {
			return f[0], f[1], nil
		}
	}
	return "", "", errors.New("rig: previous.txt names no version and tree")
}
