// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// queue lets so many spans wait to be sent, and no more: one that ends when it is full is dropped. Ending a span takes no
// lock that anything slow is done under.
type queue struct {
	sdk.SpanProcessor // batches them and calls send

	waiting atomic.Int64 // admitted, and neither sent nor failed
	spans   *prometheus.CounterVec
	dropped prometheus.Counter
	to      *sender
}

func newQueue(out sdk.SpanExporter, log *slog.Logger) *queue {
	q := &queue{spans: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "leat_trace_spans_total",
		Help: "Spans of traces by what became of them: sent, dropped because too many waited, or failed because the collector took no batch of them in time.",
	}, []string{"outcome"})}
	q.dropped = q.spans.WithLabelValues("dropped")
	q.to = &sender{out: out, q: q, log: log, sent: q.spans.WithLabelValues("sent"), failed: q.spans.WithLabelValues("failed"), over: make(chan struct{})}
	q.to.life, q.to.end = context.WithCancel(context.Background())
	q.SpanProcessor = sdk.NewBatchSpanProcessor(q.to, sdk.WithMaxQueueSize(queueSpans), sdk.WithMaxExportBatchSize(batchSpans),
		sdk.WithBatchTimeout(sendEvery), sdk.WithExportTimeout(2*sendWithin))
	return q
}

// drain sends what waits, as long as ctx lasts, and returns when nothing runs any more. It is called once.
func (q *queue) drain(ctx context.Context) {
	defer context.AfterFunc(ctx, q.to.end)() // a batch under way fails then, and those after it
	_ = q.Shutdown(ctx)                      // that a collector is away does not make a stop fail
	<-q.to.over
}

// OnEnd implements sdk.SpanProcessor. The processor beneath would drop in silence, so that it never gets too many.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if q.waiting.Add(1) > queueSpans {
		q.waiting.Add(-1)
		q.dropped.Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// sender sends batches, one after the other.
type sender struct {
	out          sdk.SpanExporter
	q            *queue
	log          *slog.Logger
	sent, failed prometheus.Counter

	life context.Context // of all sending
	end  context.CancelFunc
	over chan struct{} // closed by Shutdown, the last that the processor does

	mu   sync.Mutex
	away bool // the last batch has failed
}

// ExportSpans implements sdk.SpanExporter. Its errors end here: the SDK would print them by a logger of its own.
func (s *sender) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	defer s.q.waiting.Add(-int64(len(spans)))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	err := s.out.ExportSpans(ctx, spans)
	s.told(err)
	if err != nil {
		s.failed.Add(float64(len(spans)))
		return nil
	}
	s.sent.Add(float64(len(spans)))
	return nil
}

// told logs when the collector goes away and when it is back, not each batch between.
func (s *sender) told(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && !s.away && s.life.Err() == nil:
		s.log.Warn("traces are not sent: their collector takes none", "error", err)
	case err == nil && s.away:
		s.log.Info("traces are sent again")
	}
	s.away = err != nil
}

// Shutdown implements sdk.SpanExporter.
func (s *sender) Shutdown(ctx context.Context) error {
	defer close(s.over)
	s.end()
	return s.out.Shutdown(context.WithoutCancel(ctx)) // closes a connection: at once
}
