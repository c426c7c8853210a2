// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"net/http"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/awswire"
)

// awsError is an error as AWS tells it. Handlers return one only where the table below does not say what AWS does.
type awsError = awswire.Error

// exception is what this edge makes of a kind.
type exception = awswire.Exception

// exceptionOf is the table of this edge.
func exceptionOf(k leat.Kind) exception {
	switch k {
	case leat.KindInternal, leat.KindUnknownOutcome, leat.KindCorrupt:
		return exception{Type: "InternalFailureException", Status: http.StatusInternalServerError}
	case leat.KindInvalidArgument, leat.KindUnsupported:
		return exception{Type: "InvalidArgumentException", Status: http.StatusBadRequest}
	case leat.KindNotFound:
		return exception{Type: "ResourceNotFoundException", Status: http.StatusBadRequest}
	case leat.KindInUse:
		return exception{Type: "ResourceInUseException", Status: http.StatusBadRequest}
	case leat.KindLimitExceeded:
		return exception{Type: "LimitExceededException", Status: http.StatusBadRequest}
	case leat.KindThroughputExceeded:
		return exception{Type: "ProvisionedThroughputExceededException", Status: http.StatusBadRequest}
	case leat.KindExpiredIterator:
		return exception{Type: "ExpiredIteratorException", Status: http.StatusBadRequest}
	case leat.KindExpiredToken:
		return exception{Type: "ExpiredNextTokenException", Status: http.StatusBadRequest}
	case leat.KindUnauthenticated:
		return exception{Type: "UnrecognizedClientException", Status: http.StatusBadRequest}
	case leat.KindAccessDenied:
		return exception{Type: "AccessDeniedException", Status: http.StatusBadRequest}
	case leat.KindUnavailable: // certainly not executed: SDKs try again by themselves
		return exception{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable}
	case leat.KindCanceled:
		return exception{Type: "RequestTimeoutException", Status: http.StatusRequestTimeout}
	}
	return exception{}
}

// kindOf finds the kind of an error; errors that nobody classed are internal.
func kindOf(err error) *leat.Error { return awswire.KindOf(err) }

// translate turns an error into what the caller is told, and tells its kind for the log.
func translate(err error, id string) (*awsError, leat.Kind) {
	return awswire.Translate(err, id, exceptionOf)
}

// serialization is what AWS says of a body that cannot be read.
func serialization(message string) error { return awswire.Serialization(message) }
