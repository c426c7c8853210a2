// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write docs/licences.md")

// TestLicences holds docs/licences.md against what the binary is made from: a module that is new, or whose licence is not one that Leat can be
// given away with, fails it.
func TestLicences(t *testing.T) {
	const root = "../.."
	got, err := page(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "docs", "licences.md")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/licences.md is not what the binary has: go test ./tools/licences -update")
	}
}

func TestClassify(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":                                                                                               "Apache-2.0",
		"Permission is hereby granted, free of charge,\nto any person obtaining a copy of this software":                                             "MIT",
		"Redistributions in binary form must reproduce the above\ncopyright notice":                                                                  "BSD-2-Clause",
		"Redistributions in binary form must reproduce the above copyright notice ... may be used to\nendorse or promote products derived from":      "BSD-3-Clause",
		"Apache License Version 2.0, January 2004 ... Permission is hereby granted, free of charge, to any person obtaining a copy of this software": "Apache-2.0 and MIT",
		"GNU General Public License version 3":                                                                                                       "",
		"Permission is hereby granted, free of charge, to any person obtaining a copy of this software. GNU Affero GPL for others":                   "",
		"All rights reserved": "",
	} {
		got, ok := classify(text)
		if got != want || ok != (want != "") {
			t.Errorf("%.60q: %q, %v; want %q", text, got, ok, want)
		}
	}
}
