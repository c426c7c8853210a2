// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// A stop says so, refuses what is new, and is not held up by a subscription.
func TestStop(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	watch, err := grpc_health_v1.NewHealthClient(r.conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	r.must(err)
	_, err = watch.Recv()
	r.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.server.Stop(ctx)
	}()
	r.poll("draining", func() bool { return r.rest(http.MethodGet, "/readyz", nil).code == http.StatusServiceUnavailable })
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Fatal("the stop is held up")
	}
	for err == nil { // what the watch had to say, then its end
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ended with %v", err)
	}
	if _, err := r.streams.ListStreams(t.Context(), &leatv1.ListStreamsRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("after the stop gRPC answered %v", err)
	}
	if a := r.rest(http.MethodGet, "/v1/streams", nil); a.code != http.StatusServiceUnavailable && a.code != 499 {
		t.Errorf("after the stop REST answered %d %s", a.code, a.body)
	}
}
