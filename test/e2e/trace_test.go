// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/leatstream/leat/internal/otlptest"
	"github.com/leatstream/leat/test/e2e/rig"
)

// TestTraceOfAForwardedPut: a put at one node, for a shard of another, is one trace from the edge to the bucket.
func TestTraceOfAForwardedPut(t *testing.T) {
	t.Parallel()
	to := otlptest.Start(t, nil)
	c := rig.NewCluster(t, rig.SharedBackend(t), 2, "--otlp-endpoint", "http://"+to.Address, "--trace-sample", "0", "--log-level", "debug", "--log-format", "json")
	c.Start(t)
	const shards = 4
	rig.Must(t, c.Nodes[0].Env(), "stream", "create", "traced", "--shards", fmt.Sprint(shards))
	c.AwaitBalance(t, 2, 1, rig.Patience)
	all, err := c.Shards(t.Context(), 0, "traced")
	if err != nil {
		t.Fatal(err)
	}
	// Every shard at one node: half of the puts are forwarded. Each is a trace of its own, as its caller says.
	for i, s := range all {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent(i), "x-request-id", fmt.Sprintf("request-%d", i))
		if _, err := c.Put(ctx, 0, "traced", s, []byte("the secret data")); err != nil {
			t.Fatal(err)
		}
	}
	whole := []string{"PutRecord", "authorise", "forward", "serve Append", "append", "segment commit", "segment encode", "store create"}
	var trace map[string]otlptest.Span
	to.Await(t, func(spans []otlptest.Span) bool {
		for i := range all {
			trace = map[string]otlptest.Span{}
			for _, s := range spans {
				if s.Trace == traceOf(i) {
					trace[s.Name] = s
				}
			}
			if !slices.ContainsFunc(whole, func(name string) bool { _, ok := trace[name]; return !ok }) {
				return true
			}
		}
		return false
	})
	for child, of := range map[string]string{
		"authorise": "PutRecord", "forward": "PutRecord", "serve Append": "forward", "append": "serve Append", "segment commit": "append",
		"segment encode": "segment commit", "store create": "segment commit",
	} {
		if trace[child].Parent != trace[of].ID {
			t.Errorf("%s is not a part of %s", child, of)
		}
	}
	edge, there := trace["PutRecord"], trace["append"]
	if edge.Node != "node-1" || trace["forward"].Node != "node-1" || there.Node != "node-2" || trace["store create"].Node != "node-2" {
		t.Errorf("the nodes of the spans: %+v", trace)
	}
	if edge.Attributes["leat.stream"] != "traced" || edge.Attributes["leat.edge"] != "grpc" || !strings.HasPrefix(edge.Attributes["leat.request_id"], "request-") || !strings.HasPrefix(there.Attributes["leat.shard"], "shardId-") {
		t.Errorf("the attributes of the put: %v; of the append: %v", edge.Attributes, there.Attributes)
	}
	if !slices.Contains(there.Links, trace["segment commit"].ID) {
		t.Errorf("the append has no link to its commit: %v", there.Links)
	}
	for _, s := range to.Spans() {
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, "secret") {
			t.Errorf("a span tells a record: %s", text)
		}
		if !slices.ContainsFunc([]int{0, 1, 2, 3}, func(i int) bool { return s.Trace == traceOf(i) }) {
			t.Errorf("a trace that nobody asked for: %+v", s)
		}
	}
	// What fails is in the log under the request's id and its trace.
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent(9), "x-request-id", "request-9")
	if err := putNowhere(ctx, c); err == nil {
		t.Fatal("a put to no stream succeeds")
	}
	if log := c.Nodes[0].Log(); !strings.Contains(log, `"request_id":"request-9"`) || !strings.Contains(log, `"trace_id":"`+traceOf(9)+`"`) {
		t.Error("the log does not name the request that failed and its trace")
	}
	c.Stop(t)
}

func putNowhere(ctx context.Context, c *rig.Cluster) error {
	shards, err := c.Shards(ctx, 0, "traced")
	if err != nil {
		return err
	}
	_, err = c.Put(ctx, 0, "nowhere", shards[0], []byte("x"))
	return err
}

func traceOf(i int) string { return fmt.Sprintf("0af7651916cd43dd8448eb211c8031%02x", i) }

func parent(i int) string { return "00-" + traceOf(i) + "-b7ad6b7169203331-01" }
