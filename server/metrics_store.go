// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/shardstore/blob"
)

// measuredStore is an object store whose requests are timed, and followed: the log's, the packs', the readers'.
type measuredStore struct {
	store  blob.Store
	tracer *tracing.Tracer
	times  *prometheus.HistogramVec
	errors *prometheus.CounterVec
	op     map[string]prometheus.Observer
	failed map[string]prometheus.Counter
}

// storeOps are the requests of an object store.
var storeOps = [...]string{"create", "read", "stat", "list", "delete", "replace", "forget"}

func newMeasuredStore(s blob.Store, tracer *tracing.Tracer) *measuredStore {
	m := &measuredStore{store: s, tracer: tracer, op: map[string]prometheus.Observer{}, failed: map[string]prometheus.Counter{}}
	m.times = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "leat_store_request_duration_seconds", Buckets: callBuckets,
		Help: "Time of a request to the object store that was answered, to the end of its body: create, read, stat, list, delete; replace and forget of keys. Under leat dev the log does not go through the store.",
	}, []string{"op"})
	m.errors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "leat_store_request_errors_total",
		Help: "Requests to the object store without an answer that says what happened; those that Leat gave up itself are not counted.",
	}, []string{"op"})
	for _, op := range storeOps {
		m.op[op], m.failed[op] = m.times.WithLabelValues(op), m.errors.WithLabelValues(op)
	}
	return m
}

var (
	_ blob.Store  = (*measuredStore)(nil)
	_ blob.Linker = (*measuredStore)(nil)
	_ blob.Eraser = (*measuredStore)(nil)
)

// done counts one request. That an object stands or does not is an answer.
func (m *measuredStore) done(op string, began time.Time, err error) {
	switch {
	case err == nil, errors.Is(err, blob.ErrExists), errors.Is(err, blob.ErrNotFound):
		m.op[op].Observe(time.Since(began).Seconds())
	case !errors.Is(err, context.Canceled):
		m.failed[op].Inc()
	}
}

// endStore ends a request's span. That an object stands or does not is an answer.
func endStore(span tracing.Span, err error) {
	if errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
		err = nil
	}
	span.End(err)
}

// Create implements blob.Store.
func (m *measuredStore) Create(ctx context.Context, key string, body []byte) error {
	ctx, span := m.tracer.Call(ctx, "store create")
	if span.Followed() {
		span.Text("leat.object", key)
		span.Number("leat.object_bytes", int64(len(body)))
	}
	began := time.Now()
	err := m.store.Create(ctx, key, body)
	m.done("create", began, err)
	endStore(span, err)
	return err
}

// Link implements blob.Linker; errors.ErrUnsupported where the store is none. It counts as a create.
func (m *measuredStore) Link(ctx context.Context, key, file string) error {
	l, ok := m.store.(blob.Linker)
	if !ok {
		return errors.ErrUnsupported
	}
	began := time.Now()
	err := l.Link(ctx, key, file)
	m.done("create", began, err)
	return err
}

// Read implements blob.Store.
func (m *measuredStore) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	ctx, span := m.tracer.Call(ctx, "store read")
	began := time.Now()
	b, err := m.store.Read(ctx, key, off, length)
	m.done("read", began, err)
	if span.Followed() {
		span.Text("leat.object", key)
		span.Number("leat.object_bytes", int64(len(b)))
	}
	endStore(span, err)
	return b, err
}

// Stat implements blob.Store.
func (m *measuredStore) Stat(ctx context.Context, key string) (blob.Info, error) {
	ctx, span := m.tracer.Call(ctx, "store stat")
	began := time.Now()
	i, err := m.store.Stat(ctx, key)
	m.done("stat", began, err)
	endStore(span, err)
	return i, err
}

// List implements blob.Store.
func (m *measuredStore) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	ctx, span := m.tracer.Call(ctx, "store list")
	began := time.Now()
	all, err := m.store.List(ctx, prefix, after, limit)
	m.done("list", began, err)
	endStore(span, err)
	return all, err
}

// Delete implements blob.Store.
func (m *measuredStore) Delete(ctx context.Context, key string) error {
	ctx, span := m.tracer.Call(ctx, "store delete")
	began := time.Now()
	err := m.store.Delete(ctx, key)
	m.done("delete", began, err)
	endStore(span, err)
	return err
}

// Replace implements blob.Eraser; errors.ErrUnsupported where the store is none.
func (m *measuredStore) Replace(ctx context.Context, key string, body []byte) error {
	e, ok := m.store.(blob.Eraser)
	if !ok {
		return errors.ErrUnsupported
	}
	began := time.Now()
	err := e.Replace(ctx, key, body)
	m.done("replace", began, err)
	return err
}

// Forget implements blob.Eraser; errors.ErrUnsupported where the store is none.
func (m *measuredStore) Forget(ctx context.Context, prefix string, deleted bool) error {
	e, ok := m.store.(blob.Eraser)
	if !ok {
		return errors.ErrUnsupported
	}
	began := time.Now()
	err := e.Forget(ctx, prefix, deleted)
	m.done("forget", began, err)
	return err
}

// Describe implements prometheus.Collector.
func (m *measuredStore) Describe(c chan<- *prometheus.Desc) {
	m.times.Describe(c)
	m.errors.Describe(c)
}

// Collect implements prometheus.Collector.
func (m *measuredStore) Collect(c chan<- prometheus.Metric) {
	m.times.Collect(c)
	m.errors.Collect(c)
}
