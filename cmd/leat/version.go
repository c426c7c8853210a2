// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd is `leat version`.
type versionCmd struct {
	Modules bool   `help:"List the modules that were built in."`
	Output  string `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Run prints what this binary was built from.
func (c *versionCmd) Run(t *terminal) error {
	var deps []*debug.Module
	from := commit
	if info, ok := debug.ReadBuildInfo(); ok {
		deps = info.Deps
		from = cmp.Or(from, revision(info))
	}
	if c.Output == formatJSON {
		modules := map[string]string{}
		for _, m := range deps {
			modules[m.Path] = m.Version
		}
		v := map[string]any{"version": version, "commit": from, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
		if c.Modules {
			v["modules"] = modules
		}
		return newEncoder(t.out).Encode(v)
	}
	if from != "" {
		from = "commit " + from + ", "
	}
	fmt.Fprintf(t.out, "leat %s (%s%s, %s/%s)\n", version, from, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if c.Modules {
		for _, m := range deps {
			fmt.Fprintf(t.out, "%s %s\n", m.Path, m.Version)
		}
	}
	return nil
}

// revision is the commit that go build found the sources at; empty when it did not look.
func revision(info *debug.BuildInfo) string {
	var at, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			at = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with changes"
		}
	}
	if at == "" {
		return ""
	}
	return at + dirty
}
