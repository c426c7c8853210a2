// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// compose is as much of the compose specification as compose.yaml uses.
type compose struct {
	Name     string
	Leat     yaml.Node `yaml:"x-leat"`
	LeatEnv  yaml.Node `yaml:"x-leat-environment"`
	Services map[string]composeService
	Volumes  map[string]any
}

type composeService struct {
	Image string
	Build struct {
		Context, Dockerfile string
	}
	Restart     string
	Command     []string
	Environment map[string]string
	DependsOn   dependsOn `yaml:"depends_on"`
	Ports       []string
	Volumes     []string
	Healthcheck struct {
		Test                           []string
		Interval, Timeout, StartPeriod string `yaml:",omitempty"`
		Retries                        int
		Start                          string `yaml:"start_period"`
	}
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	StopGrace   string   `yaml:"stop_grace_period"`
}

// dependsOn is a list of services, or services with the condition that is waited for.
type dependsOn map[string]string

func (d *dependsOn) UnmarshalYAML(n *yaml.Node) error {
	*d = dependsOn{}
	var names []string
	if n.Decode(&names) == nil {
		for _, name := range names {
			(*d)[name] = "service_started"
		}
		return nil
	}
	var with map[string]struct{ Condition string }
	if err := n.Decode(&with); err != nil {
		return err
	}
	for name, c := range with {
		(*d)[name] = c.Condition
	}
	return nil
}

var required = regexp.MustCompile(`\$\{([A-Z_]+):\?[^}]*\}`)

// filled puts a value in the place of each variable that compose.sh writes.
func filled(t *testing.T, text string) string {
	t.Helper()
	script := read(t, "deploy/compose.sh")
	return required.ReplaceAllStringFunc(text, func(use string) string {
		name := required.FindStringSubmatch(use)[1]
		if !strings.Contains(script, "\t"+name+"=$") {
			t.Errorf("compose.sh does not write %s", name)
		}
		return "secret-of-" + strings.ToLower(name)
	})
}

func loadCompose(t *testing.T) (c compose) {
	t.Helper()
	strict(t, filled(t, read(t, "deploy/compose.yaml")), &c)
	return c
}

func TestComposeStartsWhatLeatTakes(t *testing.T) {
	c := loadCompose(t)
	nodes := 0
	for name, s := range c.Services {
		if s.Build.Dockerfile == "" {
			continue
		}
		nodes++
		cfg := accepts(t, nil, s.Environment)
		if cfg.Node != name || cfg.Advertise != name+":4568" || !cfg.Share {
			t.Errorf("%s calls itself %s, is reached at %s and shares its shards: %t", name, cfg.Node, cfg.Advertise, cfg.Share)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s may write, or has capabilities", name)
		}
		if !slices.Contains(s.Healthcheck.Test, "health") || s.DependsOn["postgres"] != "service_healthy" || s.DependsOn["bucket"] != "service_completed_successfully" {
			t.Errorf("%s has the health check %q and waits for %v", name, s.Healthcheck.Test, s.DependsOn)
		}
		if _, err := os.Stat(filepath.Join(root, "deploy", s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Error(err)
		}
	}
	if nodes != 3 {
		t.Errorf("%d nodes, want 3", nodes)
	}
}

func TestComposeServices(t *testing.T) {
	c := loadCompose(t)
	for name, s := range c.Services {
		if s.Build.Dockerfile == "" && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s is not pinned", name, s.Image)
		}
		if len(s.Healthcheck.Test) == 0 && s.Restart != "no" {
			t.Errorf("%s has no health check", name)
		}
		for other, condition := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
			if condition == "service_healthy" && len(c.Services[other].Healthcheck.Test) == 0 {
				t.Errorf("%s waits for the health of %s, which has no check", name, other)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to other machines", name, p)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, "./") {
				if _, err := os.Stat(filepath.Join(root, "deploy", from)); err != nil {
					t.Errorf("%s mounts what is not there: %v", name, err)
				}
				if !strings.HasSuffix(v, ":ro") {
					t.Errorf("%s may write to %s", name, from)
				}
			} else if _, ok := c.Volumes[from]; !ok {
				t.Errorf("%s has the volume %s, which is not declared", name, from)
			}
		}
	}
}

func TestBalancerKnowsTheNodes(t *testing.T) {
	c := loadCompose(t)
	cfg := read(t, "deploy/haproxy/haproxy.cfg")
	servers := regexp.MustCompile(`(?m)^    server (\S+) (\S+):(\d+)`).FindAllStringSubmatch(cfg, -1)
	seen := map[string]int{}
	for _, s := range servers {
		if s[1] != s[2] || c.Services[s[2]].Build.Dockerfile == "" {
			t.Errorf("haproxy.cfg sends to %s, which is no node", s[0])
		}
		seen[s[3]]++
	}
	if seen["4567"] != 3 || seen["4568"] != 3 {
		t.Errorf("nodes for each port: %v", seen)
	}
	prom := read(t, "deploy/prometheus/prometheus.yaml")
	for name, s := range c.Services {
		if s.Build.Dockerfile != "" && !strings.Contains(prom, `"`+name+`:4567"`) {
			t.Errorf("prometheus.yaml does not scrape %s", name)
		}
	}
}

func TestImageOfLeat(t *testing.T) {
	text := read(t, "deploy/Dockerfile")
	flags, _ := knobs(t)
	command := regexp.MustCompile(`(?m)^CMD (.*)$`).FindString(text)
	for _, f := range flagPattern.FindAllStringSubmatch(command, -1) {
		if !flags[f[1]] {
			t.Errorf("CMD has --%s, which leat serve does not know", f[1])
		}
	}
	for _, want := range []string{"FROM scratch", "USER 65532:65532", `CMD ["/leat", "health"]`, "chmod 1777 /out/root/tmp", "--chown=65532:65532 /out/root/ /", "CGO_ENABLED=0", "-trimpath"} {
		if !strings.Contains(text, want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if !strings.Contains(text, "FROM golang:"+module[1]+"-") {
		t.Errorf("go.mod wants Go %s, the Dockerfile has another", module[1])
	}
}
