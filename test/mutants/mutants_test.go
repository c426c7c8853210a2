// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package mutants holds patches that each break one rule of the data plane (data-plane.md) on purpose. `make mutants`
// applies them to copies of the tree, one at a time, and runs the fault tests of a cluster there, which must fail. What
// the tests here say is that the patches still fit.
package mutants

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var head = regexp.MustCompile(`\ARule: \d+\nFaults: (.+)\n\n\S.+\n\ndiff `)

// Each patch says what it breaks, names faults that there are, and applies to the code as it is now.
func TestPatchesApply(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := os.ReadFile(filepath.Join(root, "test/fault/cluster_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	patches, err := filepath.Glob("*.patch")
	if err != nil || len(patches) < 5 {
		t.Fatalf("%d patches, %v", len(patches), err)
	}
	for _, p := range patches {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m := head.FindSubmatch(text)
		if m == nil {
			t.Errorf("%s does not begin with its rule, the faults that show it, and what it breaks", p)
			continue
		}
		if !strings.Contains(string(faults), `{"`+string(m[1])) {
			t.Errorf("%s: no fault of a cluster begins with %q", p, m[1])
		}
		cmd := exec.CommandContext(t.Context(), "git", "apply", "--check", filepath.Join(root, "test/mutants", p))
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not apply: change it along with the code that it breaks (%v)\n%s", p, err, out)
		}
	}
}
