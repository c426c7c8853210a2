// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../../deploy/helm/leat"

// render returns the manifests as `helm template` makes them, by the file that they come from. Values that the chart's schema
// refuses are an error.
func render(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	mine := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &mine); err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, mine, chartutil.ReleaseOptions{Name: "prod", Namespace: "streams", Revision: 1, IsInstall: true}, kubernetes(t))
	if err != nil {
		return nil, err
	}
	manifests, err := engine.Engine{Strict: true}.Render(c, all)
	out := map[string]string{}
	for name, text := range manifests {
		out[filepath.Base(name)] = text
	}
	return out, err
}

// kubernetes is the oldest Kubernetes that the chart is for.
func kubernetes(t *testing.T) *chartutil.Capabilities {
	t.Helper()
	v, err := chartutil.ParseKubeVersion("v1.27.0")
	if err != nil {
		t.Fatal(err)
	}
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = *v
	return caps
}

// typed is what a kind decodes into.
func typed(kind string) any {
	switch kind {
	case "Deployment":
		return &apps.Deployment{}
	case "CronJob":
		return &batch.CronJob{}
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
	case "ServiceMonitor":
		return &monitoring.ServiceMonitor{}
	case "PrometheusRule":
		return &monitoring.PrometheusRule{}
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

// least is what must be given.
const least = `{image: {repository: registry.example/leat}, secrets: {existingSecret: leat}, s3: {endpoint: "https://s3", bucket: records}}`

// everything turns on what can be.
const everything = `{image: {repository: registry.example/leat, digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
	secrets: {existingSecret: leat}, s3: {endpoint: "https://s3", bucket: records, prefix: "x/", caConfigMap: ca},
	autoscaling: {enabled: true, ackedBytesPerSecond: 20M}, serviceMonitor: {enabled: true, labels: {a: b}}, prometheusRule: {enabled: true}, dashboards: {enabled: true},
	extraEnv: [{name: LEAT_OIDC_CLIENT_SECRET, valueFrom: {secretKeyRef: {name: oidc, key: secret}}}], envFrom: [{secretRef: {name: more}}],
	extraVolumes: [{name: peer, secret: {secretName: peer}}], extraVolumeMounts: [{name: peer, mountPath: /etc/leat/peer, readOnly: true}],
	backup: {enabled: true}, podLabels: {x: "y"}, podAnnotations: {a: b}, networkPolicy: {clients: [{podSelector: {}}]}, config: {extraArgs: ["--scale-limits=aws"]},
	nodeSelector: {a: b}, tolerations: [{key: a}], affinity: {nodeAffinity: {}}, imagePullSecrets: [{name: p}], priorityClassName: high}`

// encrypted speaks TLS.
const encrypted = `{image: {repository: registry.example/leat}, secrets: {existingSecret: leat, keys: {masterKey: ""}}, s3: {endpoint: "https://s3", bucket: records},
	tls: {existingSecret: leat-tls}, serviceMonitor: {enabled: true, tlsConfig: {serverName: leat.example.com, ca: {secret: {name: leat-tls, key: ca.crt}}}}}`

// standby has one pod that serves and others that stand by.
const standby = `{image: {repository: registry.example/leat}, secrets: {existingSecret: a, keys: {masterKey: "", s3AccessKey: ""}}, s3: {endpoint: "https://s3", bucket: records, caConfigMap: ca},
	shareShards: false}`

func TestChart(t *testing.T) {
	plain := []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "ServiceAccount"}
	for name, c := range map[string]struct {
		values string
		kinds  []string
	}{
		"least":   {least, plain},
		"tls":     {encrypted, append([]string{"ServiceMonitor"}, plain...)},
		"standby": {standby, []string{"Deployment", "NetworkPolicy", "Service", "Service", "ServiceAccount"}},
		"all":     {everything, append([]string{"ConfigMap", "CronJob", "NetworkPolicy", "HorizontalPodAutoscaler", "PrometheusRule", "ServiceMonitor"}, plain...)},
	} {
		t.Run(name, func(t *testing.T) {
			objects, kinds := decode(t, c.values)
			slices.Sort(c.kinds)
			if !slices.Equal(kinds, c.kinds) {
				t.Errorf("kinds %q, want %q", kinds, c.kinds)
			}
			for _, o := range objects {
				switch o := o.(type) {
				case *apps.Deployment:
					checkPods(t, o, name)
					checkSelectors(t, objects, o)
				case *batch.CronJob:
					checkBackup(t, objects, o)
				}
			}
		})
	}
}

// TestChartByHelmLint is `helm lint`, with which neither warnings nor errors are left.
func TestChartByHelmLint(t *testing.T) {
	for name, text := range map[string]string{"least": least, "tls": encrypted, "standby": standby, "all": everything} {
		values := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &values); err != nil {
			t.Fatal(err)
		}
		for _, m := range lint.AllWithKubeVersion(chart, values, "streams", &kubernetes(t).KubeVersion).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: helm lint: %v", name, m)
			}
		}
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
	if shared := slices.Contains(c.Args, "--share-shards=true"); shared == (name == "standby") {
		t.Errorf("arguments %q", c.Args)
	}
	checkTLS(t, &c, name == "tls")
	// What `kubectl exec … /leat doctor` needs: arguments of the server are none of its own.
	for _, v := range []string{"LEAT_POSTGRES", "LEAT_S3_ENDPOINT", "LEAT_S3_BUCKET", "LEAT_S3_REGION"} {
		if !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.Name == v && (e.Value != "" || e.ValueFrom != nil) }) {
			t.Errorf("other commands in the pod have no %s", v)
		}
	}
	if slices.ContainsFunc(c.Args, func(arg string) bool {
		return strings.HasPrefix(arg, "--s3-") || strings.HasPrefix(arg, "--master-key")
	}) {
		t.Errorf("arguments %q", c.Args)
	}
	checkExtras(t, &c, name == "all")
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

// checkExtras looks whether a container has what the chart has no value for.
func checkExtras(t *testing.T, c *core.Container, given bool) {
	t.Helper()
	env := slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.Name == "LEAT_OIDC_CLIENT_SECRET" })
	mount := slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/etc/leat/peer" })
	if env != given || mount != given || (len(c.EnvFrom) == 1) != given {
		t.Errorf("%s: extra variable %t, mount %t, %d sources", c.Name, env, mount, len(c.EnvFrom))
	}
}

// checkTLS looks whether nodes, probes and arguments agree on what the ports speak.
func checkTLS(t *testing.T, c *core.Container, on bool) {
	t.Helper()
	for _, probe := range []*core.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if (probe.HTTPGet.Scheme == core.URISchemeHTTPS) != on {
			t.Errorf("a probe asks by %s", probe.HTTPGet.Scheme)
		}
	}
	for _, arg := range []string{"--tls-cert=/etc/leat/tls/tls.crt", "--tls-key=/etc/leat/tls/tls.key", "--peer-addr=0.0.0.0:4569"} {
		if slices.Contains(c.Args, arg) != on {
			t.Errorf("TLS %t, and the arguments %q", on, c.Args)
		}
	}
	for _, v := range c.Env {
		if v.Name == "LEAT_ADVERTISE_ADDRESS" && (v.Value == "$(POD_IP):4569") != on {
			t.Errorf("nodes are reached at %s", v.Value)
		}
	}
}

// checkBackup looks at the pods that make backups: they come to no Service, and can write where they have to.
func checkBackup(t *testing.T, objects []any, job *batch.CronJob) {
	t.Helper()
	pod := job.Spec.JobTemplate.Spec.Template
	create, verify := pod.Spec.InitContainers[0], pod.Spec.Containers[0]
	if !slices.Equal(create.Args, []string{"backup", "create", "--keep=14"}) || !slices.Equal(verify.Args, []string{"backup", "verify", "latest"}) {
		t.Errorf("it runs %q and then %q", create.Args, verify.Args)
	}
	volumes := map[string]core.Volume{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = v
	}
	for _, c := range []core.Container{create, verify} {
		set, mounts := map[string]bool{}, map[string]string{}
		for _, v := range c.Env {
			set[v.Name] = v.Value != "" || v.ValueFrom != nil
		}
		for _, m := range c.VolumeMounts {
			mounts[m.MountPath] = m.Name
		}
		for _, name := range []string{"LEAT_POSTGRES", "LEAT_S3_ENDPOINT", "LEAT_S3_BUCKET", "LEAT_S3_REGION", "LEAT_S3_PREFIX", "LEAT_S3_CA_FILE", "LEAT_S3_ACCESS_KEY", "LEAT_S3_SECRET_KEY"} {
			if !set[name] {
				t.Errorf("%s has no %s", c.Name, name)
			}
		}
		if volumes[mounts["/tmp"]].EmptyDir == nil || volumes[mounts["/etc/leat/ca"]].ConfigMap == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s: %+v", c.Name, c)
		}
		checkExtras(t, &c, true)
		if _, ok := volumes["peer"]; !ok {
			t.Errorf("%s: no volume for the extra mount", c.Name)
		}
	}
	for _, o := range objects {
		switch o := o.(type) {
		case *core.Service:
			if selects(o.Spec.Selector, pod.Labels) {
				t.Errorf("Service %s finds the pods that make backups", o.Name)
			}
		case *networking.NetworkPolicy:
			if selects(o.Spec.PodSelector.MatchLabels, pod.Labels) != strings.HasSuffix(o.Name, "-backup") {
				t.Errorf("the network policy %s selects %v, pods that make backups have %v", o.Name, o.Spec.PodSelector.MatchLabels, pod.Labels)
			}
		}
	}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// checkSelectors looks whether what is about the pods finds them.
func checkSelectors(t *testing.T, objects []any, d *apps.Deployment) {
	t.Helper()
	pod := d.Spec.Template
	ports := map[string]bool{}
	for _, p := range pod.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	finds := func(what string, selector map[string]string) {
		t.Helper()
		for k, v := range selector {
			if pod.Labels[k] != v {
				t.Errorf("%s selects %s=%s, pods have %v", what, k, v, pod.Labels)
			}
		}
		if len(selector) < 2 {
			t.Errorf("%s selects %v: other releases' pods too", what, selector)
		}
	}
	for _, c := range pod.Spec.TopologySpreadConstraints {
		finds("the spread over "+c.TopologyKey, c.LabelSelector.MatchLabels)
	}
	if len(pod.Spec.TopologySpreadConstraints) != 2 {
		t.Errorf("%d constraints spread the pods, want hosts and zones", len(pod.Spec.TopologySpreadConstraints))
	}
	scraped := 0
	for _, o := range objects {
		switch o := o.(type) {
		case *core.Service:
			finds("Service "+o.Name, o.Spec.Selector)
			for _, p := range o.Spec.Ports {
				if !ports[p.TargetPort.StrVal] {
					t.Errorf("Service %s has the port %s of the pods, which is not there", o.Name, p.TargetPort.String())
				}
				if p.Name == "http" {
					scraped++ // by the ServiceMonitor: each pod once
				}
			}
		case *policy.PodDisruptionBudget:
			finds("the disruption budget", o.Spec.Selector.MatchLabels)
		case *networking.NetworkPolicy:
			if strings.HasSuffix(o.Name, "-backup") {
				continue
			}
			finds("the network policy", o.Spec.PodSelector.MatchLabels)
			for _, rule := range o.Spec.Ingress {
				for _, p := range rule.Ports {
					if !ports[p.Port.StrVal] && p.Port.StrVal != "peer" { // which pods of another setting of TLS have
						t.Errorf("the network policy opens %s, which is no port of the pods", p.Port.String())
					}
				}
			}
		case *autoscaling.HorizontalPodAutoscaler:
			if o.Spec.ScaleTargetRef.Name != d.Name || o.Spec.ScaleTargetRef.Kind != "Deployment" {
				t.Errorf("the autoscaler scales %v", o.Spec.ScaleTargetRef)
			}
			if len(o.Spec.Metrics) != 2 || o.Spec.Metrics[1].Pods.Target.AverageValue.Value() != 20_000_000 {
				t.Errorf("the autoscaler goes by %v", o.Spec.Metrics)
			}
		case *monitoring.ServiceMonitor:
			finds("the service monitor", o.Spec.Selector.MatchLabels)
			if o.Spec.Endpoints[0].Port != "http" || o.Spec.Endpoints[0].Path != "/metrics" || (o.Spec.Endpoints[0].TLSConfig != nil) != ports["peer"] {
				t.Errorf("the service monitor scrapes %v", o.Spec.Endpoints)
			}
		case *monitoring.PrometheusRule:
			if len(o.Spec.Groups) < 5 || len(o.Spec.Groups[0].Rules) < 10 {
				t.Errorf("the rules are not there: %d groups", len(o.Spec.Groups))
			}
		case *core.ConfigMap:
			if len(o.Data) != 2 || !strings.Contains(o.Data["leat-cluster.json"], `"panels"`) {
				t.Errorf("the dashboards are not there: %d", len(o.Data))
			}
		}
	}
	if scraped != 1 {
		t.Errorf("%d Services have a port http: each pod would be scraped as often", scraped)
	}
}

func TestWhatTheChartRefuses(t *testing.T) {
	with := func(more string) string { return strings.TrimSuffix(least, "}") + ", " + more + "}" }
	for values, want := range map[string]string{
		with(`shareShards: false, autoscaling: {enabled: true}`):                                                                            "autoscaling needs shareShards",
		`{image: {repository: a}, secrets: {existingSecret: leat, keys: {s3SecretKey: ""}}, s3: {endpoint: "https://s3", bucket: records}}`: "goes with s3AccessKey",
		`{}`:                       "existingSecret",
		with(`replicas: 5`):        "replicas",
		with(`replicaCount: none`): "replicaCount",
		with(`image: {repository: a, digest: "sha256:0"}`):                "digest",
		with(`memoryMiB: "a lot"`):                                        "memoryMiB",
		with(`config: {extraArgs: ["--tls-cert=x"]}`):                     "set tls.existingSecret",
		with(`config: {extraArgs: ["--tls-client-ca=x"]}`):                "show no certificate",
		with(`tls: {existingSecret: a}, serviceMonitor: {enabled: true}`): "serviceMonitor.tlsConfig",
		with(`memoryMiB: 1300`):                                           "3860 MiB, which is more than nine tenths",
		with(`resources: {limits: {memory: 2Gi}}`):                        "raise the limit or lower them",
		with(`resources: {limits: {memory: 3072MB}}`):                     "give it as 3Gi or 3072Mi",
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// Go is told of nine tenths of the limit, however that is written; of none without one.
func TestMemoryOfTheChart(t *testing.T) {
	for limits, want := range map[string]string{
		`{memory: 3Gi}`: "2899102924", `{memory: 3072Mi}`: "2899102924", `{memory: "3221225472"}`: "2899102924", `{memory: 3221225472}`: "2899102924",
		`{memory: 4G}`: "3600000000", `{memory: 2.5Gi}`: "2415919104", `{memory: null}`: "",
	} {
		objects, _ := decode(t, strings.TrimSuffix(least, "}")+`, deliveryMemoryMiB: 64, resources: {limits: `+limits+`}}`)
		for _, o := range objects {
			d, ok := o.(*apps.Deployment)
			if !ok {
				continue
			}
			got := ""
			for _, v := range d.Spec.Template.Spec.Containers[0].Env {
				if v.Name == "GOMEMLIMIT" {
					got = v.Value
				}
			}
			if got != want {
				t.Errorf("with the limits %s Go is told %q, want %q", limits, got, want)
			}
			// Helm merges maps: who gives a limit alone has the requests of values.yaml beside it.
			r := d.Spec.Template.Spec.Containers[0].Resources
			if limit, ok := r.Limits[core.ResourceMemory]; ok && r.Requests.Memory().Cmp(limit) > 0 {
				t.Errorf("with the limits %s pods request %s, which Kubernetes refuses", limits, r.Requests.Memory())
			}
		}
	}
}
