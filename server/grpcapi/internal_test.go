// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/leatstream/leat/server/auth"
)

const (
	nodeService = "leat.internal.v1.Test"
	nodeMethod  = "/" + nodeService + "/Echo"
)

// nodes is a service for other nodes, which know each other by a word.
type nodes struct{}

func (nodes) Owns(method string) bool { return strings.HasPrefix(method, "/"+nodeService+"/") }

func (nodes) Authenticate(ctx context.Context, method string) error {
	if word := metadata.ValueFromIncomingContext(ctx, "word"); method != nodeMethod || !slices.Equal(word, []string{"friend"}) {
		return status.Error(codes.Unauthenticated, "not a node")
	}
	return nil
}

func (nodes) Register(g grpc.ServiceRegistrar) {
	g.RegisterService(&grpc.ServiceDesc{ServiceName: nodeService, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			in := &emptypb.Empty{}
			if err := dec(in); err != nil {
				return nil, err
			}
			return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: nodeMethod}, func(context.Context, any) (any, error) { return in, nil })
		},
	}}}, nodes{})
}

// What is for other nodes takes their credential and no client's, and is not told of.
func TestInternal(t *testing.T) {
	token, err := auth.NewBootstrap("the-token-of-a-client", "000000000000")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, options{auth: token, token: "the-token-of-a-client", internal: nodes{}})
	r.stream("s", 1) // the client's token is good
	if err := r.conn.Invoke(t.Context(), nodeMethod, &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a client was answered %v", err)
	}
	r.token = "" // a node has none
	friend := metadata.AppendToOutgoingContext(t.Context(), "word", "friend")
	r.must(r.conn.Invoke(friend, nodeMethod, &emptypb.Empty{}, &emptypb.Empty{}))

	lister, err := reflectionv1.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
	r.must(err)
	r.must(lister.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
	answer, err := lister.Recv()
	r.must(err)
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	if slices.Contains(names, nodeService) || !slices.Contains(names, "leat.v1.RecordService") {
		t.Errorf("reflection lists %v", names)
	}
}
