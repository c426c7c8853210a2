// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// departure notes whether the request of a call has left for the server.
type departure struct {
	left atomic.Bool
	back func() // what is done when the request has come back; nil: nothing
}

type departureKey struct{}

// departures is a stats.Handler that marks a call's departure when its headers are written. What has not got so far was
// certainly not executed; an error's text or code does not tell. Nor was what gRPC begins anew by itself: it does so once the server, or the
// connection before it, has said that it did nothing with the request.
type departures struct{}

func (departures) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (departures) HandleRPC(ctx context.Context, s stats.RPCStats) {
	d, ok := ctx.Value(departureKey{}).(*departure)
	if !ok {
		return
	}
	switch s := s.(type) {
	case *stats.OutHeader:
		d.left.Store(true)
	case *stats.Begin:
		if s.IsTransparentRetryAttempt {
			d.left.Store(false)
			if d.back != nil {
				d.back()
			}
		}
	}
}

func (departures) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (departures) HandleConn(context.Context, stats.ConnStats)                       {}

// unary makes the errors of every call *leat.Error.
func (c *Client) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	d, ok := ctx.Value(departureKey{}).(*departure)
	if !ok {
		d = &departure{}
		ctx = context.WithValue(ctx, departureKey{}, d)
	}
	err := invoke(ctx, method, req, reply, cc, opts...)
	return c.convert(method, err, d.left.Load())
}

// streaming makes the errors of every stream *leat.Error.
func (c *Client) streaming(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	d := &departure{}
	s, err := open(context.WithValue(ctx, departureKey{}, d), desc, cc, method, opts...)
	if err != nil {
		return nil, c.convert(method, err, d.left.Load())
	}
	return &convertingStream{s, c, method, d}, nil
}

type convertingStream struct {
	grpc.ClientStream
	client *Client
	method string
	sent   *departure
}

// SendMsg converts errors but io.EOF, which tells the caller to look at RecvMsg.
func (s *convertingStream) SendMsg(m any) error { return s.wrap(s.ClientStream.SendMsg(m)) }

// RecvMsg converts errors but io.EOF, the end of the stream.
func (s *convertingStream) RecvMsg(m any) error { return s.wrap(s.ClientStream.RecvMsg(m)) }

func (s *convertingStream) wrap(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return s.client.convert(s.method, err, s.sent.left.Load())
}
