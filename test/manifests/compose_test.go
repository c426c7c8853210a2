// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// TestCompose is `docker compose config`: the file keeps the schema of the compose specification, and what its services name is
// declared.
func TestCompose(t *testing.T) {
	file := filepath.Join("..", "..", "deploy", "compose.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secrets := types.Mapping{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(string(text), -1) {
		secrets[m[1]] = "a-secret"
	}
	load := func(environment types.Mapping) (*types.Project, error) {
		return loader.LoadWithContext(t.Context(), types.ConfigDetails{
			WorkingDir: filepath.Dir(file), ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}}, Environment: environment,
		})
	}
	p, err := load(secrets)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"leat-1", "leat-2", "leat-3", "balancer", "postgres", "minio", "prometheus", "grafana"} {
		if _, ok := p.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	if _, err := load(nil); err == nil {
		t.Error("without deploy/.env it starts all the same")
	}
}
