// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/leatstream/leat"
)

// answer is what an edge makes of a kind.
type answer struct {
	code codes.Code
	http int
}

// statusClientClosed is what proxies log for a caller that went away.
const statusClientClosed = 499

// answerOf is the table of this edge. An unknown outcome is never Unavailable: clients repeat that by themselves.
func answerOf(k leat.Kind) answer {
	switch k {
	case leat.KindInternal:
		return answer{codes.Internal, http.StatusInternalServerError}
	case leat.KindInvalidArgument:
		return answer{codes.InvalidArgument, http.StatusBadRequest}
	case leat.KindNotFound:
		return answer{codes.NotFound, http.StatusNotFound}
	case leat.KindInUse:
		return answer{codes.FailedPrecondition, http.StatusConflict}
	case leat.KindLimitExceeded, leat.KindThroughputExceeded:
		return answer{codes.ResourceExhausted, http.StatusTooManyRequests}
	case leat.KindExpiredIterator, leat.KindExpiredToken:
		return answer{codes.FailedPrecondition, http.StatusBadRequest}
	case leat.KindUnauthenticated:
		return answer{codes.Unauthenticated, http.StatusUnauthorized}
	case leat.KindAccessDenied:
		return answer{codes.PermissionDenied, http.StatusForbidden}
	case leat.KindUnsupported:
		return answer{codes.Unimplemented, http.StatusNotImplemented}
	case leat.KindUnavailable:
		return answer{codes.Unavailable, http.StatusServiceUnavailable}
	case leat.KindUnknownOutcome:
		return answer{codes.Unknown, http.StatusInternalServerError}
	case leat.KindCorrupt:
		return answer{codes.DataLoss, http.StatusInternalServerError}
	case leat.KindCanceled:
		return answer{codes.Canceled, statusClientClosed}
	}
	return answer{}
}

// domain marks the reasons in ErrorInfo as Leat's kinds.
const domain = "leat"

// kindOf finds the kind of an error that a handler returned; known is false for errors that nobody classed.
func kindOf(err error) (e *leat.Error, known bool) {
	switch {
	case errors.As(err, &e):
		return e, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &leat.Error{Kind: leat.KindCanceled, Message: "the caller went away or ran out of time", Err: err}, true
	}
	return &leat.Error{Kind: leat.KindInternal, Err: err}, false
}

// statusOf turns an error into what the caller is told: code, message, ErrorInfo, and where they help RetryInfo and
// BadRequest. Of an internal error it tells the request's id alone.
func statusOf(err error, requestID string) *status.Status {
	// Made by gRPC itself, for this caller. One that an error wraps is what another node told this one: its code would have callers repeat
	// puts that may stand, and its text has addresses.
	if made, ok := err.(interface{ GRPCStatus() *status.Status }); ok && made.GRPCStatus().Code() != codes.Unknown {
		return made.GRPCStatus()
	}
	e, _ := kindOf(err)
	message := e.Message
	if e.Kind == leat.KindInternal {
		message = "internal error, request id " + requestID
	} else if message == "" {
		message = e.Kind.String()
	}
	info := &errdetails.ErrorInfo{Reason: e.Kind.String(), Domain: domain, Metadata: map[string]string{"request_id": requestID}}
	details := []protoadapt.MessageV1{info}
	if e.Field != "" {
		info.Metadata["field"] = e.Field
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: e.Field, Description: message, Reason: e.Kind.String()}}})
	}
	if e.After > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.After)})
	}
	s := status.New(answerOf(e.Kind).code, message)
	if with, err := s.WithDetails(details...); err == nil {
		return with
	}
	return s
}

// reasonOf reads the kind back from a status; ok is false for those that gRPC itself made.
func reasonOf(s *status.Status) (k leat.Kind, ok bool) {
	for _, d := range s.Details() {
		if info, is := d.(*errdetails.ErrorInfo); is && info.GetDomain() == domain {
			return leat.KindByName(info.GetReason())
		}
	}
	return leat.KindInternal, false
}

// retryAfter reads the hint for a retry back from a status; 0 for none.
func retryAfter(s *status.Status) time.Duration {
	for _, d := range s.Details() {
		if r, is := d.(*errdetails.RetryInfo); is {
			return r.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
