// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func fakeServer(t *testing.T, bin string) string {
	t.Helper()
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(bin, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestFindBinTakesTheNewest(t *testing.T) {
	root := t.TempDir()
	fakeServer(t, filepath.Join(root, "9", "bin"))
	want := fakeServer(t, filepath.Join(root, "15", "bin"))
	clientOnly := filepath.Join(root, "17", "bin") // psql without a server
	if err := os.MkdirAll(clientOnly, 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := findBin("", filepath.Join(root, "*", "bin"))
	if err != nil || got != want {
		t.Errorf("findBin = %q, %v; want %q", got, err, want)
	}
}

func TestFindBinSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	empty := t.TempDir()
	if _, err := findBin("", filepath.Join(empty, "*", "bin")); err == nil || !strings.Contains(err.Error(), "make test") {
		t.Errorf("nothing installed: %v, want a hint at make test", err)
	}
	if _, err := findBin(empty, debianBins); err == nil || !strings.Contains(err.Error(), binEnv) {
		t.Errorf("an empty configured folder: %v, want its variable named", err)
	}
}

func TestRunAsDropsRootOnly(t *testing.T) {
	if u, err := runAs(1000); u != nil || err != nil {
		t.Errorf("runAs(1000) = %v, %v", u, err)
	}
	if u, err := runAs(0); err != nil || u.UID == 0 || u.GID == 0 {
		t.Errorf("runAs(0) = %v, %v", u, err)
	}
}
