// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Command sbom prints the bill of materials of a binary of Go, as SPDX 2.3 in JSON: the modules that the linker put in, with
// the checksums of go.sum. It is the same for the same binary.
//
//	go run ./tools/sbom VERSION BINARY
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

type document struct {
	Version      string         `json:"spdxVersion"`
	License      string         `json:"dataLicense"`
	ID           string         `json:"SPDXID"`
	Name         string         `json:"name"`
	Namespace    string         `json:"documentNamespace"`
	Creation     creation       `json:"creationInfo"`
	Packages     []pkg          `json:"packages"`
	Relationship []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type pkg struct {
	ID        string     `json:"SPDXID"`
	Name      string     `json:"name"`
	Version   string     `json:"versionInfo"`
	Location  string     `json:"downloadLocation"`
	Analyzed  bool       `json:"filesAnalyzed"`
	Checksums []checksum `json:"checksums,omitempty"`
	Refs      []ref      `json:"externalRefs,omitempty"`
	Comment   string     `json:"comment,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type ref struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Kind string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom VERSION BINARY")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(w io.Writer, version, binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	if len(info.Deps) == 0 {
		return errors.New(binary + " names no modules")
	}
	body, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	const root = "SPDXRef-leat"
	d := document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: filepath.Base(binary),
		Namespace: "https://github.com/leatstream/leat/sbom/" + hash,
		Creation:  creation{"1970-01-01T00:00:00Z", []string{"Tool: leat tools/sbom"}}, // not the time of the build: that differs
		Packages: []pkg{
			{ID: root, Name: info.Main.Path, Version: version, Location: "https://github.com/leatstream/leat", Checksums: []checksum{{"SHA256", hash}}},
			{ID: "SPDXRef-go", Name: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go"), Location: "NOASSERTION", Refs: purl("golang/stdlib", strings.TrimPrefix(info.GoVersion, "go"))},
		},
		Relationship: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", root}, {root, "DEPENDS_ON", "SPDXRef-go"}},
	}
	for i, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		p := pkg{ID: fmt.Sprintf("SPDXRef-module-%d", i+1), Name: m.Path, Version: m.Version, Location: "NOASSERTION", Refs: purl("golang/"+m.Path, m.Version)}
		if dirhash, ok := strings.CutPrefix(m.Sum, "h1:"); ok { // SHA-256 of the module's list of files, as go.sum has it
			if raw, err := base64.StdEncoding.DecodeString(dirhash); err == nil {
				p.Comment = "go.sum h1: " + hex.EncodeToString(raw)
			}
		}
		d.Packages = append(d.Packages, p)
		d.Relationship = append(d.Relationship, relationship{root, "DEPENDS_ON", p.ID})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(d)
}

func purl(name, version string) []ref {
	return []ref{{"PACKAGE-MANAGER", "purl", "pkg:" + name + "@" + version}}
}
