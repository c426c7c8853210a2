// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/server"
)

// configText writes a configuration file.
func configText(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "leat.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestConfigFile(t *testing.T) {
	file := func(text string) string { return configText(t, text) }
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

// The file that LEAT_CONFIG names is that of the servers alone, and gives way to the one on the command line.
func TestConfigFileOfTheEnvironment(t *testing.T) {
	t.Setenv("LEAT_CONFIG", configText(t, "region: of-the-environment\ns3-bucket: records\ns3-secret-key: hunter2\n"))
	parsed := func(args ...string) (c cli) {
		t.Helper()
		if _, err := newParser(&c).Parse(args); err != nil {
			t.Fatalf("leat %q: %v", args, err)
		}
		return c
	}
	if c := parsed("dev", "--grpc-addr", "127.0.0.1:1"); c.Dev.Region != "of-the-environment" || c.Dev.GRPCAddr != "127.0.0.1:1" {
		t.Errorf("leat dev has the region %s and listens on %s", c.Dev.Region, c.Dev.GRPCAddr)
	}
	if c := parsed("dev", "--config", configText(t, "region: of-the-flag\n")); c.Dev.Region != "of-the-flag" {
		t.Errorf("leat dev --config has the region %s", c.Dev.Region)
	}
	if c := parsed("doctor"); c.Doctor.S3.Bucket != "" || c.Doctor.S3.SecretKey != "" {
		t.Errorf("leat doctor looks at the bucket %s", c.Doctor.S3.Bucket)
	}
	for _, unusable := range []string{"", "/nowhere/leat.yaml"} {
		t.Setenv("LEAT_CONFIG", unusable)
		parsed("health")
		leatAt(t, "127.0.0.1:1")("", "dev").refused(t, 2, "that this process may read")
	}
}

// The commands that work on what the servers stand on take the servers' file, when it is given to them.
func TestServersFile(t *testing.T) {
	file := configText(t, "postgres: postgres://127.0.0.1:1/x\ns3-endpoint: [http://127.0.0.1:1]\ns3-bucket: records\ns3-access-key: of-the-file\nprofile: cost\n")
	t.Setenv("LEAT_S3_ACCESS_KEY", "of-the-environment")
	var c cli
	for command, s3 := range map[string]*server.S3{
		"doctor": &c.Doctor.S3, "fsck": &c.Fsck.S3, "rebuild": &c.Rebuild.S3, "restore latest": &c.Restore.S3, "backup": &c.Backup.Create.S3, "backup list": &c.Backup.List.S3,
		"backup verify latest": &c.Backup.Verify.S3, "billing verify --from 2026-11-01 --to 2026-11-02": &c.Billing.Verify.S3,
	} {
		c = cli{}
		if _, err := newParser(&c).Parse(append(strings.Fields(command), "--config", file)); err != nil {
			t.Errorf("leat %s: %v", command, err)
		}
		if len(s3.Endpoint) != 1 || s3.Bucket != "records" || s3.AccessKey != "of-the-environment" {
			t.Errorf("leat %s has the bucket %+v", command, *s3)
		}
	}
	leat := leatAt(t, "127.0.0.1:1")
	leat("", "rebuild", "--config", file).refused(t, exitFailed, "s3-endpoint") // nothing answers there
	leat("", "doctor", "--config", configText(t, "endpoint-http: http://127.0.0.1:1\n")).refused(t, exitUsage, "endpoint-http is no setting")
}
