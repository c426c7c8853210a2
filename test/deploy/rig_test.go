// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"github.com/leatstream/leat/server"
)

// root is the top of the tree.
const root = "../.."

// read returns a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// strict decodes YAML and refuses members that the type does not have.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// serve is `leat serve` as kong sees it.
type serve struct {
	Serve struct {
		Config             string `env:"LEAT_CONFIG"`
		server.ServeConfig `embed:""`
	} `cmd:"" set:"shard_limits=aws"`
}

func parser(t *testing.T) (*kong.Kong, *serve) {
	t.Helper()
	var s serve
	k, err := kong.New(&s, kong.Name("leat"))
	if err != nil {
		t.Fatal(err)
	}
	return k, &s
}

// knobs returns the names of the flags of `leat serve` and of its variables.
func knobs(t *testing.T) (flags, variables map[string]bool) {
	t.Helper()
	k, _ := parser(t)
	flags, variables = map[string]bool{}, map[string]bool{}
	for _, f := range k.Model.Node.Children[0].Flags {
		flags[f.Name] = true
		for _, e := range f.Envs {
			variables[e] = true
		}
	}
	if !flags["share-shards"] || !variables["LEAT_S3_BUCKET"] {
		t.Fatal("the flags of leat serve were not found")
	}
	return flags, variables
}

// accepts fails the test unless `leat serve` would start with these arguments and this environment.
func accepts(t *testing.T, args []string, environment map[string]string) server.ServeConfig {
	t.Helper()
	_, variables := knobs(t)
	for name := range variables {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range environment {
		if !variables[name] {
			t.Errorf("%s is no variable of leat serve", name)
		}
		t.Setenv(name, value)
	}
	k, s := parser(t)
	if _, err := k.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatalf("leat serve %q: %v", args, err)
	}
	if err := s.Serve.Validate(); err != nil {
		t.Errorf("leat serve %q with %q: %v", args, slices.Sorted(maps.Keys(environment)), err)
	}
	return s.Serve.ServeConfig
}

// asArgs makes flags of a configuration file.
func asArgs(t *testing.T, text string) (args []string) {
	t.Helper()
	var file map[string]string
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	flags, _ := knobs(t)
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if !flags[name] {
			t.Errorf("%s is no flag of leat serve", name)
			continue
		}
		args = append(args, "--"+name+"="+file[name])
	}
	return args
}

var flagPattern = regexp.MustCompile(`--([a-z0-9][a-z0-9-]+)`)

// pinned tells whether an image is named with a version that does not move.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:(RELEASE\.[0-9TZ-]+|v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z0-9.]+)?)$`)
