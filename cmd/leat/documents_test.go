// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var (
	// inline is a command in running text, onALine one in a block of a document.
	inline    = regexp.MustCompile("`leat ([^`]+)`")
	onALine   = regexp.MustCompile(`(?m)^(?:    )?(?:\$ )?(?:bin/)?leat ([^\n]+)$`)
	endsThere = regexp.MustCompile(` (?:[#|>&;]|"?\$\().*$`)
	aFlag     = regexp.MustCompile(`^\[?--([a-z0-9][a-z0-9-]*)`)
	aWord     = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

// notBuilt are the commands that docs/limits.md says there are none of.
var notBuilt = map[string]bool{"backup": true, "restore --verify": true}

// TestDocumentsNameCommandsThatExist looks up every command and flag that a document names.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	app := newParser(&cli{}).Model
	seen := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*.md", "deploy/*/*.md"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range append(inline.FindAllStringSubmatch(string(text), -1), onALine.FindAllStringSubmatch(string(text), -1)...) {
				seen++
				if notBuilt[m[1]] {
					continue
				}
				if problem := lookUp(app.Node, endsThere.ReplaceAllString(m[1], "")); problem != "" {
					t.Errorf("%s: `leat %s`: %s", file, m[1], problem)
				}
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d commands were found", seen)
	}
}

// lookUp says what a command line names that does not exist; it may be a group of commands, or end early.
func lookUp(n *kong.Node, text string) string {
	words := strings.Fields(text)
	for len(words) > 0 {
		// a|b are several commands in one.
		first, more, several := strings.Cut(words[0], "|")
		i := slices.IndexFunc(n.Children, func(c *kong.Node) bool { return c.Name == first })
		if i < 0 {
			break
		}
		if several {
			return lookUp(n, strings.Join(append([]string{more}, words[1:]...), " "))
		}
		n, words = n.Children[i], words[1:]
	}
	if len(words) > 0 && !n.Leaf() && aWord.MatchString(words[0]) {
		return "there is no such command: " + words[0]
	}
	for _, w := range words {
		if m := aFlag.FindStringSubmatch(w); m != nil && !strings.Contains(w, "-…") && !hasFlag(n, m[1]) {
			return "there is no such flag: --" + m[1]
		}
	}
	return ""
}

// hasFlag tells whether a command, or one of a group, has a flag.
func hasFlag(n *kong.Node, name string) bool {
	for _, f := range slices.Concat(n.AllFlags(false)...) {
		if f.Name == name || slices.Contains(f.Aliases, name) || f.Tag.Negatable != "" && "no-"+f.Name == name {
			return true
		}
	}
	return slices.ContainsFunc(n.Children, func(c *kong.Node) bool { return hasFlag(c, name) })
}
