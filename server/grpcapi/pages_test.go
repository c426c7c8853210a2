// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func TestHealthFollowsTheNode(t *testing.T) {
	var down atomic.Bool
	r := newRig(t, options{ready: func() error {
		if down.Load() {
			return errors.Join(leat.Errorf(leat.KindUnavailable, "no session is open"), errors.New("dial postgres://secret"))
		}
		return nil
	}})
	health := grpc_health_v1.NewHealthClient(r.conn)
	check := func(service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
		t.Helper()
		res, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		r.must(err)
		return res.GetStatus()
	}
	watch, err := health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "leat.v1.RecordService"})
	r.must(err)
	next := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		t.Helper()
		res, err := watch.Recv()
		r.must(err)
		return res.GetStatus()
	}
	const serving, not = grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if check("") != serving || check("leat.v1.RecordService") != serving || next() != serving {
		t.Error("a ready node is not SERVING")
	}
	services := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("leat.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			services++
			if name := string(file.Services().Get(i).FullName()); check(name) != serving {
				t.Errorf("%s is not SERVING", name)
			}
		}
		return true
	})
	if services < 12 {
		t.Errorf("%d services were found", services)
	}
	if a := r.rest(http.MethodGet, "/readyz", nil); a.code != http.StatusOK {
		t.Errorf("readyz: %d %s", a.code, a.body)
	}
	down.Store(true)
	if check("") != not || next() != not {
		t.Error("a node that is not ready is SERVING")
	}
	a := r.rest(http.MethodGet, "/readyz", nil)
	if a.code != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "no session is open") || strings.Contains(string(a.body), "secret") {
		t.Errorf("readyz: %d %s", a.code, a.body)
	}
	if a := r.rest(http.MethodGet, "/healthz", nil); a.code != http.StatusOK {
		t.Errorf("healthz: %d %s", a.code, a.body)
	}
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown service: %v", err)
	}
	info, err := leatv1.NewSystemServiceClient(r.conn).GetServerInfo(t.Context(), &leatv1.GetServerInfoRequest{})
	r.must(err)
	if s := info.GetServer(); s.GetState() != leatv1.ServerState_SERVER_STATE_OPENING || len(s.GetSessionId()) != 32 || len(s.GetClusterId()) != 32 || s.GetRegion() != "eu-west-1" || s.GetShardLimits() != leatv1.ShardLimits_SHARD_LIMITS_OFF {
		t.Errorf("%v", s)
	}
}

func TestReflection(t *testing.T) {
	r := newRig(t, options{})
	c, err := grpc_reflection_v1.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
	r.must(err)
	r.must(c.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}))
	res, err := c.Recv()
	r.must(err)
	names := map[string]bool{}
	for _, s := range res.GetListServicesResponse().GetService() {
		names[s.GetName()] = true
	}
	for _, want := range []string{"leat.v1.StreamService", "leat.v1.ShardService", "leat.v1.RecordService", "leat.v1.ConsumerService", "leat.v1.SystemService", "grpc.health.v1.Health"} {
		if !names[want] {
			t.Errorf("%s is not served: %v", want, names)
		}
	}
	r.must(c.CloseSend())
}

// The page has every method and every type, and nothing that its own policy would refuse.
func TestReferencePage(t *testing.T) {
	r := newRig(t, options{})
	var doc struct {
		Paths       map[string]map[string]struct{ OperationID string }
		Definitions map[string]any
	}
	r.rest(http.MethodGet, "/openapi.json", nil).into(r, &doc)
	a := r.rest(http.MethodGet, "/docs", nil)
	page := string(a.body)
	if a.code != http.StatusOK || len(doc.Paths) < 10 {
		t.Fatalf("%d; %d paths", a.code, len(doc.Paths))
	}
	for path, methods := range doc.Paths {
		if !strings.Contains(page, path) {
			t.Errorf("%s is not on the page", path)
		}
		for _, m := range methods {
			if !strings.Contains(page, `id="`+m.OperationID+`"`) || !strings.Contains(page, `href="#`+m.OperationID+`"`) {
				t.Errorf("%s is not on the page", m.OperationID)
			}
		}
	}
	for name := range doc.Definitions {
		if !strings.Contains(page, `id="type-`+name+`"`) {
			t.Errorf("%s is not on the page", name)
		}
	}
	for _, link := range strings.Split(page, `href="#`)[1:] {
		if id, _, _ := strings.Cut(link, `"`); !strings.Contains(page, `id="`+id+`"`) {
			t.Errorf("the link to %s leads nowhere", id)
		}
	}
	policy := a.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "style-src 'sha256-") {
		t.Errorf("policy %q", policy)
	}
	for _, never := range []string{"<script", " style=", "src=", "ZgotmplZ", " onclick"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if a := r.rest(http.MethodGet, "/openapi.json", nil); !json.Valid(a.body) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("openapi.json: %v", a.header)
	}
}
