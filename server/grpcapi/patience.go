// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"github.com/leatstream/leat"
)

// Patience is how long callers may keep a node waiting, which holds memory for them meanwhile. gRPC itself waits for ever.
type Patience struct {
	Message  time.Duration // for a message to arrive whole
	Stranger time.Duration // the same of the one message of a call that needs no credential
	Answer   time.Duration // for a push to be taken in; of the answer to a unary call gRPC takes care alone, and waits (docs/limits.md)
}

func (p Patience) orDefaults() Patience {
	if p == (Patience{}) {
		return Patience{Message: time.Minute, Stranger: 10 * time.Second, Answer: 2 * time.Minute}
	}
	return p
}

// message is how long a message to a method may take.
func (p Patience) message(method string) time.Duration {
	if isAPI(method) {
		return p.Message
	}
	return p.Stranger
}

type hangUpKey struct{}

// tapped lets a call be ended while gRPC reads or writes for it, which heeds no other context than the one that this returns.
func tapped(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, hangUp := context.WithCancel(ctx) // gRPC ends the context above it with the call
	return context.WithValue(ctx, hangUpKey{}, hangUp), nil
}

// within does what waits for the other side of a call, and ends the call when that takes longer than d. Its caller then hears of
// CANCELED: gRPC says so itself.
func within(ctx context.Context, d time.Duration, what string, do func() error) error {
	hangUp, ok := ctx.Value(hangUpKey{}).(context.CancelFunc)
	if !ok { // between the gateway and the server inside, or between nodes, nobody dawdles
		return do()
	}
	var late atomic.Bool
	timer := time.AfterFunc(d, func() {
		late.Store(true)
		hangUp()
	})
	err := do()
	timer.Stop()
	if err != nil && late.Load() {
		return leat.Errorf(leat.KindCanceled, "%s within %v", what, d)
	}
	return err
}

// patientStream is a stream whose messages are not waited for for ever.
type patientStream struct {
	grpc.ServerStream
	patience Patience
	next     time.Duration // for the next message to arrive; those of strangers are hurried once, since later ones have no reason to come at once
}

func (s *patientStream) RecvMsg(m any) error {
	err := within(s.Context(), s.next, "a message did not arrive", func() error { return s.ServerStream.RecvMsg(m) })
	s.next = s.patience.Message
	return err
}

func (s *patientStream) SendMsg(m any) error {
	return within(s.Context(), s.patience.Answer, "a message was not taken in", func() error { return s.ServerStream.SendMsg(m) })
}
