// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/cli.md and docs/config.md anew")

// TestCommandsAreDocumented holds docs/cli.md against the commands.
func TestCommandsAreDocumented(t *testing.T) {
	holds(t, "cli.md", cliReference(newParser(&cli{}).Model))
}

// TestSettingsAreDocumented holds docs/config.md against the settings of `leat dev` and `leat serve`.
func TestSettingsAreDocumented(t *testing.T) {
	holds(t, "config.md", settingsReference(t, newParser(&cli{}).Model))
}

// holds fails the test unless a document has this text; with -update it gets it first.
func holds(t *testing.T, name, want string) {
	t.Helper()
	file := "../../docs/" + name
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/%s is stale: run go test ./cmd/leat -run AreDocumented -update", name)
	}
}

// cliReference is docs/cli.md.
func cliReference(app *kong.Application) string {
	var b strings.Builder
	b.WriteString(`# The command line

Made from ` + "`leat` itself (`go test ./cmd/leat -run AreDocumented -update`)" + `; a test holds it against that. ` + "`leat COMMAND --help`" + ` shows the same.

What a command finds goes to standard output, everything else to standard error. An error is one line that says what to do.
Exit status: 0 done; 1 failed, in whole or in part; 2 called wrongly; 130 interrupted. A flag goes before its variable.

## Flags of commands that ask a server

`)
	common := serverFlags(app.Node)
	flagTable(&b, common)
	var groups func(n *kong.Node)
	groups = func(n *kong.Node) {
		for _, c := range n.Children {
			if c.Hidden {
				continue
			}
			if !c.Leaf() {
				if c.Parent == app.Node {
					fmt.Fprintf(&b, "\n## %s\n\n%s\n", c.FullPath(), sentence(c.Help))
				}
				groups(c)
				continue
			}
			command(&b, c, common)
		}
	}
	groups(app.Node)
	return b.String()
}

// command writes about one command.
func command(b *strings.Builder, n *kong.Node, common []*kong.Flag) {
	level := "##"
	if n.Parent.Type != kong.ApplicationNode {
		level = "###"
	}
	fmt.Fprintf(b, "\n%s %s\n\n```\n%s\n```\n\n%s\n", level, n.FullPath(), synopsis(n), sentence(n.Help))
	if n.Detail != "" {
		fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(n.Detail))
	}
	if len(n.Positional) > 0 {
		b.WriteString("\n| argument | what it is |\n|---|---|\n")
		for _, p := range n.Positional {
			fmt.Fprintf(b, "| `%s` | %s%s |\n", p.Name, cell(p.Help), enum(p))
		}
	}
	if configured(n) {
		fmt.Fprintf(b, "\nSettings, their variables, defaults and bounds: [config.md](config.md).\n")
		return
	}
	var own []*kong.Flag
	all := slices.Concat(n.AllFlags(true)...)
	asks := slices.ContainsFunc(all, func(f *kong.Flag) bool { return f.Name == "endpoint" })
	for _, f := range all {
		if f.Name != "help" && !(asks && slices.ContainsFunc(common, func(c *kong.Flag) bool { return same(c, f) })) {
			own = append(own, f)
		}
	}
	if len(own) > 0 {
		b.WriteByte('\n')
		flagTable(b, own)
	}
	if asks {
		b.WriteString("\nTakes the [flags of commands that ask a server](#flags-of-commands-that-ask-a-server).\n")
	}
}

// serverFlags are the flags of a connection to a server, as the commands have them.
func serverFlags(app *kong.Node) []*kong.Flag {
	for _, c := range app.Children {
		if c.Name == "put" {
			all := slices.Concat(c.AllFlags(true)...)
			i := slices.IndexFunc(all, func(f *kong.Flag) bool { return f.Name == "output" })
			common := []*kong.Flag{all[i]}
			for _, f := range all {
				if f.Group != nil && f.Group.Key == "Server" {
					common = append(common, f)
				}
			}
			return common
		}
	}
	panic("there is no `leat put`")
}

// same tells whether two commands' flags are one in everything that the reference says.
func same(a, b *kong.Flag) bool {
	return a.Name == b.Name && a.Help == b.Help && a.Default == b.Default && slices.Equal(a.Envs, b.Envs)
}

// synopsis is how a command is called.
func synopsis(n *kong.Node) string {
	s := n.FullPath()
	for _, p := range n.Positional {
		s += " " + p.Summary()
	}
	return s + " [flags]"
}

func flagTable(b *strings.Builder, flags []*kong.Flag) {
	b.WriteString("| flag | default | variable | what it does |\n|---|---|---|---|\n")
	for _, f := range flags {
		required := ""
		if f.Required {
			required = " Required."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s%s |\n", flagName(f), code(f.Default), code(strings.Join(f.Envs, " ")), cell(sentence(f.Help)), enum(f.Value)+required)
	}
}

// flagName is a flag as it is given.
func flagName(f *kong.Flag) string {
	s := "--" + f.Name
	switch {
	case f.Tag.Negatable != "":
		s = "--[no-]" + f.Name
	case f.IsBool():
	case f.PlaceHolder != "":
		s += " " + f.PlaceHolder
	case f.Target.Type() == reflect.TypeFor[time.Duration]():
		s += " TIME"
	case f.Target.CanInt() || f.Target.CanUint() || f.Target.CanFloat():
		s += " N"
	default:
		s += " TEXT"
	}
	if f.Short != 0 {
		s = fmt.Sprintf("-%c, %s", f.Short, s)
	}
	return s
}

// settingsReference is docs/config.md.
func settingsReference(t *testing.T, app *kong.Application) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Settings

Of ` + "`leat dev` and `leat serve`. Made from the binary (`go test ./cmd/leat -run AreDocumented -update`)" + `; a test holds it against that.

A setting ` + "`name` is given as `--name VALUE`, in the environment as its variable, or in the YAML file of `--config` as `name: VALUE`" + ` (lists as
lists). The flag goes before the variable, the variable before the file, the file before the default. A name that is no setting is refused. One
file may serve both commands: each takes what is its own.

` + "```yaml" + `
http-addr: 0.0.0.0:4567
s3-endpoint: [https://s3-a.internal, https://s3-b.internal]
s3-bucket: leat
share-shards: true
` + "```" + `

Times are written as in Go: ` + "`90s`, `15m`, `2160h`" + `. A wrong value is refused at start with the setting, the value and what to do, before anything is changed: a test tries each.
Values of those marked *secret* are not shown by errors, ` + "`/debug/config` or `leat debug bundle`" + `; give them by the environment or the file, since others on the
machine see command lines.
`)
	byName := map[string]*kong.Node{}
	for _, c := range app.Children {
		byName[c.Name] = c
	}
	dev, serve := byName["dev"], byName["serve"]
	find := func(n *kong.Node, name string) *kong.Flag {
		for _, f := range n.Flags {
			if f.Name == name {
				return f
			}
		}
		return nil
	}
	for _, part := range []struct {
		title string
		of    *kong.Node
		in    func(*kong.Flag) bool
	}{
		{"Both", serve, func(f *kong.Flag) bool { return find(dev, f.Name) != nil }},
		{"`leat dev` alone", dev, func(f *kong.Flag) bool { return find(serve, f.Name) == nil }},
		{"`leat serve` alone", serve, func(f *kong.Flag) bool { return find(dev, f.Name) == nil }},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| setting | variable | default | takes | what it does |\n|---|---|---|---|---|\n", part.title)
		for _, f := range part.of.Flags {
			if f.Name == "help" || !part.in(f) {
				continue
			}
			def := code(f.Default)
			if other := find(dev, f.Name); other != nil && other.Default != f.Default {
				def = fmt.Sprintf("`%s`, with `leat dev` `%s`", f.Default, other.Default)
			}
			help := cell(sentence(f.Help))
			if f.Tag.Has("secret") {
				help += " *Secret.*"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, code(strings.Join(f.Envs, " ")), def, cell(takes(t, f)), help)
		}
	}
	return b.String()
}

// takes says what values a setting takes.
func takes(t *testing.T, f *kong.Flag) string {
	t.Helper()
	switch {
	case f.Tag.Has("takes"):
		return f.Tag.Get("takes")
	case f.Enum != "":
		return either(f.EnumSlice())
	case f.IsBool():
		return "true or false"
	}
	t.Errorf("setting %s: say by the tag takes what it takes", f.Name)
	return ""
}

func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// enum lists the values of a flag that takes nothing else, unless its help names them all.
func enum(v *kong.Value) string {
	if v.Enum == "" {
		return ""
	}
	for _, one := range v.EnumSlice() {
		if !strings.Contains(v.Help, one) {
			return " One of " + either(v.EnumSlice()) + "."
		}
	}
	return ""
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// cell is text that does not break a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(s)
}

func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
