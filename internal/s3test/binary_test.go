// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Where the harness looks and where the script installs is one rule in two
// languages.
func TestBinaryIsWhereTheScriptInstalls(t *testing.T) {
	want, err := findBinary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("../../tools/install.sh", "minio").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := filepath.Join(strings.TrimSpace(string(out)), "minio"); got != want {
		t.Errorf("installed at %s, looked for at %s", got, want)
	}
}

func TestToolsDir(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"LEAT_TOOLS": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"},
		{map[string]string{"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/leat/tools"},
		{map[string]string{"HOME": "/c"}, "/c/.cache/leat/tools"},
		{nil, ""},
	} {
		got, err := toolsDir(func(k string) string { return tc.env[k] })
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("toolsDir(%v) = %q, %v; want %q", tc.env, got, err, tc.want)
		}
	}
}

func TestPinned(t *testing.T) {
	root := t.TempDir()
	below := filepath.Join(root, "x", "y")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := pinned(below, "minio"); err == nil {
		t.Error("no versions file, and no error")
	}
	if err := os.Mkdir(filepath.Join(root, "tools"), 0o700); err != nil {
		t.Fatal(err)
	}
	list := "# minio of a comment\nminiox example.com/miniox v9\nminio  example.com/minio  v1.2.3\n"
	if err := os.WriteFile(filepath.Join(root, versionsFile), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := pinned(below, "minio"); got != "v1.2.3" || err != nil {
		t.Errorf("pinned = %q, %v", got, err)
	}
	if _, err := pinned(below, "mini"); err == nil {
		t.Error("a tool that is not listed, and no error")
	}
}

func TestMissingBinarySaysWhatToDo(t *testing.T) {
	_, err := installed(filepath.Join(t.TempDir(), "minio"))
	if err == nil || !strings.Contains(err.Error(), "make test") {
		t.Errorf("installed = %v, want a hint at make test", err)
	}
}
