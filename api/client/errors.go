// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
)

// convert turns the error of a call into a *leat.Error. Servers name the kind in an ErrorInfo; without one it comes from
// the connection or from a proxy, and then it matters whether the request had left: only a request that had not was
// certainly not executed.
//
// The gRPC status stays in the chain: status.FromError and errors.As find it.
func (c *Client) convert(method string, err error, left bool) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	e := &leat.Error{Op: operation(method), Message: st.Message(), Err: silent{err}}
	if named(e, st) {
		return e
	}
	switch code := st.Code(); {
	case code == codes.Unavailable && !left:
		e.Kind, e.Message = leat.KindUnavailable, "nothing answers at "+c.endpoint
	case code == codes.Unavailable:
		e.Kind, e.Message = leat.KindUnknownOutcome, "the connection to "+c.endpoint+" was lost before the answer came"
	case code == codes.DeadlineExceeded:
		e.Kind, e.Message = leat.KindCanceled, c.endpoint+" did not answer in time"
	case code == codes.Canceled:
		e.Kind, e.Message = leat.KindCanceled, "the call was cancelled"
	default:
		e.Kind = kindOfCode(code)
	}
	return e
}

// named reads the kind, field and retry hint that a Leat server sends.
func named(e *leat.Error, st *status.Status) (ok bool) {
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if kind, known := leat.KindByName(d.Reason); known {
				e.Kind, ok = kind, true
			}
			if f := d.Metadata["field"]; f != "" {
				e.Field = f
			}
		case *errdetails.RetryInfo:
			e.After = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			if v := d.GetFieldViolations(); len(v) > 0 && e.Field == "" {
				e.Field = v[0].GetField()
			}
		}
	}
	return ok
}

// kindOfCode is for statuses that no Leat server has made, or that a newer one made with a kind that is not known here.
func kindOfCode(code codes.Code) leat.Kind {
	switch code {
	case codes.InvalidArgument, codes.OutOfRange:
		return leat.KindInvalidArgument
	case codes.NotFound:
		return leat.KindNotFound
	case codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
		return leat.KindInUse
	case codes.ResourceExhausted:
		return leat.KindThroughputExceeded
	case codes.Unauthenticated:
		return leat.KindUnauthenticated
	case codes.PermissionDenied:
		return leat.KindAccessDenied
	case codes.Unimplemented:
		return leat.KindUnsupported
	case codes.DataLoss:
		return leat.KindCorrupt
	}
	return leat.KindInternal
}

// operation is the last part of /package.Service/Operation.
func operation(method string) string {
	for i := len(method) - 1; i >= 0; i-- {
		if method[i] == '/' {
			return method[i+1:]
		}
	}
	return method
}

// silent keeps a cause in the chain without printing it again.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

// asError returns the first *leat.Error of the chain, or nil.
func asError(err error) *leat.Error {
	var e *leat.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, clock leat.Clock, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	c, stop := clock.NewTimer(d)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}
