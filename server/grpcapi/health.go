// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// healthService follows the node: SERVING while it takes and serves records. The empty name and each service of the API
// have the same answer.
type healthService struct {
	grpc_health_v1.UnimplementedHealthServer
	*Server
	services map[string]grpc.ServiceInfo // of the API
}

// watchEvery is how soon a watcher learns of a change.
const watchEvery = time.Second

func (h healthService) now(service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	_, known := h.services[service]
	switch {
	case service != "" && !known:
		return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
	case h.state() == leatv1.ServerState_SERVER_STATE_SERVING:
		return grpc_health_v1.HealthCheckResponse_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_NOT_SERVING
}

// Check answers once; NotFound for a service that is not there, as gRPC's health protocol says.
func (h healthService) Check(_ context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	st := h.now(req.GetService())
	if st == grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "unknown service")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: st}, nil
}

// Watch answers at once and at every change.
func (h healthService) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	last := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		if st := h.now(req.GetService()); st != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: st}); err != nil {
				return err
			}
			last = st
		}
		tick, cancel := h.clock.NewTimer(watchEvery)
		select {
		case <-tick:
		case <-stream.Context().Done():
			cancel()
			return status.FromContextError(stream.Context().Err()).Err()
		case <-h.stop:
			cancel()
			return status.Error(codes.Unavailable, "the server is stopping")
		}
	}
}

// healthz says that the process answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	s.answerJSON(w, http.StatusOK, map[string]any{"status": "ok"})
}

// readyz says whether the node takes and serves records, and if not why.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	reasons := reasons(s.ready())
	if s.draining.Load() {
		reasons = append(reasons, "the server is stopping")
	}
	if len(reasons) > 0 {
		s.answerJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reasons": reasons})
		return
	}
	s.answerJSON(w, http.StatusOK, map[string]any{"status": "ready"})
}

// reasons are the messages of an error, or of each that it joins. Causes stay in the log.
func reasons(err error) []string {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the join itself, not what it wraps
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, reasons(e)...)
		}
		return all
	}
	if e, _ := kindOf(err); e.Message != "" {
		return []string{e.Message}
	}
	return []string{"the node cannot serve"}
}

func (s *Server) answerJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("answer does not marshal", "error", err)
		code, body = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // fails only when the caller is gone
}

// openapi serves the document that is generated from the protos.
func (s *Server) openapi(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	http.ServeContent(w, r, "openapi.json", time.Time{}, strings.NewReader(leatv1.OpenAPI()))
}
