// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestConfigFile(t *testing.T) {
	file := func(text string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "leat.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	serve := leatAt(t, "127.0.0.1:1")
	good := "postgres: postgres://127.0.0.1:1/x\ns3-endpoint: [http://127.0.0.1:1]\ns3-bucket: b\nprofile: cost\n"
	serve("", "serve", "--config", file(good+"grpc-addr: nowhere\n")).refused(t, 2, "--grpc-addr nowhere")
	serve("", "serve", "--config", file(good+"grpc-addr: nowhere\n"), "--grpc-addr", "elsewhere").refused(t, 2, "--grpc-addr elsewhere")
	serve("", "serve", "--config", file(good+"grpc_addr: x\n")).refused(t, 2, "grpc_addr is no setting")
	serve("", "serve", "--config", file(good+"profile: fast\n")).refused(t, 2, "profile")
	serve("", "serve", "--config", file(good+"shards: 3\n")).refused(t, 2, "shards is no setting") // another command's flag
	serve("", "serve", "--config", file("a: [")).refused(t, 2, "configuration file", "leat.yaml")
	serve("", "serve", "--config", "/nowhere/leat.yaml").refused(t, 2, "/nowhere/leat.yaml")
	t.Setenv("LEAT_GRPC_ADDR", "elsewhere")
	serve("", "serve", "--config", file(good+"grpc-addr: nowhere\n")).refused(t, 2, "--grpc-addr elsewhere")
}
