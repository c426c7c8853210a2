// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
)

// anchors are the fragments of a document's headings, as GitHub makes them.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(m[1], ""))
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestLinksLeadSomewhere follows the links between the documents of this tree.
func TestLinksLeadSomewhere(t *testing.T) {
	files := []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "deploy/README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, name)
		}
	}
	followed := 0
	for _, name := range files {
		for _, m := range link.FindAllStringSubmatch(read(t, root, name), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			followed++
			path, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if path != "" {
				to = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: (%s) leads nowhere", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, root, to)), anchor) {
				t.Errorf("%s: (%s): %s has no such heading", name, m[1], to)
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d links were found", followed)
	}
}
