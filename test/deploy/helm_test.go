// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// schema is as much of JSON Schema as values.schema.json is walked by.
type schema struct {
	Properties map[string]schema
	Additional any `json:"additionalProperties"`
}

func TestChartValuesAndSchemaAgree(t *testing.T) {
	var s schema
	if err := json.Unmarshal([]byte(read(t, "deploy/helm/leat/values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "deploy/helm/leat/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	delete(s.Properties, "global") // Helm's own
	agree(t, "", values, s)
}

func agree(t *testing.T, path string, values map[string]any, s schema) {
	t.Helper()
	for name, v := range values {
		sub, ok := s.Properties[name]
		if !ok {
			t.Errorf("values.schema.json has no %s%s", path, name)
			continue
		}
		if m, isMap := v.(map[string]any); isMap && sub.Properties != nil && sub.Additional == false && name != "resources" {
			agree(t, path+name+".", m, sub)
		}
	}
	for name := range s.Properties {
		if _, ok := values[name]; !ok {
			t.Errorf("values.yaml has no %s%s", path, name)
		}
	}
}

func TestChartUsesItsValuesAndLeatsFlags(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "deploy/helm/leat/templates/*"))
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	all := ""
	for _, f := range files {
		rel, err := filepath.Rel(root, f)
		if err != nil {
			t.Fatal(err)
		}
		all += read(t, rel)
	}
	flags, variables := knobs(t)
	for _, m := range regexp.MustCompile(`(?m)^\s+- --([a-z0-9-]+)`).FindAllStringSubmatch(all, -1) {
		if !flags[m[1]] {
			t.Errorf("--%s is no flag of leat serve", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`name[:"]? "?(LEAT_[A-Z0-9_]+)`).FindAllStringSubmatch(all, -1) {
		if !variables[m[1]] {
			t.Errorf("%s is no variable of leat serve", m[1])
		}
	}
	var values map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "deploy/helm/leat/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	for name := range values {
		if !strings.Contains(all, ".Values."+name) {
			t.Errorf("no template uses %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`\.Values\.([A-Za-z0-9]+)(?:\.([A-Za-z0-9]+))?`).FindAllStringSubmatch(all, -1) {
		v, ok := values[m[1]]
		if sub, isMap := v.(map[string]any); ok && m[2] != "" && isMap {
			_, ok = sub[m[2]]
		}
		if !ok {
			t.Errorf("values.yaml has no %s", strings.TrimPrefix(m[0], ".Values."))
		}
	}
}
