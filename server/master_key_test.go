// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/masterkey"
)

func TestDevMasterKeyIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	first, err := devMasterKeys(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, masterKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	again, err := devMasterKeys(dir, rand.Reader)
	if err != nil || again.ID() != first.ID() {
		t.Errorf("at the next start: %s, want %s; %v", again.ID(), first.ID(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, masterKeyFile), []byte("leat-master-key-1:no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := devMasterKeys(dir, rand.Reader); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Errorf("a damaged file: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestServeMasterKeys(t *testing.T) {
	line := masterkey.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, masterkey.KeyBytes)))
	file, empty := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "empty")
	for path, text := range map[string]string{file: "# ours\n" + line, empty: ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if ring, err := (&ServeConfig{}).masterKeys(slog.New(slog.DiscardHandler)); ring != nil || err != nil {
		t.Errorf("none: %v, %v", ring, err)
	}
	for _, c := range []ServeConfig{{MasterKeyFile: file}, {MasterKey: line}} {
		if ring, err := c.masterKeys(slog.New(slog.DiscardHandler)); err != nil || ring.ID() == "" {
			t.Errorf("%v", err)
		}
	}
	for _, c := range []ServeConfig{{MasterKeyFile: file + ".gone"}, {MasterKeyFile: empty}, {MasterKey: strings.ToUpper(line)}} {
		if _, err := c.masterKeys(slog.New(slog.DiscardHandler)); leat.KindOf(err) != leat.KindInvalidArgument || strings.Contains(err.Error(), strings.SplitAfter(line, ":")[1]) {
			t.Errorf("%v", err)
		}
	}
	both := ServeConfig{MasterKeyFile: file, MasterKey: line}
	if err := both.Validate(); err == nil || !strings.Contains(err.Error(), "give one of them") || strings.Contains(err.Error(), line) {
		t.Errorf("both: %v", err)
	}
}

// A key that others may read is told of, and used.
func TestMasterKeyThatOthersMayRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(file, []byte(masterkey.Generate(rand.Reader)), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o440: false, 0o644: true, 0o604: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		ring, err := (&ServeConfig{MasterKeyFile: file}).masterKeys(slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil || ring == nil || strings.Contains(log.String(), "may read the master key") != warned {
			t.Errorf("%s: %v, and it says %q", mode, err, log.String())
		}
	}
}
