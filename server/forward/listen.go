// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat/internal/wiremem"
)

// NewGRPC makes a gRPC server that has this service alone, for a port that only other nodes reach. tls may be nil.
func (s *Server) NewGRPC(tls credentials.TransportCredentials) *grpc.Server {
	memory := new(wiremem.Pool)
	opts := []grpc.ServerOption{
		grpc.UnaryInterceptor(s.guarded), grpc.ForceServerCodecV2(codec{wiremem.NewCodec(memory)}), experimental.BufferPool(memory),
		grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxSendMsgSize(maxMessageBytes),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(connWindow),
		grpc.ReadBufferSize(connBuffer), grpc.WriteBufferSize(connBuffer),
	}
	if tls != nil {
		opts = append(opts, grpc.Creds(tls))
	}
	g := grpc.NewServer(opts...)
	s.Register(g)
	return g
}

// guarded lets nodes of the cluster alone in, and turns a panic into an error that says nothing of what was executed.
func (s *Server) guarded(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a call of another node failed", "method", info.FullMethod, "error", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			resp, err = nil, status.Error(codes.Internal, "internal error")
		}
	}()
	if err := s.Authenticate(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}
