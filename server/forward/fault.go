// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// reasons are the errors of the engine that the calling node acts upon, or the broker behind it.
var reasons = []struct {
	err    error
	reason internalv1.FaultReason
}{
	{shardstore.ErrUnknownOutcome, internalv1.FaultReason_FAULT_REASON_UNKNOWN_OUTCOME}, // before all that say "not executed"
	{shardstore.ErrNotOwned, internalv1.FaultReason_FAULT_REASON_NOT_OWNED},
	{shardstore.ErrNotLive, internalv1.FaultReason_FAULT_REASON_NOT_LIVE},
	{shardstore.ErrResharded, internalv1.FaultReason_FAULT_REASON_RESHARDED},
	{shardstore.ErrOverloaded, internalv1.FaultReason_FAULT_REASON_OVERLOADED},
}

// faultOf puts an error of the engine on the wire. Causes go with it: the calling node logs them, and tells clients the
// message alone.
func faultOf(err error) *internalv1.Fault {
	f := &internalv1.Fault{}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			f.Reason = r.reason
			break
		}
	}
	var over *shardstore.ReshardedError
	if f.Reason == internalv1.FaultReason_FAULT_REASON_RESHARDED && errors.As(err, &over) {
		f.Reshard = wireReshard(over.Reshard)
	}
	var e *leat.Error
	switch {
	case errors.As(err, &e):
		f.Kind, f.Message, f.Field, f.RetryAfterMicros = e.Kind.String(), e.Message, e.Field, e.After.Microseconds()
		if e.Err != nil {
			f.Cause = e.Err.Error()
		}
	default:
		f.Cause = err.Error()
	}
	return f
}

// errorOf undoes faultOf. What a newer node says and this one does not know may have been executed.
func errorOf(f *internalv1.Fault) error {
	var cause error
	if f.GetCause() != "" {
		cause = errors.New(f.GetCause())
	}
	known := f.GetReason() == internalv1.FaultReason_FAULT_REASON_UNSPECIFIED
	for _, r := range reasons {
		if f.GetReason() == r.reason {
			known, cause = true, r.err
			if f.GetCause() != "" && f.GetCause() != r.err.Error() {
				cause = fmt.Errorf("%w: at its owner: %s", r.err, f.GetCause())
			}
		}
	}
	if f.GetReason() == internalv1.FaultReason_FAULT_REASON_RESHARDED && f.GetReshard() != nil {
		if r, err := reshardOf(f.GetReshard()); err == nil {
			return &shardstore.ReshardedError{Reshard: r}
		}
	}
	if !known {
		return fmt.Errorf("%w: the owner says %s, which this node does not know", shardstore.ErrUnknownOutcome, f)
	}
	kind, ok := leat.KindByName(f.GetKind())
	switch {
	case ok:
		return &leat.Error{Kind: kind, Field: f.GetField(), Message: f.GetMessage(), After: time.Duration(f.GetRetryAfterMicros()) * time.Microsecond, Err: cause}
	case cause == nil || f.GetReason() == internalv1.FaultReason_FAULT_REASON_UNSPECIFIED:
		return &leat.Error{Kind: leat.KindInternal, Message: "the shard's owner failed", Err: cause}
	}
	return cause
}

// statusOf is the error of a whole call as the calling node gets it.
func statusOf(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	f := faultOf(err)
	st := status.New(codes.FailedPrecondition, f.GetReason().String())
	if with, err := st.WithDetails(f); err == nil {
		st = with
	}
	return st.Err()
}

// answered returns what a session said of a whole call; nil for errors that did not come from one.
func answered(err error) error {
	for _, d := range status.Convert(err).Details() {
		if f, ok := d.(*internalv1.Fault); ok {
			return errorOf(f)
		}
	}
	return nil
}

// certain tells of an error that did not come from a session whether it shows by itself that nothing was executed: the
// token was refused, or the node knows no such call.
func certain(err error) bool {
	code := status.Code(err)
	return code == codes.Unauthenticated || code == codes.Unimplemented
}

// moved says that a call was certainly not executed, since the shard has another owner or none that can be reached.
func moved(cause error) error {
	if errors.Is(cause, shardstore.ErrNotOwned) {
		return cause
	}
	return fmt.Errorf("%w: %w", shardstore.ErrNotOwned, cause)
}

// hasMoved tells whether the engine refused a call, or a put, since the shard is not, or no longer, its session's.
func hasMoved(err error) bool {
	return err != nil && !errors.Is(err, shardstore.ErrUnknownOutcome) &&
		(errors.Is(err, shardstore.ErrNotOwned) || errors.Is(err, shardstore.ErrNotLive))
}
