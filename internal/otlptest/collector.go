// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlptest is an OpenTelemetry collector for tests: it takes traces over OTLP/gRPC as a real one does, and keeps
// them.
package otlptest

import (
	"context"
	"encoding/hex"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// Patience is how long Await waits.
const Patience = 30 * time.Second

// Collector is a collector that runs until its test ends.
type Collector struct {
	otlp.UnimplementedTraceServiceServer
	Address string // HOST:PORT

	server  *grpc.Server
	mu      sync.Mutex
	spans   []Span
	headers []metadata.MD
	came    chan struct{} // closed when something comes
}

// Span is a span as it was sent. Ids are hexadecimal.
type Span struct {
	Node       string // service.instance.id
	Name       string
	Trace      string
	ID, Parent string
	Attributes map[string]string
	Links      []string // ids of spans
	Failed     bool
}

// Start starts a collector on a port of the kernel's choice. tls may be nil.
func Start(tb testing.TB, tls credentials.TransportCredentials) *Collector {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c := &Collector{Address: l.Addr().String(), came: make(chan struct{})}
	var opts []grpc.ServerOption
	if tls != nil {
		opts = append(opts, grpc.Creds(tls))
	}
	c.server = grpc.NewServer(opts...)
	otlp.RegisterTraceServiceServer(c.server, c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.server.Serve(l) // ends with Stop
	}()
	tb.Cleanup(func() {
		c.server.Stop()
		<-done
	})
	return c
}

// Export takes spans.
func (c *Collector) Export(ctx context.Context, req *otlp.ExportTraceServiceRequest) (*otlp.ExportTraceServiceResponse, error) {
	head, _ := metadata.FromIncomingContext(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, head)
	for _, r := range req.GetResourceSpans() {
		node := attributes(r.GetResource().GetAttributes())["service.instance.id"]
		for _, s := range r.GetScopeSpans() {
			for _, one := range s.GetSpans() {
				c.spans = append(c.spans, spanOf(node, one))
			}
		}
	}
	close(c.came)
	c.came = make(chan struct{})
	return &otlp.ExportTraceServiceResponse{}, nil
}

func spanOf(node string, s *trace.Span) Span {
	out := Span{
		Node: node, Name: s.GetName(), Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Attributes: attributes(s.GetAttributes()), Failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR,
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetSpanId()))
	}
	return out
}

func attributes(all []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		default:
			out[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return out
}

// Spans returns what has come.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Headers returns the headers of each call.
func (c *Collector) Headers() []metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Await returns what has come once it is enough.
func (c *Collector) Await(tb testing.TB, enough func([]Span) bool) []Span {
	tb.Helper()
	over := time.After(Patience)
	for {
		c.mu.Lock()
		came := c.came
		c.mu.Unlock()
		if all := c.Spans(); enough(all) {
			return all
		}
		select {
		case <-came:
		case <-over:
			tb.Fatalf("the collector waits in vain: it has %+v", c.Spans())
		}
	}
}
