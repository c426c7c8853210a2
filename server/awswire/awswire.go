// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package awswire

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// Error is an error as AWS tells it. Handlers return one only where their table of kinds does not say what AWS does.
type Error struct {
	Type    string // the exception's name
	Message string
	Status  int // 0 means 400
}

// Error joins what is told.
func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Code returns the HTTP status.
func (e *Error) Code() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Body is an error's answer. AWS calls the message of a SerializationException Message, and that of the others message.
func (e *Error) Body() map[string]string {
	m := map[string]string{"__type": e.Type}
	switch {
	case e.Message == "":
	case e.Type == TypeSerialization:
		m["Message"] = e.Message
	default:
		m["message"] = e.Message
	}
	return m
}

// TypeSerialization is the exception of a body that cannot be read.
const TypeSerialization = "SerializationException"

// Serialization is what AWS says of a body that cannot be read.
func Serialization(message string) error {
	return &Error{Type: TypeSerialization, Message: message}
}

// TooLarge is what is said of a body beyond the limit.
func TooLarge(limit int) error {
	return &Error{Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: "the request's body is larger than " + strconv.Itoa(limit) + " bytes"}
}

// Exception is what a service makes of a kind.
type Exception struct {
	Type   string
	Status int
}

// KindOf finds the kind of an error; errors that nobody classed are internal.
func KindOf(err error) *leat.Error {
	var e *leat.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &leat.Error{Kind: leat.KindCanceled, Message: "the caller went away or ran out of time", Err: err}
	}
	return &leat.Error{Kind: leat.KindInternal, Err: err}
}

// Translate turns an error into what the caller is told, by a service's table, and tells its kind for the log. Of a
// fault of the server's own the caller learns the request's id alone.
func Translate(err error, id string, table func(leat.Kind) Exception) (*Error, leat.Kind) {
	var told *Error
	if errors.As(err, &told) {
		return told, leat.KindInvalidArgument
	}
	var signature *auth.SignatureError
	if errors.As(err, &signature) {
		return &Error{Type: signature.Type, Message: signature.Message, Status: signature.Status}, leat.KindUnauthenticated
	}
	e := KindOf(err)
	x := table(e.Kind)
	message := e.Message
	if x.Status == http.StatusInternalServerError {
		message = "Internal Service Failure, request id " + id
	}
	return &Error{Type: x.Type, Message: message, Status: x.Status}, e.Kind
}

// NewID makes a request's ids and sets them on the answer: the first for logs and people, the second because SDKs show
// it. Where there is no randomness the ids are zeros and the error says so.
func NewID(rand io.Reader, header http.Header) (string, error) {
	var b [64]byte
	_, err := io.ReadFull(rand, b[:])
	id := hex.EncodeToString(b[:16])
	id = id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	header["X-Amzn-Requestid"] = []string{id}
	header["X-Amz-Id-2"] = []string{base64.StdEncoding.EncodeToString(b[16:])}
	return id, err
}

// ErrLong says that a body does not end where it should.
var ErrLong = errors.New("body is too long")

// ReadAll appends what r holds to b, limit bytes at most. Memory grows with what arrives, not with what was announced,
// but for the first mebibyte.
func ReadAll(r io.Reader, b []byte, limit int, announced int64) ([]byte, error) {
	if want := int(min(announced, 1<<20)) + 1; cap(b) < want {
		b = append(make([]byte, 0, want), b...)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, ErrLong
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// SignIn returns who signed a request, and its body. What needs no body is checked before one is taken in, so that memory is for those
// who name a key; what a refused caller still sends, up to the limit, is passed over, or it would not take in the answer.
func SignIn(s auth.Signatures, r *http.Request, limit int, read func() ([]byte, error)) (who leat.Principal, body []byte, err error) {
	if err := s.Admit(r); err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, int64(limit))
		return who, nil, err
	}
	if body, err = read(); err != nil {
		return who, body, err
	}
	who, err = s.Verify(r, body)
	return who, body, err
}
