// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
)

func TestEveryKindHasAnAnswer(t *testing.T) {
	for _, k := range leat.Kinds() {
		a := answerOf(k)
		if a.code == codes.OK || a.http < 400 {
			t.Errorf("%v has no answer: %v", k, a)
		}
		s := statusOf(&leat.Error{Kind: k, Message: "m"}, "id")
		if back, ok := reasonOf(s); !ok || back != k || s.Code() != a.code {
			t.Errorf("%v went out as %v and came back as %v", k, s, back)
		}
	}
	if answerOf(leat.KindUnknownOutcome).code == codes.Unavailable {
		t.Error("clients repeat Unavailable by themselves: an unknown outcome must not be")
	}
}

func TestStatusTellsNoSecrets(t *testing.T) {
	for _, err := range []error{
		errors.New("dial postgres://secret"),
		fmt.Errorf("x: %w", errors.New("secret")),
		leat.Errorf(leat.KindInternal, "engine: %w", errors.New("secret")),
		&leat.Error{Kind: leat.KindUnavailable, Message: "retry", Err: errors.New("secret")},
		fmt.Errorf("x: %w", status.Error(codes.Unauthenticated, "secret")),
		&leat.Error{Kind: leat.KindUnknownOutcome, Err: fmt.Errorf("x: %w", status.Error(codes.Unavailable, "secret"))},
	} {
		s := statusOf(err, "req-1")
		if strings.Contains(s.String()+fmt.Sprint(s.Details()), "secret") {
			t.Errorf("%v was told as %v", err, s)
		}
		if k, _ := reasonOf(s); k == leat.KindInternal && !strings.Contains(s.Message(), "req-1") {
			t.Errorf("%v: no request id in %q", err, s.Message())
		}
	}
}

// What another node answered decides nothing that the caller is told: an unknown outcome is never Unavailable, which clients repeat.
func TestStatusOfAnotherNodesAnswer(t *testing.T) {
	cause := fmt.Errorf("Append of a session at 10.0.0.2:4568: %w", status.Error(codes.Unavailable, "connection lost"))
	err := &leat.Error{Kind: leat.KindUnknownOutcome, Message: "the record may stand", Err: cause}
	s := statusOf(err, "id")
	if k, ours := reasonOf(s); s.Code() != codes.Unknown || !ours || k != leat.KindUnknownOutcome {
		t.Errorf("an unknown outcome is told as %v", s)
	}
	if st := restStatus(&restCall{id: "id"}, s.Err()); httpStatus(st) != http.StatusInternalServerError {
		t.Errorf("over REST with HTTP %d", httpStatus(st))
	}
}

func TestStatusDetails(t *testing.T) {
	s := statusOf(&leat.Error{Kind: leat.KindInvalidArgument, Field: "records[3].data", Message: "too large", After: 1500 * time.Millisecond}, "id")
	var field, violation string
	var delay time.Duration
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			field = d.GetMetadata()["field"]
		case *errdetails.BadRequest:
			violation = d.GetFieldViolations()[0].GetField()
		case *errdetails.RetryInfo:
			delay = d.GetRetryDelay().AsDuration()
		}
	}
	if field != "records[3].data" || violation != field || delay != 1500*time.Millisecond {
		t.Errorf("field %q, violation %q, delay %v", field, violation, delay)
	}
	if s := statusOf(fmt.Errorf("x: %w", context.Canceled), "id"); s.Code() != codes.Canceled {
		t.Errorf("canceled went out as %v", s)
	}
}
