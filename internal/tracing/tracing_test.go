// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/otlptest"
	"github.com/leatstream/leat/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, o tracing.Options) *tracing.Tracer {
	t.Helper()
	o.Plain, o.Version, o.Node = true, "test", "node-1"
	tr, err := tracing.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

func named(all []otlptest.Span, name string) (s otlptest.Span) {
	for _, s = range all {
		if s.Name == name {
			return s
		}
	}
	return otlptest.Span{}
}

// TestSpansReachTheCollector: a request with parts, an error and a link, in the trace of its caller.
func TestSpansReachTheCollector(t *testing.T) {
	c := otlptest.Start(t, nil)
	tr := open(t, tracing.Options{Endpoint: c.Address, Sample: 0, Headers: map[string]string{"x-key": "secret"}})
	h := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	ctx, request := tr.Request(tr.FromHTTP(t.Context(), h), leat.EdgeKinesis, "PutRecords")
	request.On("123456789012", "orders")
	request.Size(3, 99)
	other, part := tr.Begin(ctx, "append")
	part.Link(ctx)
	_ = other
	part.End(leat.Errorf(leat.KindUnavailable, "the text with data"))
	request.End(nil)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	all := c.Await(t, func(all []otlptest.Span) bool { return len(all) == 2 })
	r, p := named(all, "PutRecords"), named(all, "append")
	if r.Trace != "0af7651916cd43dd8448eb211c80319c" || r.Parent != "b7ad6b7169203331" || p.Trace != r.Trace || p.Parent != r.ID || r.Node != "node-1" {
		t.Errorf("the spans do not hang together: %+v", all)
	}
	if r.Attributes["leat.account"] != "123456789012" || r.Attributes["leat.stream"] != "orders" || r.Attributes["leat.edge"] != "kinesis" || r.Failed {
		t.Errorf("the request is %+v", r)
	}
	if !p.Failed || p.Attributes["error.type"] != "UNAVAILABLE" || len(p.Links) != 1 || p.Links[0] != r.ID {
		t.Errorf("its part is %+v", p)
	}
	if got := c.Headers()[0].Get("x-key"); len(got) != 1 || got[0] != "secret" {
		t.Errorf("the collector got the header %q", got)
	}
}

// TestSampler: the caller decides; otherwise the ratio does.
func TestSampler(t *testing.T) {
	for _, tc := range []struct {
		about  string
		sample float64
		parent string
		want   bool
	}{
		{"none", 0, "", false},
		{"all", 1, "", true},
		{"the caller wants it", 0, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
		{"the caller does not want it", 1, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false},
		{"a caller who says nothing that can be read", 0, "00-zz-b7ad6b7169203331-01", false},
	} {
		t.Run(tc.about, func(t *testing.T) {
			c := otlptest.Start(t, nil)
			tr := open(t, tracing.Options{Endpoint: c.Address, Sample: tc.sample})
			in := metadata.NewIncomingContext(t.Context(), metadata.Pairs("traceparent", tc.parent))
			ctx, request := tr.Request(tr.FromGRPC(in), leat.EdgeGRPC, "op")
			_, part := tr.Begin(ctx, "part")
			if part.Followed() != tc.want || request.Followed() != tc.want {
				t.Errorf("followed: %t, %t; want %t", request.Followed(), part.Followed(), tc.want)
			}
			// The next node does as this one.
			out, _ := metadata.FromOutgoingContext(tr.ToGRPC(ctx))
			next, span := tr.Serve(tr.FromGRPC(metadata.NewIncomingContext(t.Context(), out)), "serve")
			if span.Followed() != tc.want {
				t.Errorf("followed at the next node: %t", span.Followed())
			}
			_ = next
			span.End(nil)
			part.End(nil)
			request.End(nil)
			_ = tr.Close()
			if n := len(c.Spans()); n != map[bool]int{true: 3}[tc.want] {
				t.Errorf("%d spans came", n)
			}
		})
	}
}

// TestDeadCollector: nothing waits for a collector that is away or takes nothing in, memory is bounded, what is dropped is
// counted, and the stop is quick.
func TestDeadCollector(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for about, address := range map[string]string{"silent": silent.Addr().String(), "gone": gone.Addr().String()} {
		t.Run(about, func(t *testing.T) {
			var log bytes.Buffer
			tr := open(t, tracing.Options{Endpoint: address, Sample: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			const spans = 100_000
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			for range spans {
				_, s := tr.Request(t.Context(), leat.EdgeGRPC, "op")
				s.On("123456789012", "orders")
				s.End(nil)
			}
			took := time.Since(began)
			runtime.GC()
			runtime.ReadMemStats(&after)
			if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 64<<20 {
				t.Errorf("%d MiB are kept of %d spans", kept>>20, spans)
			}
			if took > 10*time.Second {
				t.Errorf("%d spans took %v", spans, took)
			}
			if dropped := count(t, tr, "dropped"); dropped < spans/2 {
				t.Errorf("%g of %d spans are counted as dropped", dropped, spans)
			}
			began = time.Now()
			_ = tr.Close()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the stop took %v", took)
			}
			if count(t, tr, "dropped")+count(t, tr, "failed") != spans || count(t, tr, "sent") != 0 {
				t.Errorf("dropped %g, failed %g, sent %g of %d", count(t, tr, "dropped"), count(t, tr, "failed"), count(t, tr, "sent"), spans)
			}
			if n := strings.Count(log.String(), "\n"); n > 1 {
				t.Errorf("it is told more than once:\n%s", log.String())
			}
		})
	}
}

func count(t *testing.T, tr *tracing.Tracer, outcome string) float64 {
	t.Helper()
	vec, ok := tr.Metrics().(*prometheus.CounterVec)
	if !ok {
		t.Fatal("the metrics are no counters")
	}
	var m dto.Metric
	if err := vec.WithLabelValues(outcome).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestOff: a nil tracer does nothing, without allocating.
func TestOff(t *testing.T) {
	var tr *tracing.Tracer
	ctx, fault := t.Context(), errors.New("x")
	h := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	if n := testing.AllocsPerRun(100, func() {
		c, request := tr.Request(tr.FromHTTP(ctx, h), leat.EdgeGRPC, "op")
		c, part := tr.Begin(tr.FromGRPC(c), "part")
		c, call := tr.Call(tr.ToGRPC(c), "call")
		c, served := tr.Serve(c, "served")
		_, work := tr.Work(tr.Carry(c, ctx), "work")
		for _, s := range []tracing.Span{request, part, call, served, work, tr.Current(c)} {
			s.On("a", "s")
			s.Size(1, 2)
			s.Text("a", "b")
			s.Number("a", 1)
			s.Link(ctx)
			s.Fail(leat.KindInternal)
			s.End(fault)
		}
	}); n != 0 {
		t.Errorf("tracing that is off allocates %g times", n)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// TestLogs: a line that is logged with the context of something followed leads to its trace.
func TestLogs(t *testing.T) {
	c := otlptest.Start(t, nil)
	tr := open(t, tracing.Options{Endpoint: c.Address, Sample: 0})
	var b bytes.Buffer
	log := slog.New(tr.Logs(slog.NewTextHandler(&b, nil))).With("node", "n").WithGroup("g")
	log.InfoContext(t.Context(), "one")
	h := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	ctx, s := tr.Request(tr.FromHTTP(context.Background(), h), leat.EdgeGRPC, "op")
	log.InfoContext(ctx, "two")
	s.End(nil)
	lines := strings.Split(b.String(), "\n")
	if strings.Contains(lines[0], "trace_id") || !strings.Contains(lines[1], "trace_id=0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("logged:\n%s", b.String())
	}
}
