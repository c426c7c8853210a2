// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool returns a program, or skips the test: `make deploy-check` installs all of them and lets none be skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("LEAT_DEPLOY_CHECK") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("NOT CHECKED: %s is not installed; make deploy-check installs it", name)
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

// The unit tests of the rules are worth something only when each alert is in one of them, or is like one that is.
func TestRulesThatAreNotTestedAreKnown(t *testing.T) {
	tests := read(t, "deploy/prometheus/leat.rules.test.yaml")
	untested := map[string]bool{ // one comparison each, of a metric that TestRulesAndPanelsNameWhatIsExported finds
		"LeatReaderFarBehind": true, "LeatNodeFlapping": true, "LeatOverloaded": true, "LeatStoreErrors": true, "LeatFlushSlow": true, "LeatPackingFails": true,
	}
	for line := range strings.SplitSeq(read(t, "deploy/prometheus/leat.rules.yaml"), "\n") {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: ")
		if ok && strings.Contains(tests, "alertname: "+name) == untested[name] {
			t.Errorf("%s: in the unit tests: %t", name, !untested[name])
		}
	}
}

func TestBalancerByHaproxy(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/haproxy"); err == nil {
		t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	}
	// Warnings are of names that only the compose network has.
	runIn(t, root, tool(t, "haproxy"), "-c", "-f", "deploy/haproxy/haproxy.cfg")
}
