// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"errors"
	"net/http"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// awsError is an error as AWS tells it. Handlers return one only where the table below does not say what AWS does.
type awsError struct {
	Type    string // the exception's name
	Message string
	status  int // 0 means 400
}

func (e *awsError) Error() string { return e.Type + ": " + e.Message }

func (e *awsError) code() int {
	if e.status == 0 {
		return http.StatusBadRequest
	}
	return e.status
}

// exception is what this edge makes of a kind.
type exception struct {
	Type   string
	status int
}

// exceptionOf is the table of this edge.
func exceptionOf(k leat.Kind) exception {
	switch k {
	case leat.KindInternal, leat.KindUnknownOutcome, leat.KindCorrupt:
		return exception{"InternalFailureException", http.StatusInternalServerError}
	case leat.KindInvalidArgument, leat.KindUnsupported:
		return exception{"InvalidArgumentException", http.StatusBadRequest}
	case leat.KindNotFound:
		return exception{"ResourceNotFoundException", http.StatusBadRequest}
	case leat.KindInUse:
		return exception{"ResourceInUseException", http.StatusBadRequest}
	case leat.KindLimitExceeded:
		return exception{"LimitExceededException", http.StatusBadRequest}
	case leat.KindThroughputExceeded:
		return exception{"ProvisionedThroughputExceededException", http.StatusBadRequest}
	case leat.KindExpiredIterator:
		return exception{"ExpiredIteratorException", http.StatusBadRequest}
	case leat.KindExpiredToken:
		return exception{"ExpiredNextTokenException", http.StatusBadRequest}
	case leat.KindUnauthenticated:
		return exception{"UnrecognizedClientException", http.StatusBadRequest}
	case leat.KindAccessDenied:
		return exception{"AccessDeniedException", http.StatusBadRequest}
	case leat.KindUnavailable: // certainly not executed: SDKs try again by themselves
		return exception{"ServiceUnavailableException", http.StatusServiceUnavailable}
	case leat.KindCanceled:
		return exception{"RequestTimeoutException", http.StatusRequestTimeout}
	}
	return exception{}
}

// kindOf finds the kind of an error; errors that nobody classed are internal.
func kindOf(err error) *leat.Error {
	var e *leat.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &leat.Error{Kind: leat.KindCanceled, Message: "the caller went away or ran out of time", Err: err}
	}
	return &leat.Error{Kind: leat.KindInternal, Err: err}
}

// translate turns an error into what the caller is told, and tells its kind for the log. Of a fault of the server's own
// the caller learns the request's id alone.
func translate(err error, id string) (*awsError, leat.Kind) {
	var told *awsError
	if errors.As(err, &told) {
		return told, leat.KindInvalidArgument
	}
	var signature *auth.SignatureError
	if errors.As(err, &signature) {
		return &awsError{Type: signature.Type, Message: signature.Message, status: signature.Status}, leat.KindUnauthenticated
	}
	e := kindOf(err)
	x := exceptionOf(e.Kind)
	message := e.Message
	if x.status == http.StatusInternalServerError {
		message = "Internal Service Failure, request id " + id
	}
	return &awsError{Type: x.Type, Message: message, status: x.status}, e.Kind
}

// serialization is what AWS says of a body that cannot be read.
func serialization(message string) error {
	return &awsError{Type: typeSerialization, Message: message}
}

const typeSerialization = "SerializationException"

func errTooLarge(limit int) error {
	return &awsError{Type: "RequestEntityTooLargeException", status: http.StatusRequestEntityTooLarge,
		Message: "the request's body is larger than " + itoa(limit) + " bytes"}
}
