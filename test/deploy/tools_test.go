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

// tool returns a program, or skips the test where that is not installed. `make test` installs those that Debian has.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	t.Skipf("NOT CHECKED: %s is not installed", name)
	return ""
}

func runIn(t *testing.T, dir, path string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(path), strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestRulesByPromtool(t *testing.T) {
	promtool, dir := tool(t, "promtool"), filepath.Join(root, "deploy/prometheus")
	runIn(t, dir, promtool, "check", "rules", "leat.rules.yaml")
	runIn(t, dir, promtool, "test", "rules", "leat.rules.test.yaml")
	runIn(t, dir, promtool, "check", "config", "prometheus.yaml")
}

// The unit tests of the rules are worth something only when each alert is in one of them.
func TestEachAlertHasAUnitTest(t *testing.T) {
	tests := read(t, "deploy/prometheus/leat.rules.test.yaml")
	alerts := 0
	for line := range strings.SplitSeq(read(t, "deploy/prometheus/leat.rules.yaml"), "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); ok {
			alerts++
			if !regexp.MustCompile(`eval_time: \S+\n\s+alertname: ` + name + `\n\s+exp_alerts:\n`).MatchString(tests) {
				t.Errorf("%s comes in no unit test", name)
			}
		}
	}
	if alerts < 25 {
		t.Errorf("%d alerts", alerts)
	}
}

func TestBalancerByHaproxy(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/haproxy"); err == nil {
		t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	}
	// Warnings are of names that only the compose network has.
	runIn(t, root, tool(t, "haproxy"), "-c", "-f", "deploy/haproxy/haproxy.cfg")
}
