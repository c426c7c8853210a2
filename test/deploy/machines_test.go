// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secrets are what EnvironmentFile of the unit has where the machine has a role.
var secrets = map[string]string{
	"LEAT_POSTGRES": "postgres://leat@db/leat", "LEAT_TOKEN": "0123456789abcdef",
}

// told are the secrets that the unit's head says EnvironmentFile has.
func told(t *testing.T, unit string) map[string]string {
	t.Helper()
	head := regexp.MustCompile(`secrets\.env \(0600 root: ([A-Z0-9_, ]+);`).FindStringSubmatch(unit)
	if head == nil {
		t.Fatal("the unit does not say what its secrets are")
	}
	all := map[string]string{}
	for name := range strings.SplitSeq(head[1], ", ") {
		if all[name] = secrets[name]; all[name] == "" {
			all[name] = "some"
		}
	}
	return all
}

func TestUnitStartsWhatLeatTakes(t *testing.T) {
	unit := read(t, "deploy/systemd/leat.service")
	flags, _ := knobs(t)
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindString(unit)
	if !strings.Contains(start, "/usr/local/bin/leat serve ") {
		t.Fatalf("the unit has %q", start)
	}
	for _, f := range flagPattern.FindAllStringSubmatch(start, -1) {
		if !flags[f[1]] {
			t.Errorf("the unit has --%s, which leat serve does not know", f[1])
		}
	}
	settings := asArgs(t, read(t, "deploy/systemd/leat.yaml"))
	accepts(t, settings, secrets)
	accepts(t, settings, told(t, unit))
}

// A misplaced or unknown setting of a unit is ignored when it is started: a hardening that is not there.
func TestUnitIsUnderstood(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	for _, unit := range []string{"leat.service", "leat-backup.service"} {
		// The binary is not installed here: another one stands for it.
		file := filepath.Join(t.TempDir(), unit)
		text := strings.ReplaceAll(read(t, "deploy/systemd/"+unit), "/usr/local/bin/leat", "/bin/true")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", file).CombinedOutput()
		if err != nil || strings.Contains(string(out), file) {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}

func TestUserDataStartsWhatLeatTakes(t *testing.T) {
	script := read(t, "deploy/terraform/aws/user-data.sh.tftpl")
	body := regexp.MustCompile(`(?s)leat\.yaml <<EOF\n(.*?)EOF\n`).FindStringSubmatch(script)
	if body == nil {
		t.Fatal("user data writes no leat.yaml")
	}
	file := strings.NewReplacer(
		"${region}", "us-east-1", "${profile}", "balanced", "${bucket}", "records", "${share}", "true",
		"$(meta instance-id)", "i-1", "$(meta local-ipv4)", "10.0.0.1",
	).Replace(body[1])
	if strings.Contains(file, "$") {
		t.Fatalf("something is not filled in:\n%s", file)
	}
	cfg := accepts(t, asArgs(t, file), secrets)
	if !cfg.Share || cfg.Advertise != "10.0.0.1:4568" {
		t.Errorf("a node would share: %t, and be reached at %s", cfg.Share, cfg.Advertise)
	}
	for _, name := range []string{"LEAT_POSTGRES=", "LEAT_TOKEN="} {
		if !strings.Contains(script, name) {
			t.Errorf("user data sets no %s", name)
		}
	}
}

func TestMachinesStartWhatLeatTakes(t *testing.T) {
	text := read(t, "deploy/terraform/machines/main.tf")
	flags, variables := knobs(t)
	config := regexp.MustCompile(`(?s)yamlencode\(\{(.*?)\}\)`).FindStringSubmatch(text)
	if config == nil {
		t.Fatal("no configuration file")
	}
	for _, m := range regexp.MustCompile(`(?m)^\s+"([a-z0-9-]+)"\s+=`).FindAllStringSubmatch(config[1], -1) {
		if !flags[m[1]] {
			t.Errorf("%s is no flag of leat serve", m[1])
		}
	}
	found := regexp.MustCompile(`"(LEAT_[A-Z0-9_]+)=`).FindAllStringSubmatch(text, -1)
	if len(found) != 4 {
		t.Errorf("%d secrets, want 4", len(found))
	}
	for _, m := range found {
		if !variables[m[1]] {
			t.Errorf("%s is no variable of leat serve", m[1])
		}
	}
}

// Terraform itself needs the providers to say more than this.
func TestTerraformNamesWhatIsThere(t *testing.T) {
	for _, module := range []string{"aws", "machines"} {
		dir := filepath.Join(root, "deploy/terraform", module)
		files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
		if err != nil || len(files) < 3 {
			t.Fatal(files, err)
		}
		all := ""
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		declared := func(pattern string) map[string]bool {
			set := map[string]bool{}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(all, -1) {
				set[strings.Join(m[1:], ".")] = true
			}
			return set
		}
		inputs := declared(`(?m)^variable "([a-z0-9_]+)"`)
		things := declared(`(?m)^resource "([a-z0-9_]+)" "([a-z0-9_]+)"`)
		used := regexp.MustCompile(`\bvar\.([a-z0-9_]+)`).FindAllStringSubmatch(all, -1)
		seen := map[string]bool{}
		for _, m := range used {
			seen[m[1]] = true
			if !inputs[m[1]] {
				t.Errorf("%s: var.%s is not declared", module, m[1])
			}
		}
		for name := range inputs {
			if !seen[name] {
				t.Errorf("%s: variable %s is not used", module, name)
			}
		}
		for _, m := range regexp.MustCompile(`[^.\w"]((?:aws|random)_[a-z0-9_]+)\.([a-z0-9_]+)\.`).FindAllStringSubmatch(all, -1) {
			if !things[m[1]+"."+m[2]] && !strings.Contains(all, `data "`+m[1]+`" "`+m[2]+`"`) {
				t.Errorf("%s: %s.%s is not declared", module, m[1], m[2])
			}
		}
		for _, m := range regexp.MustCompile(`\$\{path\.module\}/([^"$]+)"`).FindAllStringSubmatch(all, -1) {
			if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
				t.Errorf("%s: %v", module, err)
			}
		}
	}
}

// terraform runs it on files of this tree alone: it asks nobody for news.
func terraform(t *testing.T, dir string, args ...string) string {
	t.Helper()
	t.Setenv("CHECKPOINT_DISABLE", "1")
	t.Setenv("TF_IN_AUTOMATION", "1")
	return runIn(t, dir, tool(t, "terraform"), args...)
}

func TestTerraformIsFormatted(t *testing.T) {
	terraform(t, root, "fmt", "-check", "-recursive", "-diff", "deploy/terraform")
}

// The module for machines needs no provider, so Terraform can say all that it has to say. That for AWS needs AWS's, from a
// registry.
func TestTerraformValidatesMachines(t *testing.T) {
	deploy := t.TempDir() // Terraform leaves a folder beside what it reads, and the module reads the unit
	if err := os.CopyFS(deploy, os.DirFS(filepath.Join(root, "deploy"))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(deploy, "terraform", "machines")
	terraform(t, dir, "init", "-backend=false", "-no-color")
	terraform(t, dir, "validate", "-no-color")
}
