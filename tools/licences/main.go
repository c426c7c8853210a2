// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Command licences prints docs/licences.md: the modules that are in the binary, and the licence of each, by the text of the
// licence in the module. A licence that it does not know, or that Leat cannot be given away with, is an error.
//
//	go run ./tools/licences > docs/licences.md
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	text, err := page(ctx, ".")
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(text) // whoever reads it has gone where it fails
}

// platforms are those that releases are built for: each may need modules of its own.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/arm64"}

// module is one that the binary has.
type module struct{ path, version, dir string }

// vendored is where files are that others made and that are in the binary, each with NAME.LICENSE beside it.
const vendored = "web/static/vendor"

// page is docs/licences.md.
func page(ctx context.Context, root string) ([]byte, error) {
	all, err := modules(ctx, root)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`# Licences

Of what is in the binary of a release beside Leat itself, which is Apache-2.0. Made by ` + "`go run ./tools/licences`" + `; a test holds it against
go.mod. The licence is read from the text in each module.

| module | version | licence |
|---|---|---|
`)
	var errs []error
	for _, m := range all {
		licence, err := licenceOf(m.dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", m.path, m.version, err))
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.path, m.version, licence)
	}
	b.WriteString("\nFiles that are kept in the repository:\n\n| what | licence | where |\n|---|---|---|\n")
	files, err := filepath.Glob(filepath.Join(root, vendored, "*.LICENSE"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		licence, err := licenceIn(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", strings.TrimSuffix(filepath.Base(file), ".LICENSE"), licence, vendored)
	}
	return b.Bytes(), errors.Join(errs...)
}

// modules lists what cmd/leat is linked from, on any platform, by path.
func modules(ctx context.Context, root string) ([]module, error) {
	seen := map[string]module{}
	for _, platform := range platforms {
		system, machine, _ := strings.Cut(platform, "/")
		cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/leat")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+machine, "CGO_ENABLED=0")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list for %s: %w: %s", platform, err, stderr.String())
		}
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSpace(line), "\t")
			if len(f) == 3 {
				seen[f[0]] = module{f[0], f[1], f[2]}
			}
		}
	}
	var all []module
	for _, m := range seen {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// licenceFile is how files are called that hold a licence.
var licenceFile = regexp.MustCompile(`(?i)^(li[cs]en[cs]e|copying|unlicense)([.-].*)?$`)

// licenceOf names all licences of a module: where it has several files, each of them.
func licenceOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) || e.Name() == "LICENSE-LOGO" { // of a picture, which is not in the binary
			continue
		}
		name, err := licenceIn(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "", errors.New("there is no file with a licence")
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", "), nil
}

func licenceIn(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	name, ok := classify(string(text))
	if !ok {
		return "", fmt.Errorf("the licence in %s is not known: read it, and add it to tools/licences", filepath.Base(file))
	}
	return name, nil
}

// known are licences that Leat can be given away with, by a sentence that each has and the others have not, the more particular ones first. Those
// of the GPL and its kin are not among them.
var known = []struct{ name, has string }{
	{"Apache-2.0", "Apache License Version 2.0, January 2004"},
	{"MPL-2.0", "Mozilla Public License Version 2.0"},
	{"BSD-3-Clause", "may be used to endorse or promote products derived from"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright notice"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"},
	{"0BSD", "for any purpose with or without fee is hereby granted. THE SOFTWARE IS PROVIDED"},
	{"OFL-1.1", "SIL Open Font License, Version 1.1"},
	{"Public domain", "dedicated to the public domain by the authors"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that"},
	{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted, provided that"},
	{"Unlicense", "This is free and unencumbered software released into the public domain"},
	{"CC0-1.0", "CC0 1.0 Universal"},
}

// foreign are licences that nobody must overlook, whatever else stands in the file.
var foreign = []string{"GNU GENERAL PUBLIC LICENSE", "GNU AFFERO", "GNU LESSER", "Server Side Public License", "Business Source License", "Commons Clause"}

var space = regexp.MustCompile(`\s+`)

// classify names a licence by its text. A file may hold several.
func classify(text string) (string, bool) {
	text = space.ReplaceAllString(text, " ")
	for _, f := range foreign {
		if strings.Contains(strings.ToUpper(text), strings.ToUpper(f)) && !strings.Contains(text, "Mozilla Public License") { // which names the GPL
			return "", false
		}
	}
	var names []string
	for _, k := range known {
		if strings.Contains(text, k.has) && !slices.Contains(names, k.name) && (k.name != "BSD-2-Clause" || !slices.Contains(names, "BSD-3-Clause")) {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, " and "), len(names) > 0
}
