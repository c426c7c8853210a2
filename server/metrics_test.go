// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/server/datapoints"
	"github.com/leatstream/leat/shardstore"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

const catalogue = "../docs/metrics.md"

// liveIn starts a `leat dev` in a folder, with the time after which records are packed, and stops it with the test.
func liveIn(t testing.TB, dir string, packEvery time.Duration, change ...func(*DevConfig)) *Server {
	t.Helper()
	c := DevConfig{DataDir: dir, Common: Common{
		HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", PackEvery: packEvery, ShardLimits: "off", LogLevel: "error",
	}}
	for _, f := range change {
		f(&c)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := Dev(ctx, c, "test")
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	return s
}

// aws calls an operation of the Kinesis API.
func aws(t testing.TB, s *Server, operation, body string) (answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTPAddr()+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	res, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", operation, res.Status, text, err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer
}

// makeStream makes a stream of one shard and waits until it takes records.
func makeStream(t testing.TB, s *Server, name string) {
	t.Helper()
	aws(t, s, "CreateStream", fmt.Sprintf(`{"StreamName":%q,"ShardCount":1}`, name))
	for deadline := time.Now().Add(time.Minute); ; {
		d := aws(t, s, "DescribeStreamSummary", fmt.Sprintf(`{"StreamName":%q}`, name))
		if d["StreamDescriptionSummary"].(map[string]any)["StreamStatus"] == "ACTIVE" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the stream does not become ACTIVE")
		}
	}
}

// used is a server that has done everything that has a metric: a stream with all of its own was written and read.
func used(t *testing.T) *Server {
	t.Helper()
	s := liveIn(t, t.TempDir(), time.Minute, func(c *DevConfig) {
		c.OTLP.Endpoint, c.MetricKeep = "http://127.0.0.1:1", time.Hour
	})
	makeStream(t, s, "s")
	aws(t, s, "EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["ALL"]}`)
	aws(t, s, "PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8="}`)
	it := aws(t, s, "GetShardIterator", `{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}`)
	aws(t, s, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q}`, it["ShardIterator"]))
	return s
}

// scrape returns the types of what /metrics has, and the series.
func scrape(t *testing.T, s *Server) (types map[string]string, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTPAddr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	types = map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(string(b), -1) {
		types[m[1]] = m[2]
	}
	return types, string(b)
}

// described is a metric as it was registered.
type described struct{ name, kind, labels, help string }

var descText = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

// registered returns Leat's own metrics, in the order of names.
func registered(t *testing.T, s *Server, types map[string]string) (all []described) {
	t.Helper()
	c := make(chan *prometheus.Desc)
	go func() {
		defer close(c)
		s.metrics.Describe(c)
		for _, m := range (&sharing{}).metrics() { // of `leat serve` alone
			m.Describe(c)
		}
	}()
	for d := range c {
		if !strings.Contains(d.String(), `fqName: "leat_`) {
			continue // the Go runtime's and the process's
		}
		m := descText.FindStringSubmatch(d.String())
		if m == nil {
			t.Errorf("this descriptor cannot be read: %s", d)
			continue
		}
		kind := types[m[1]]
		switch { // one that this server has no series of is told by its name
		case kind != "":
		case strings.HasSuffix(m[1], "_total"):
			kind = "counter"
		default:
			kind = "gauge"
		}
		all = append(all, described{m[1], kind, strings.ReplaceAll(m[3], ",", ", "), strings.ReplaceAll(m[2], `\"`, `"`)})
	}
	slices.SortFunc(all, func(a, b described) int { return cmp.Compare(a.name, b.name) })
	return all
}

// TestMetricsAreDocumented holds docs/metrics.md against what is registered; -update writes it.
func TestMetricsAreDocumented(t *testing.T) {
	s := used(t)
	types, _ := scrape(t, s)
	var b strings.Builder
	b.WriteString(`# Metrics

Every node serves these on ` + "`GET /metrics`" + ` of its HTTP port, in the form of Prometheus. The table is made from what the server registers
(` + "`go test ./server -run TestMetricsAreDocumented -update`" + `) and a test holds it against that. ` + "`go_…` and `process_…`" + ` come with it, as every program of
Go has them.

Series of streams and shards are those of [enhanced monitoring](on-demand.md#seeing-it-on-metrics), which also says which metric of CloudWatch is which of these.
Alerts and objectives: [deploy/prometheus](../deploy/prometheus/leat.rules.yaml), [runbooks](runbooks/README.md).

| name | kind | labels | what it is |
|---|---|---|---|
`)
	for _, d := range registered(t, s, types) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, d.labels, d.help)
	}
	b.WriteString(`
## The names of CloudWatch

The [CloudWatch API](compat.md#cloudwatch) on the same port has these, by the minute, of all nodes together: calls are counted by the node that was
asked, what shards take and give by their owner. Where /metrics has the same thing the last column says as what; of streams and shards for those of
enhanced monitoring.

| namespace | metric | unit | dimensions | on /metrics |
|---|---|---|---|---|
`)
	for _, k := range datapoints.All() {
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", k.Space, k.Name, k.Unit, dimensionsOf(k), onMetrics(t, k, types))
	}
	if *update {
		if err := os.WriteFile(catalogue, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(catalogue)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("docs/metrics.md is stale: run go test ./server -run TestMetricsAreDocumented -update")
	}
}

// dimensionsOf says of what a metric of CloudWatch is told.
func dimensionsOf(k datapoints.Known) string {
	switch {
	case strings.HasPrefix(k.Name, "SubscribeToShard"):
		return "StreamName and ConsumerName"
	case k.Metric == datapoints.IteratorAge, k.Metric == datapoints.OutgoingBytes, k.Metric == datapoints.OutgoingRecords:
		return "StreamName and ShardId"
	case k.Space == datapoints.Streams && slices.Contains([]datapoints.Metric{datapoints.IncomingBytes, datapoints.IncomingRecords, datapoints.ReadExceeded, datapoints.WriteExceeded}, k.Metric):
		return "StreamName; and ShardId"
	}
	return k.Space.Resource()
}

// onMetrics is the same thing on /metrics, where it is there.
func onMetrics(t *testing.T, k datapoints.Known, types map[string]string) string {
	t.Helper()
	same := map[string]string{
		"AWS/Kinesis IncomingBytes": "leat_stream_incoming_bytes_total", "AWS/Kinesis IncomingRecords": "leat_stream_incoming_records_total",
		"AWS/Kinesis OutgoingBytes": "leat_shard_outgoing_bytes_total", "AWS/Kinesis OutgoingRecords": "leat_shard_outgoing_records_total",
		"AWS/Kinesis WriteProvisionedThroughputExceeded": "leat_stream_write_throttled_total", "AWS/Kinesis ReadProvisionedThroughputExceeded": "leat_stream_read_throttled_total",
		"AWS/Kinesis IteratorAgeMilliseconds": "leat_shard_iterator_age_seconds", "AWS/Kinesis GetRecords.IteratorAgeMilliseconds": "leat_stream_iterator_age_seconds",
		"AWS/Kinesis PutRecords.Latency": "leat_put_duration_seconds", "AWS/Kinesis GetRecords.Latency": "leat_read_duration_seconds",
	}[k.Space.String()+" "+k.Name]
	delivered := map[datapoints.Metric]string{
		datapoints.S3Bytes: "leat_delivery_bytes_total", datapoints.S3Records: "leat_delivery_records_total",
		datapoints.S3Success: "leat_delivery_objects_total", datapoints.S3Freshness: "leat_delivery_lag_seconds",
	}[k.Metric]
	switch {
	case delivered != "" && k.Space == datapoints.Deliveries:
		return "`" + delivered + "`" // there with the first delivery
	case same == "":
		return ""
	}
	if types[same] == "" {
		t.Errorf("%s is told to be %s, which is not on /metrics", k.Name, same)
	}
	return "`" + same + "`"
}

var metricName = regexp.MustCompile(`\b(?:leat|go|process)_[a-z0-9_]+`)

// TestRulesAndPanelsNameWhatIsExported scrapes a server and looks there for each metric that deploy/ names.
func TestRulesAndPanelsNameWhatIsExported(t *testing.T) {
	types, text := scrape(t, used(t))
	files, err := filepath.Glob("../deploy/grafana/dashboards/*.json")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	documented, err := os.ReadFile(catalogue) // which is held against the binary: series of deliveries are there with the first of them
	if err != nil {
		t.Fatal(err)
	}
	known := func(name string) bool {
		if types[name] != "" || strings.Contains(string(documented), "| `"+name+"` |") {
			return true
		}
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			if base, ok := strings.CutSuffix(name, part); ok && types[base] == "histogram" {
				return true
			}
		}
		return false
	}
	expr := regexp.MustCompile(`(?m)"(?:expr|query)": "(.*?[^\\])"|^ +expr: (.*)$`)
	for _, file := range append(files, "../deploy/prometheus/leat.rules.yaml") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range expr.FindAllStringSubmatch(string(b), -1) {
			for _, name := range metricName.FindAllString(m[1]+m[2], -1) {
				found++
				if !known(name) {
					t.Errorf("%s names %s, which the server does not export", filepath.Base(file), name)
				}
			}
		}
		if found < 10 {
			t.Errorf("%s: %d metrics were found", file, found)
		}
		// The values of labels that rules count on.
		for _, o := range []string{"ok", "error", "unknown"} {
			if !strings.Contains(text, `leat_put_records_total{outcome="`+o+`"}`) {
				t.Errorf("no series of the outcome %s", o)
			}
		}
		if regexp.MustCompile(`[{,]le="\d+"`).Match(b) {
			t.Errorf(`%s has a whole number as le: Prometheus 3 stores 1 as 1.0, so match both by le=~"1(\\.0)?"`, filepath.Base(file))
		}
		for _, bound := range regexp.MustCompile(`(leat_[a-z_]+_bucket)\{le=~?"([0-9.]+)`).FindAllStringSubmatch(string(b), -1) {
			if !strings.Contains(text, bound[1]+`{le="`+bound[2]+`"}`) {
				t.Errorf("%s counts on the bucket %s of %s", filepath.Base(file), bound[2], bound[1])
			}
		}
	}
	if known("leat_no_such_thing") {
		t.Error("this test takes any name")
	}
}

// Each alert has a runbook that is there and says so, and each runbook an alert.
func TestAlertsHaveRunbooks(t *testing.T) {
	b, err := os.ReadFile("../deploy/prometheus/leat.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pairs := regexp.MustCompile(`(?s)- alert: (\w+).*?runbook_url: \S*/docs/runbooks/(\S+)\n`).FindAllStringSubmatch(string(b), -1)
	if len(pairs) != strings.Count(string(b), "- alert: ") || len(pairs) < 20 {
		t.Fatalf("%d alerts with a runbook", len(pairs))
	}
	linked := map[string]bool{"README.md": true}
	for _, p := range pairs {
		linked[p[2]] = true
		text, err := os.ReadFile(filepath.Join("../docs/runbooks", p[2]))
		if err != nil {
			t.Error(err)
		} else if title, _, _ := strings.Cut(string(text), "\n"); !strings.Contains(title, p[1]) {
			t.Errorf("%s is not about %s", p[2], p[1])
		}
	}
	all, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if !linked[filepath.Base(file)] {
			t.Errorf("no alert links %s", file)
		}
	}
}

// The metrics of a server that lets everybody in name accounts and streams: no page reads them whose name was pointed here.
func TestMetricsAreForNoPage(t *testing.T) {
	s := liveIn(t, t.TempDir(), time.Minute)
	for host, want := range map[string]int{"localhost:4567": http.StatusOK, "127.0.0.1": http.StatusOK, "evil.example": http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodGet, "http://"+host+"/metrics", nil)
		w := httptest.NewRecorder()
		if s.handler().ServeHTTP(w, r); w.Code != want {
			t.Errorf("as %s: %d, want %d", host, w.Code, want)
		}
	}
}

// The chart carries copies, since a chart reads no file outside of it.
func TestChartHasTheSameRulesAndDashboards(t *testing.T) {
	files, err := filepath.Glob("../deploy/helm/leat/files/*")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		copied, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		from := "../deploy/grafana/dashboards/"
		if strings.HasSuffix(file, ".yaml") {
			from = "../deploy/prometheus/"
		}
		original, err := os.ReadFile(from + filepath.Base(file))
		if err != nil || string(original) != string(copied) {
			t.Errorf("%s differs from %s: copy that there (%v)", file, from, err)
		}
	}
}

// still is an engine that does nothing.
type still struct{ *measuredEngine }

func (still) Append(context.Context, []shardstore.Put) error { return nil }

// BenchmarkMeasuredPut is what counting and timing adds to a put that takes no time.
func BenchmarkMeasuredPut(b *testing.B) {
	m := newMeasuredEngine(still{})
	puts := make([]shardstore.Put, 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := m.Append(context.Background(), puts); err != nil {
				b.Error(err)
			}
		}
	})
}
