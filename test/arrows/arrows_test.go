// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package arrows_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/leatstream/leat"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath   string
	Imports      []string // of its own files
	TestImports  []string // of its test files, in the package
	XTestImports []string // of its test files, beside the package
}

func list(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports"}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs
		case err != nil:
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestArrowsPointDown(t *testing.T) {
	pkgs := list(t, module+"/...")
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages", len(pkgs))
	}
	for _, p := range pkgs {
		for _, complaint := range check(rules, p) {
			t.Error(complaint)
		}
	}
}

// check returns what p imports and may not.
func check(rules map[string]rule, p pkg) (complaints []string) {
	name := local(p.ImportPath)
	r, ok := find(rules, name)
	if !ok {
		return []string{name + " has no entry in test/arrows/rules_test.go: add one that says what it may import"}
	}
	complain := func(path, allowed string) {
		complaints = append(complaints, fmt.Sprintf("%s imports %s; test/arrows/rules_test.go allows it %s", name, path, allowed))
	}
	for _, path := range p.Imports {
		switch dep := local(path); {
		case standard(path):
		case dep == "":
			if !matchAny(r.third, path) {
				complain(path, fmt.Sprintf("the modules %q", r.third))
			}
		case !matchAny(r.local, dep) || (matchAny(topmost, dep) && !isWiring(name)):
			complain(dep, fmt.Sprintf("%q", r.local))
		}
	}
	inTests := slices.Concat(r.local, r.tests, harness, []string{name})
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if dep := local(path); dep != "" && !matchAny(inTests, dep) {
			complain(dep+" in its tests", fmt.Sprintf("%q", inTests))
		}
	}
	return complaints
}

// local is the path inside the module, "." for its root, "" for other modules.
func local(path string) string {
	if path == module {
		return "."
	}
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// standard tells whether path is of the standard library: no dot in its first
// part.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// find returns the rule of the longest pattern that matches.
func find(rules map[string]rule, name string) (best rule, ok bool) {
	longest := -1
	for pattern, r := range rules {
		if match(pattern, name) && len(pattern) > longest {
			best, ok, longest = r, true, len(pattern)
		}
	}
	return best, ok
}

func isWiring(name string) bool {
	return matchAny(topmost, name)
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, path) })
}

// match reads a pattern: a path, "x/..." for x and all below, "..." for all.
func match(pattern, path string) bool {
	prefix, wild := strings.CutSuffix(pattern, "...")
	if !wild {
		return pattern == path
	}
	return strings.HasPrefix(path+"/", prefix)
}

// The checker itself: what it must refuse, or the test above says nothing.
func TestCheckRefuses(t *testing.T) {
	for _, tc := range []struct {
		about string
		p     pkg
		want  string // "" for allowed
	}{
		{"the vocabulary imports no module", pkg{ImportPath: module, Imports: []string{"fmt", "golang.org/x/sync/errgroup"}}, "golang.org/x/sync"},
		{"the vocabulary imports no package", pkg{ImportPath: module, Imports: []string{module + "/shardstore"}}, "shardstore"},
		{"a segment compresses", pkg{ImportPath: module + "/shardstore/segment", Imports: []string{module, "github.com/klauspost/compress/zstd"}}, ""},
		{"a segment stores nothing", pkg{ImportPath: module + "/shardstore/segment", Imports: []string{module + "/shardstore/blob"}}, "shardstore/blob"},
		{"the engine knows no server", pkg{ImportPath: module + "/shardstore", Imports: []string{module + "/server/catalog"}}, "server/catalog"},
		{"nor do its tests", pkg{ImportPath: module + "/shardstore", XTestImports: []string{module + "/server/catalog"}}, "server/catalog"},
		{"its tests use the harness", pkg{ImportPath: module + "/shardstore", XTestImports: []string{module + "/internal/s3test", "pgregory.net/rapid"}}, ""},
		{"the engine uses no harness", pkg{ImportPath: module + "/shardstore", Imports: []string{module + "/internal/s3test"}}, "internal/s3test"},
		{"the broker knows no transport", pkg{ImportPath: module + "/server/broker", Imports: []string{module + "/server/grpcapi"}}, "server/grpcapi"},
		{"nor gRPC", pkg{ImportPath: module + "/server/broker", Imports: []string{"google.golang.org/grpc"}}, "google.golang.org/grpc"},
		{"edges do not know each other", pkg{ImportPath: module + "/server/kinesis", Imports: []string{module + "/server/grpcapi"}}, "server/grpcapi"},
		{"a client knows no server", pkg{ImportPath: module + "/api/client", Imports: []string{module + "/server"}}, "server"},
		{"main wires", pkg{ImportPath: module + "/cmd/leat", Imports: []string{module + "/server"}}, ""},
		{"tests wire", pkg{ImportPath: module + "/test/e2e", XTestImports: []string{module + "/server"}}, ""},
		{"all packages have a rule", pkg{ImportPath: module + "/util"}, "add one"},
	} {
		got := strings.Join(check(rules, tc.p), "\n")
		if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: check says %q, want %q in it", tc.about, got, tc.want)
		}
	}
}

// Wiring is named twice on purpose: the table gives it everything, and topmost
// takes it away from everybody else.
func TestOnlyWiringMayImportEverything(t *testing.T) {
	for name, r := range rules {
		if slices.Contains(r.local, "...") && !isWiring(name) {
			t.Errorf("%s may import everything and is not in topmost", name)
		}
	}
}
