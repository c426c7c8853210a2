// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/server"
)

// wrong is a value that a setting does not take, and the refusal of it.
type wrong struct {
	value  string
	beside map[string]string // further settings
	remedy string            // what the refusal says to do
	hidden bool              // the value is, or holds, a secret, and MUST NOT be shown
	only   string            // the command, when it is wrong for one of the two
}

// bounded are the bounds of a setting, as its tag takes says them.
var bounded = regexp.MustCompile(`^\d+\w* to \d+\w*$`)

// secret is in values that no refusal shows.
const secret = "hunter2hunter2"

// anyValue are the settings that take any value, and why.
var anyValue = map[string]string{
	"oidc-name-claim": "providers may name a claim as they like, and a token without it has a caller without that name",
}

// with is some settings and one more.
func with(beside map[string]string, name, value string) map[string]string {
	more := maps.Clone(beside)
	more[name] = value
	return more
}

// wrongSettings holds wrong values of every setting of `leat dev` and `leat serve`.
func wrongSettings(t *testing.T) map[string][]wrong {
	t.Helper()
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	used := taken.Addr().String()
	const readable, address = "that this process may read", "give HOST:PORT"
	door := []wrong{
		{value: "nowhere", remedy: address},
		{value: "", remedy: address},
		{value: "leat.example.com:4567", remedy: "give an IP address or localhost"},
		{value: "127.0.0.1:65536", remedy: "give a port from 0 to 65535"},
		{value: used, remedy: "stop what uses it, or choose another port"},
		{value: "0.0.0.0:0", remedy: "use leat serve for others", only: "dev"},
	}
	pem := map[string]string{"tls-cert": junk, "tls-key": junk, "share-shards": "false"}
	idp := map[string]string{"oidc-issuer": "https://idp.example.com", "oidc-audience": "leat"}
	granted := with(idp, "oidc-grant", "team=search:operator")
	client := with(granted, "oidc-client-id", "console")
	signIn := with(client, "oidc-redirect-url", "https://leat.example.com/console/signin/oidc/callback")
	traced := map[string]string{"otlp-endpoint": "https://127.0.0.1:1"}
	peers := map[string]string{"peer-addr": "127.0.0.1:0", "peer-tls-cert": junk, "peer-tls-key": junk, "peer-tls-ca": junk}
	return map[string][]wrong{
		"config":              {{value: missing, remedy: readable}, {value: junk, remedy: "write them as name: value"}, {value: filepath.Dir(junk), remedy: readable}},
		"http-addr":           door,
		"grpc-addr":           door,
		"region":              {{value: "EU west", remedy: "give a name such as us-east-1"}},
		"memory-mib":          {{value: "8", remedy: "give 16 to 1048576, or 0"}, {value: "1048577", remedy: "give 16 to 1048576"}, {value: "much", remedy: "expected a valid 64 bit int"}},
		"pack-every":          {{value: "10ms", remedy: "give 1s to 1h"}, {value: "2h", remedy: "give 1s to 1h"}, {value: "often", remedy: "expected duration"}},
		"log-level":           {{value: "loud", remedy: "must be one of"}},
		"log-format":          {{value: "xml", remedy: "must be one of"}},
		"shard-limits":        {{value: "some", remedy: "must be one of"}},
		"scale-limits":        {{value: "some", remedy: "must be one of"}},
		"on-demand-scaling":   {{value: "maybe", remedy: "must be one of"}},
		"transition-delay":    {{value: "1ms", remedy: "give 20ms to 1m"}, {value: "2m", remedy: "give 20ms to 1m"}},
		"delivery-memory-mib": {{value: "1", remedy: "give 64 to 1048576"}, {value: "1048577", remedy: "give 64 to 1048576"}},
		"price-book":          {{value: "free", remedy: "give a YAML file, or a name"}, {value: junk, remedy: "leat billing prices check"}},
		"audit-retention":     {{value: "1h", remedy: "give 24h to 87600h"}, {value: "90000h", remedy: "give 24h to 87600h"}},
		"read-only":           {{value: "perhaps", remedy: "bool value must be true"}},
		"tls-cert":            {{value: junk, remedy: "give both --tls-cert and --tls-key"}, {value: missing, beside: pem, remedy: "give a certificate and its key"}, {value: junk, beside: pem, remedy: "give a certificate and its key"}},
		"tls-key":             {{value: junk, remedy: "give both --tls-cert and --tls-key"}, {value: missing, beside: pem, remedy: "give a certificate and its key"}},
		"tls-client-ca":       {{value: junk, remedy: "give --tls-cert and --tls-key too"}},
		"tls-min-version":     {{value: "1.1", remedy: "must be one of"}},
		"oidc-issuer":         {{value: "http://idp.example.com", beside: idp, remedy: "must be an https:// URL"}, {value: "", beside: idp, remedy: "give the URL of the provider"}},
		"oidc-audience":       {{value: "", beside: idp, remedy: "give the audience"}},
		"oidc-grant":          {{value: "admins", beside: idp, remedy: "must be CLAIM=VALUE:ACCOUNT"}, {value: "team=search:12/reader", beside: idp, remedy: "must be CLAIM=VALUE:ACCOUNT"}},
		"oidc-account-claim":  {{value: "account", beside: idp, remedy: "give both --oidc-account-claim and --oidc-role-claim"}},
		"oidc-role-claim":     {{value: "role", beside: idp, remedy: "give both --oidc-account-claim and --oidc-role-claim"}},
		"oidc-client-id":      {{value: "", beside: signIn, remedy: "give the id of the client"}},
		"oidc-client-secret":  {{value: secret, beside: granted, remedy: "give --oidc-client-id too", hidden: true}},
		"oidc-redirect-url":   {{value: "https://leat.example.com/console", beside: client, remedy: "give https://HOST/console/signin/oidc/callback"}, {value: "http://leat.example.com/console/signin/oidc/callback", beside: client, remedy: "give https://HOST"}, {value: "", beside: client, remedy: "give https://HOST"}},
		"oidc-scope":          {{value: "email groups", beside: signIn, remedy: "give a list of scopes"}},
		"oidc-ca-file":        {{value: missing, beside: idp, remedy: readable}, {value: junk, beside: idp, remedy: "give a file of the authorities to trust"}},
		"otlp-endpoint": {
			{value: "nowhere", remedy: "give http:// or https://"}, {value: "http://127.0.0.1", remedy: "a host and a port"}, {value: "http://127.0.0.1:4318/v1/traces", remedy: "a host and a port"},
			{value: "http://leat:" + secret + "@127.0.0.1:4317", remedy: "give them by --otlp-header", hidden: true},
		},
		"otlp-header":      {{value: secret, beside: traced, remedy: "give NAME=VALUE", hidden: true}, {value: "a key=" + secret, beside: traced, remedy: "give NAME=VALUE", hidden: true}, {value: "a=" + secret, remedy: "give --otlp-endpoint", hidden: true}},
		"otlp-ca-file":     {{value: missing, beside: traced, remedy: readable}, {value: junk, beside: traced, remedy: "give a file of the authorities to trust"}, {value: junk, remedy: "give --otlp-endpoint"}, {value: junk, beside: map[string]string{"otlp-endpoint": "http://127.0.0.1:1"}, remedy: "leave it out"}},
		"trace-sample":     {{value: "2", remedy: "give 0 to 1"}, {value: "-0.1", remedy: "give 0 to 1"}, {value: "often", remedy: "expected a float"}},
		"metric-retention": {{value: "10m", remedy: "give 1h to 360h, or 0"}, {value: "361h", remedy: "give 1h to 360h"}, {value: "long", remedy: "expected duration"}},
		"data-dir":         {{value: "", remedy: "give a folder"}, {value: junk, remedy: "choose a folder that you may write to"}, {value: filepath.Join(junk, "x"), remedy: "choose a folder that you may write to"}},

		"postgres": {
			{value: "", remedy: "give the DSN of a PostgreSQL database"},
			{value: "postgres://leat:" + secret + "@127.0.0.1:1/leat", remedy: "check that PostgreSQL runs there", hidden: true},
			{value: "postgres://leat:" + secret + "@127.0.0.1:port/leat", remedy: "want postgres://user:password@host", hidden: true},
			{value: "host=127.0.0.1 port=1 password=" + secret, remedy: "check that PostgreSQL runs there", hidden: true},
			{value: secret, remedy: "want postgres://user:password@host", hidden: true},
		},
		"token": {
			{value: secret, remedy: "make it 16 characters or longer", hidden: true},
			{value: secret + " " + secret, remedy: "without white space", hidden: true},
			{value: "", beside: map[string]string{"grpc-addr": "0.0.0.0:0"}, remedy: "set LEAT_TOKEN, or listen on 127.0.0.1"},
		},
		"master-key-file": {{value: missing, remedy: readable}, {value: junk, remedy: "put there what `leat master-key` prints"}, {value: os.DevNull, remedy: "put there what `leat master-key` prints"}, {value: junk, beside: map[string]string{"master-key": secret}, remedy: "give one of them"}},
		"master-key":      {{value: secret, remedy: "set LEAT_MASTER_KEY to what `leat master-key` prints", hidden: true}},
		"profile":         {{value: "fast", remedy: "must be one of"}},
		"node":            {{value: "node one", remedy: "give up to 255 visible characters"}, {value: strings.Repeat("n", 256), remedy: "give up to 255 visible characters"}},
		"share-shards":    {{value: "perhaps", remedy: "bool value must be true"}},
		"advertise-address": {
			{value: "nowhere", remedy: address}, {value: "0.0.0.0:4568", remedy: address}, {value: "node-1:0", remedy: address},
			{value: "", beside: map[string]string{"grpc-addr": "0.0.0.0:0", "token": secret + secret}, remedy: "give the HOST:PORT by which other nodes reach it"},
		},
		"peer-addr":     {{value: "nowhere", remedy: address}, {value: used, remedy: "stop what uses it"}, {value: "127.0.0.1:0", beside: map[string]string{"share-shards": "false"}, remedy: "leave it out"}, {value: "", beside: map[string]string{"tls-cert": junk, "tls-key": junk}, remedy: "a port of their own"}},
		"peer-tls-cert": {{value: junk, remedy: "give --peer-tls-cert, --peer-tls-key and --peer-tls-ca"}, {value: missing, beside: peers, remedy: "as PEM files"}, {value: junk, beside: peers, remedy: "as PEM files"}},
		"peer-tls-key":  {{value: junk, remedy: "give --peer-tls-cert, --peer-tls-key and --peer-tls-ca"}, {value: missing, beside: peers, remedy: "as PEM files"}},
		"peer-tls-ca":   {{value: junk, remedy: "give --peer-tls-cert, --peer-tls-key and --peer-tls-ca"}, {value: missing, beside: peers, remedy: "as PEM files"}},
		"s3-endpoint": {
			{value: "", remedy: "give the URL of the object store"}, {value: "ftp://127.0.0.1:1", remedy: "give http:// or https://"}, {value: "127.0.0.1", remedy: "give http:// or https://"},
			{value: "http://127.0.0.1:1/bucket", remedy: "end it after the host and port"}, {value: "http://127.0.0.1:1", remedy: "check --s3-endpoint"},
			{value: "http://leat:" + secret + "@127.0.0.1:1", remedy: "give them by --s3-access-key and --s3-secret-key", hidden: true}, {value: "http://leat:" + secret + "@%zz", remedy: "give http:// or https://", hidden: true},
		},
		"s3-bucket":     {{value: "", remedy: "give the name of an existing bucket"}, {value: "no-such-bucket", remedy: "create it, or name another"}},
		"s3-region":     {{value: "EU west", remedy: "give the name of the store's region"}},
		"s3-prefix":     {{value: "leat", remedy: "end it with a slash"}, {value: "/leat/", remedy: "begin it without one"}},
		"s3-access-key": {{value: "nobody", remedy: "check the keys"}, {value: "", remedy: "give both --s3-access-key and --s3-secret-key"}},
		"s3-secret-key": {{value: secret, remedy: "check the keys", hidden: true}, {value: "", remedy: "give both --s3-access-key and --s3-secret-key"}},
		"s3-ca-file":    {{value: missing, remedy: readable}, {value: junk, remedy: "give a file of the authorities to trust"}},
	}
}

// TestWrongSettingsAreRefused gives every setting values that it does not take, the first of them as a flag, in the environment and
// in a file: each is refused at start with its name, its value and what to do, and nothing has changed.
func TestWrongSettingsAreRefused(t *testing.T) {
	ground := newGround(t)
	table := wrongSettings(t)
	for _, command := range newParser(&cli{}).Model.Children {
		if !configured(command) {
			continue
		}
		for _, f := range command.Flags {
			if f.Name == "help" {
				continue
			}
			if len(table[f.Name]) == 0 && anyValue[f.Name] == "" {
				t.Errorf("setting %s of leat %s: add wrong values of it to wrongSettings, or say in anyValue why there are none", f.Name, command.Name)
			}
			if bounds, _, _ := strings.Cut(f.Tag.Get("takes"), ","); bounded.MatchString(bounds) && !slices.ContainsFunc(table[f.Name], func(w wrong) bool { return strings.Contains(w.remedy, bounds) }) {
				t.Errorf("setting %s: docs/config.md says that it takes %s, and no refusal of it does", f.Name, bounds)
			}
			t.Run(command.Name+"/"+f.Name, func(t *testing.T) {
				ways := []string{"flag", "variable", "file"}
				for _, w := range table[f.Name] {
					if w.only == "" || w.only == command.Name {
						ground.refuses(t, command, f, w, ways...)
						ways = ways[:1]
					}
				}
			})
		}
	}
	// The settings that each wrong one stood among are right.
	for _, command := range []string{"dev", "serve"} {
		ground.starts(t, command)
	}
}

// ground is what a server stands on in these tests: all of it is empty.
type ground struct {
	dsn, folder string
	objects     string // the folder of the bucket
	right       map[string]map[string]string
	db          *pgx.Conn
}

func newGround(t *testing.T) *ground {
	t.Helper()
	store := s3test.Start(t)
	bucket := store.Bucket(t)
	g := &ground{dsn: pgtest.Database(t), folder: filepath.Join(t.TempDir(), "data"), objects: store.Folder(bucket)}
	doors := map[string]string{"http-addr": "127.0.0.1:0", "grpc-addr": "127.0.0.1:0"}
	dev := map[string]string{"data-dir": g.folder}
	serve := map[string]string{"postgres": g.dsn, "s3-endpoint": "http://" + store.Endpoint, "s3-bucket": bucket, "s3-access-key": store.AccessKey, "s3-secret-key": store.SecretKey}
	maps.Copy(dev, doors)
	maps.Copy(serve, doors)
	g.right = map[string]map[string]string{"dev": dev, "serve": serve}
	var err error
	if g.db, err = pgx.Connect(t.Context(), g.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.db.Close(context.WithoutCancel(t.Context())) })
	return g
}

// refuses starts a command with one wrong setting, given in each of these ways.
func (g *ground) refuses(t *testing.T, command *kong.Node, f *kong.Flag, w wrong, ways ...string) {
	t.Helper()
	settings := maps.Clone(g.right[command.Name])
	for name, value := range w.beside {
		if slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool { return f.Name == name }) {
			settings[name] = value
		}
	}
	delete(settings, f.Name)
	for _, way := range ways {
		args := []string{command.Name}
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			args = append(args, "--"+name+"="+settings[name])
		}
		switch given := fmt.Sprintf("--%s=%s", f.Name, w.value); {
		case way == "flag":
			args = append(args, given)
		case way == "variable":
			t.Setenv(f.Envs[0], w.value)
		case f.Name == "config":
			continue // a file cannot name the file
		default:
			args = append(args, "--config="+yamlOf(t, f.Name, w.value))
		}
		text := refusal(t, args)
		if err := os.Unsetenv(f.Envs[0]); err != nil {
			t.Fatal(err)
		}
		want := []string{f.Name, w.remedy}
		if !w.hidden && w.value != "" {
			want = append(want, w.value)
		}
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("leat %s with %s %q, as a %s: %q does not say %q", command.Name, f.Name, w.value, way, text, part)
			}
		}
		if strings.Contains(text, secret) || strings.Contains(text, g.right["serve"]["s3-secret-key"]) {
			t.Errorf("leat %s with %s, as a %s, tells a secret: %q", command.Name, f.Name, way, text)
		}
		g.untouched(t, fmt.Sprintf("leat %s with %s %q", command.Name, f.Name, w.value))
	}
}

// refusal runs a command that MUST NOT start, and returns its one line.
func refusal(t *testing.T, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // ends a server that started after all
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, &terminal{in: strings.NewReader(""), out: &out, err: &errs}, nil)
	text := errs.String()
	if (code != exitFailed && code != exitUsage) || out.Len() > 0 || strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "leat: ") {
		t.Errorf("%q: exit %d, %q; want a refusal of one line", args, code, text)
	}
	return text
}

func yamlOf(t *testing.T, name, value string) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]string{name: value})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "leat.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// untouched fails the test unless folder, bucket and database are as they were: absent and empty.
func (g *ground) untouched(t *testing.T, after string) {
	t.Helper()
	if _, err := os.Stat(g.folder); !os.IsNotExist(err) {
		t.Fatalf("%s made the folder: %v", after, err)
	}
	if files, err := os.ReadDir(g.objects); err != nil || len(files) > 0 {
		t.Fatalf("%s left objects in the bucket: %v, %v", after, files, err)
	}
	var tables int
	if err := g.db.QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`).Scan(&tables); err != nil || tables > 0 {
		t.Fatalf("%s made %d tables and indexes in the database: %v", after, tables, err)
	}
}

// starts opens a server with the right settings alone.
func (g *ground) starts(t *testing.T, command string) {
	t.Helper()
	var c cli
	args := []string{command}
	for name, value := range g.right[command] {
		args = append(args, "--"+name+"="+value)
	}
	if _, err := newParser(&c).Parse(args); err != nil {
		t.Fatal(err)
	}
	open := func() (*server.Server, error) { return server.Dev(t.Context(), c.Dev.DevConfig, version) }
	if command == "serve" {
		open = func() (*server.Server, error) { return server.Serve(t.Context(), c.Serve.ServeConfig, version) }
	}
	s, err := open()
	if err != nil {
		t.Fatalf("leat %s with right settings: %v", command, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	patience, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	if err := s.WaitReady(patience); err != nil {
		t.Errorf("leat %s with right settings: %v", command, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("leat %s: %v", command, err)
	}
}
