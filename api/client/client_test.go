// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// wireError is an error as a Leat server sends it.
func wireError(kind leat.Kind, message string, after time.Duration) error {
	return wireFieldError(kind, "", message, after)
}

func wireFieldError(kind leat.Kind, field, message string, after time.Duration) error {
	info := &errdetails.ErrorInfo{Reason: kind.String(), Domain: "leat"}
	if field != "" {
		info.Metadata = map[string]string{"field": field}
	}
	st, err := status.New(codes.Aborted, message).WithDetails(info)
	if err == nil && after > 0 {
		st, err = st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func TestErrorsKeepTheirKind(t *testing.T) {
	for _, kind := range leat.Kinds() {
		f := newFake(1)
		f.beforePut = func(*leatv1.PutRecordsRequest) error {
			return wireFieldError(kind, "records", "told so", 3*time.Second)
		}
		_, err := f.dial(t).Records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{Stream: "s"})
		var e *leat.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %T is no *leat.Error", kind, err)
		}
		if e.Kind != kind || e.Field != "records" || e.After != 3*time.Second || e.Op != "PutRecords" || e.Error() != "PutRecords: told so" {
			t.Errorf("%s: got %+v (%s)", kind, *e, e)
		}
		if st, ok := status.FromError(err); !ok || st.Code() != codes.Aborted {
			t.Errorf("%s: the gRPC status is not in the chain: %v", kind, st)
		}
	}
}

func TestForeignStatusIsUnknownOutcomeOnlyWhereTheRequestLeft(t *testing.T) {
	f := newFake(1)
	f.beforePut = func(*leatv1.PutRecordsRequest) error { return status.Error(codes.Unavailable, "a proxy lost it") }
	_, err := f.dial(t).Records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{Stream: "s"})
	if leat.KindOf(err) != leat.KindUnknownOutcome {
		t.Errorf("the request had left: got %v (%s), want UNKNOWN_OUTCOME", err, leat.KindOf(err))
	}
	c := dial(t, closedPort(t))
	if _, err = c.Records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{Stream: "s"}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("nobody listens: got %v (%s), want UNAVAILABLE", err, leat.KindOf(err))
	}
	if err := c.Ready(t.Context()); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "nothing answers at "+c.Endpoint()) {
		t.Errorf("Ready: %v", err)
	}
	c, err = client.Dial("127.0.0.1:1", client.WithToken("t"))
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Errorf("a token to this machine: %v", err)
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	s, address := newFake(1).start(t, "127.0.0.1:0")
	s.Stop()
	return address
}

func TestForeignCodes(t *testing.T) {
	for code, kind := range map[codes.Code]leat.Kind{
		codes.InvalidArgument: leat.KindInvalidArgument, codes.NotFound: leat.KindNotFound, codes.AlreadyExists: leat.KindInUse,
		codes.ResourceExhausted: leat.KindThroughputExceeded, codes.Unauthenticated: leat.KindUnauthenticated,
		codes.PermissionDenied: leat.KindAccessDenied, codes.Unimplemented: leat.KindUnsupported, codes.DataLoss: leat.KindCorrupt,
		codes.Canceled: leat.KindCanceled, codes.DeadlineExceeded: leat.KindCanceled, codes.Unknown: leat.KindInternal,
	} {
		f := newFake(1)
		f.beforePut = func(*leatv1.PutRecordsRequest) error { return status.Error(code, "x") }
		if _, err := f.dial(t).Records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{}); leat.KindOf(err) != kind {
			t.Errorf("%s became %s, want %s", code, leat.KindOf(err), kind)
		}
	}
}

func TestTokenIsSent(t *testing.T) {
	f := newFake(1)
	_, address := f.start(t, "127.0.0.1:0")
	c := dial(t, address, client.WithToken("secret"))
	got := make(chan string, 1)
	f.beforePut = func(*leatv1.PutRecordsRequest) error { return nil }
	f.onToken = func(md metadata.MD) { got <- strings.Join(md.Get("authorization"), ",") }
	if _, err := c.Records.PutRecords(t.Context(), &leatv1.PutRecordsRequest{}); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "Bearer secret" {
		t.Errorf("authorization is %q", s)
	}
}

func TestDialRefuses(t *testing.T) {
	for _, tc := range []struct {
		endpoint string
		opts     []client.Option
		want     string // "" for none
	}{
		{"nowhere", nil, "host:port"},
		{":4568", nil, "host:port"},
		{"ftp://x:1", nil, "host:port"},
		{"https://leat.example:4568", nil, ""},
		{"http://127.0.0.1:4568/", nil, ""},
		{"leat.example:4568", []client.Option{client.WithToken("t")}, "in clear"},
		{"leat.example:4568", []client.Option{client.WithToken("t"), client.WithPlaintext()}, ""},
		{"leat.example:4568", []client.Option{client.WithToken("t"), client.WithCA(x509.NewCertPool())}, ""},
		{"localhost:4568", []client.Option{client.WithToken("t")}, ""},
	} {
		c, err := client.Dial(tc.endpoint, tc.opts...)
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("Dial(%q): %v, want %q in it", tc.endpoint, err, tc.want)
		}
		if err == nil {
			if err := errors.Join(c.Close(), c.Close()); err != nil {
				t.Errorf("closed twice: %v", err)
			}
		}
	}
}

func TestDialTakesTheEnvironment(t *testing.T) {
	t.Setenv("LEAT_ENDPOINT", "127.0.0.1:7")
	if c := dial(t, ""); c.Endpoint() != "127.0.0.1:7" {
		t.Errorf("endpoint is %s", c.Endpoint())
	}
	t.Setenv("LEAT_ENDPOINT", "")
	if c := dial(t, ""); c.Endpoint() != client.DefaultEndpoint {
		t.Errorf("endpoint is %s", c.Endpoint())
	}
}

func TestReadyWaitsNoLongerThanAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newFake(1).dial(t).Ready(ctx); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("got %v", err)
	}
	if err := newFake(1).dial(t).Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(nil) // for its certificate, which is good for 127.0.0.1
	web.StartTLS()
	defer web.Close()
	f := newFake(1)
	_, address := f.start(t, "127.0.0.1:0", grpc.Creds(credentials.NewServerTLSFromCert(&web.TLS.Certificates[0])))
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	if err := dial(t, "https://"+address, client.WithCA(roots), client.WithToken("t")).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	for about, c := range map[string]*client.Client{
		"an authority that nobody trusts": dial(t, address, client.WithTLS()),
		"no TLS":                          dial(t, address),
	} {
		if err := c.Ready(t.Context()); leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("%s: %v", about, err)
		}
	}
}
