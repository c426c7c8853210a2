// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../../deploy/helm/leat"

// files is .Files of a chart.
type files struct{}

func (files) Get(name string) string {
	b, err := os.ReadFile(filepath.Join(chart, name))
	if err != nil {
		return "" // as Helm does
	}
	return string(b)
}

func (files) Glob(pattern string) (map[string][]byte, error) {
	all := map[string][]byte{}
	found, err := filepath.Glob(filepath.Join(chart, pattern))
	for _, f := range found {
		all[strings.TrimPrefix(filepath.ToSlash(f), chart+"/")] = nil
	}
	return all, err
}

// over puts values over others, as Helm does.
func over(base, more map[string]any) {
	for k, v := range more {
		if m, ok := v.(map[string]any); ok {
			if b, ok := base[k].(map[string]any); ok {
				over(b, m)
				continue
			}
		}
		base[k] = v
	}
}

// render returns the manifests, by the file that they come from.
func render(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	var all, mine map[string]any
	base, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(yaml.Unmarshal(base, &all), yaml.Unmarshal([]byte(values), &mine)); err != nil {
		t.Fatal(err)
	}
	over(all, mine)
	tmpl := template.New("chart").Option("missingkey=zero").Funcs(sprig.TxtFuncMap())
	tmpl.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var w bytes.Buffer
			err := tmpl.ExecuteTemplate(&w, name, data)
			return w.String(), err
		},
		"toYaml": func(v any) (string, error) {
			b, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(b), "\n"), err
		},
		"required": func(message string, v any) (any, error) {
			if v == nil || v == "" {
				return nil, errors.New(message)
			}
			return v, nil
		},
		"fail": func(message string) (string, error) { return "", errors.New(message) },
	})
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil || len(paths) < 8 {
		t.Fatal(paths, err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.New(filepath.Base(p)).Parse(string(b)); err != nil {
			t.Fatal(err)
		}
	}
	data := map[string]any{
		"Values": all, "Files": files{},
		"Chart":   map[string]any{"Name": "leat", "Version": "0.1.0", "AppVersion": "dev"},
		"Release": map[string]any{"Name": "prod", "Namespace": "streams", "Service": "Helm"},
	}
	out := map[string]string{}
	for _, p := range paths {
		name := filepath.Base(p)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var w bytes.Buffer
		if err := tmpl.ExecuteTemplate(&w, name, data); err != nil {
			return nil, err
		}
		out[name] = w.String()
	}
	return out, nil
}

// typed is what a kind decodes into; operators' kinds have no types here and are checked for YAML alone.
func typed(kind string) any {
	switch kind {
	case "Deployment":
		return &apps.Deployment{}
	case "Service":
		return &core.Service{}
	case "ServiceAccount":
		return &core.ServiceAccount{}
	case "ConfigMap":
		return &core.ConfigMap{}
	case "PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "HorizontalPodAutoscaler":
		return &autoscaling.HorizontalPodAutoscaler{}
	case "NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "ServiceMonitor", "PrometheusRule":
		return &map[string]any{}
	}
	return nil
}

// decode returns all objects, strictly decoded, and their kinds in order.
func decode(t *testing.T, values string) (objects []any, kinds []string) {
	t.Helper()
	manifests, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range manifests {
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		for doc := range strings.SplitSeq("\n"+text, "\n---\n") {
			var head struct{ Kind string }
			if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, doc)
			}
			if head.Kind == "" {
				continue
			}
			object := typed(head.Kind)
			if object == nil {
				t.Errorf("%s: nobody knows the kind %s", name, head.Kind)
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(doc), object); err != nil {
				t.Errorf("%s: %v\n%s", name, err, doc)
			}
			objects, kinds = append(objects, object), append(kinds, head.Kind)
		}
	}
	slices.Sort(kinds)
	return objects, kinds
}

const least = `{image: {repository: registry.example/leat}, secrets: {existingSecret: leat}, s3: {endpoint: "https://s3", bucket: records}}`

func TestChart(t *testing.T) {
	plain := []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "ServiceAccount"}
	for name, c := range map[string]struct {
		values string
		kinds  []string
	}{
		"least": {least, plain},
		"standby": {`{shareShards: false, s3: {caConfigMap: ca, prefix: "x/"}, secrets: {existingSecret: a, keys: {masterKey: "", s3AccessKey: ""}}}`,
			[]string{"Deployment", "NetworkPolicy", "Service", "Service", "ServiceAccount"}},
		"all": {`{autoscaling: {enabled: true, ackedBytesPerSecond: 20M}, serviceMonitor: {enabled: true, labels: {a: b}}, prometheusRule: {enabled: true},
			dashboards: {enabled: true}, podLabels: {x: "y"}, podAnnotations: {a: b}, networkPolicy: {clients: [{podSelector: {}}]}, config: {extraArgs: ["--scale-limits=aws"]},
			nodeSelector: {a: b}, tolerations: [{key: a}], affinity: {nodeAffinity: {}}, imagePullSecrets: [{name: p}], priorityClassName: high, image: {digest: "sha256:0"}}`,
			append([]string{"ConfigMap", "HorizontalPodAutoscaler", "PrometheusRule", "ServiceMonitor"}, plain...)},
	} {
		t.Run(name, func(t *testing.T) {
			objects, kinds := decode(t, c.values)
			slices.Sort(c.kinds)
			if !slices.Equal(kinds, c.kinds) {
				t.Errorf("kinds %q, want %q", kinds, c.kinds)
			}
			for _, o := range objects {
				if d, ok := o.(*apps.Deployment); ok {
					checkPods(t, d, name)
				}
			}
		})
	}
}

// checkPods looks at what a wrong template would lose in silence.
func checkPods(t *testing.T, d *apps.Deployment, name string) {
	pod := d.Spec.Template
	for k, v := range d.Spec.Selector.MatchLabels {
		if pod.Labels[k] != v {
			t.Errorf("the selector wants %s=%s, pods have %v", k, v, pod.Labels)
		}
	}
	c := pod.Spec.Containers[0]
	if c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" || !*c.SecurityContext.ReadOnlyRootFilesystem || !*pod.Spec.SecurityContext.RunAsNonRoot {
		t.Errorf("probes or rights: %+v", c)
	}
	if (d.Spec.Replicas == nil) != (name == "all") {
		t.Error("replicas and the autoscaler fight")
	}
	if shared := slices.Contains(c.Args, "--share-shards"); shared == (name == "standby") {
		t.Errorf("arguments %q", c.Args)
	}
	if name == "standby" && d.Spec.Strategy.RollingUpdate.MaxUnavailable.StrVal != "100%" {
		t.Error("a rollout would wait for nodes that stand by")
	}
	mounts := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		mounts[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !mounts[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
}

func TestWhatTheChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		`{shareShards: false, autoscaling: {enabled: true}}`: "autoscaling needs shareShards",
		`{secrets: {keys: {s3SecretKey: ""}}}`:               "goes with s3AccessKey",
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}
