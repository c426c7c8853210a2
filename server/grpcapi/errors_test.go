// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

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
