// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// TestTerraform is `terraform fmt -check`, and the syntax, where there is no Terraform. test/deploy asks that where it is.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob("../../deploy/terraform/*/*.tf")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	p := hclparse.NewParser()
	for _, file := range files {
		if _, diags := p.ParseHCLFile(file); diags.HasErrors() {
			t.Error(diags)
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			t.Errorf("%s is not formatted: terraform fmt", file)
		}
	}
}
