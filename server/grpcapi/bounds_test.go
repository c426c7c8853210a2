// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // as the exporter of traces has it
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/auth"
)

// verbatim sends bytes as they are.
type verbatim struct{}

func (verbatim) Name() string { return "proto" }

func (verbatim) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (verbatim) Unmarshal(mem.BufferSlice, any) error { return nil }

// send calls a method with bytes that need be no message.
func (r *rig) send(method string, raw []byte) error {
	return r.conn.Invoke(r.t.Context(), method, raw, new([]byte), grpc.ForceCodecV2(verbatim{}))
}

// counting is a body of which it is known how often it was read.
type counting struct {
	io.Reader
	reads int
}

func (c *counting) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

// Nothing that somebody sends is decoded before they have signed in: over gRPC whatever decoded these bytes would complain of them, as it does of
// the bytes of somebody who has signed in. A failure is counted once.
func TestNothingIsDecodedBeforeSigningIn(t *testing.T) {
	boot, err := auth.NewBootstrap(token, "")
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan leat.Edge, 100)
	r := newRig(t, options{auth: boot, token: token, failures: auth.NewFailures(nil, func(f auth.Failure) { failed <- f.Origin.Edge })})
	malformed := bytes.Repeat([]byte{0xff}, 1<<20)
	methods := []string{leatv1.DeliveryService_CreateDelivery_FullMethodName, leatv1.RecordService_PutRecords_FullMethodName, leatv1.RecordService_GetRecords_FullMethodName, leatv1.RecordService_PutRecord_FullMethodName}
	for _, method := range methods {
		if err := r.send(method, malformed); status.Code(err) != codes.Internal {
			t.Errorf("%s with the token: %v", method, err)
		}
	}
	r.token = "another-token-of-tests"
	for _, method := range methods {
		if err := r.send(method, malformed); status.Code(err) != codes.Unauthenticated || faultOf(err).kind != "UNAUTHENTICATED" {
			t.Errorf("%s with another token: %v", method, err)
		}
	}
	if len(failed) != len(methods) {
		t.Errorf("%d failures were counted of %d", len(failed), len(methods))
	}
	for len(failed) > 0 {
		<-failed
	}
	for _, credential := range []string{token, "another-token-of-tests"} {
		body := &counting{Reader: strings.NewReader(`{"records": 1}`)}
		req, answer := httptest.NewRequest(http.MethodPost, "/v1/streams/s/records:batch", body), httptest.NewRecorder()
		req.Header.Set("Authorization", "Bearer "+credential)
		req.Header.Set("X-Leat-Ticket", "1")
		r.server.Handler().ServeHTTP(answer, req)
		if good := credential == token; good != (body.reads > 0) || good != (answer.Code == http.StatusBadRequest) || good == (answer.Code == http.StatusUnauthorized) {
			t.Errorf("REST with %s: its body was read %d times, answer %d", credential, body.reads, answer.Code)
		}
	}
	if len(failed) != 1 || <-failed != leat.EdgeREST {
		t.Errorf("%d more failures were counted, of REST", len(failed))
	}
}

// What needs no credential takes no compressed messages: 16 KiB of them would be 16 MiB.
func TestCompressedMessages(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	_, err := r.streams.DescribeStream(t.Context(), &leatv1.DescribeStreamRequest{Stream: "s"}, grpc.UseCompressor("gzip"))
	r.must(err)
	health := grpc_health_v1.NewHealthClient(r.conn)
	ask := &grpc_health_v1.HealthCheckRequest{Service: leatv1.StreamService_ServiceDesc.ServiceName}
	_, err = health.Check(t.Context(), ask)
	r.must(err)
	if _, err = health.Check(t.Context(), ask, grpc.UseCompressor("gzip")); status.Code(err) != codes.Unimplemented {
		t.Errorf("a compressed message: %v", err)
	}
	watch, err := health.Watch(t.Context(), ask, grpc.UseCompressor("gzip"))
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a compressed message to a stream: %v", err)
	}
}

// Only messages with records or modules may be large, and none may have so many parts that it would become far larger in memory.
func TestMessagesAreBounded(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	long := strings.Repeat("x", 1<<20)
	elements := func(n int) []byte { // delivery, and config with transforms that are empty
		b := []byte{0x0a, 0x01, 'd', 0x12}
		for n2 := 2 * n; ; n2 >>= 7 {
			if n2 < 0x80 {
				b = append(b, byte(n2))
				break
			}
			b = append(b, byte(n2)|0x80)
		}
		return append(b, bytes.Repeat([]byte{0x1a, 0x00}, n)...)
	}
	_, large := r.streams.CreateStream(t.Context(), &leatv1.CreateStreamRequest{Stream: long})
	sub, err := r.records.SubscribeToShard(t.Context(), &leatv1.SubscribeToShardRequest{Stream: "s", Consumer: long})
	r.must(err)
	_, pushed := sub.Recv()
	for about, got := range map[string]struct {
		err  error
		want string
	}{
		"a large message":                 {large, "1048576 at most"},
		"a large message to a stream":     {pushed, "1048576 at most"},
		"a message of many parts":         {r.send(leatv1.DeliveryService_CreateDelivery_FullMethodName, elements(1<<20)), "16384 are taken at most"},
		"a small message of many parts":   {r.send(leatv1.DeliveryService_CreateDelivery_FullMethodName, elements(40_000)), "16384 are taken at most"},
		"a smaller message of many parts": {r.send(leatv1.DeliveryService_CreateDelivery_FullMethodName, elements(30_000)), "no more than 8 item"},
	} {
		if status.Code(got.err) != codes.InvalidArgument || !strings.Contains(got.err.Error(), got.want) {
			t.Errorf("%s: %v: want %q", about, got.err, got.want)
		}
	}
	many := `{"records": [` + strings.Repeat(`{},`, 30_000) + `{}]}`
	unfit := `{"records": [{"partitionKey": "k\\\"{,", "data": "` + strings.Repeat("AAAA", 1<<18) + `", "extra": 1}]}`
	for about, c := range map[string]struct{ method, path, body, want string }{
		"a large body":                   {http.MethodPost, "/v1/streams", `{"stream": "` + long + `"}`, "larger than 1048576 bytes"},
		"a large body that is a member":  {http.MethodPatch, "/v1/streams/s", `{"retentionHours": 48` + strings.Repeat(" ", 1<<20) + `}`, "larger than 1048576 bytes"},
		"a body of many values":          {http.MethodPost, "/v1/streams/s/records:batch", many, "16384 are taken at most"},
		"one that is a member":           {http.MethodPatch, "/v1/streams/s", `{"x": [` + strings.Repeat("{},", 30_000) + `{}]}`, "16384 are taken at most"},
		"a large body that does not fit": {http.MethodPost, "/v1/streams/s/records:batch", unfit, "does not fit PutRecordsRequest"},
	} {
		if a := r.rest(c.method, c.path, c.body); a.code != http.StatusBadRequest || a.fault().kind != "INVALID_ARGUMENT" || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %d %.300s: want %q", about, a.code, a.body, c.want)
		}
	}
	// What is in strings is counted by nobody.
	key := fmt.Sprintf("%q", strings.Repeat(`\"{[,`, 40))
	data := strings.Repeat("AAAA", 1<<17)
	if a := r.rest(http.MethodPost, "/v1/streams/s/records", `{"partitionKey": `+key+`, "data": "`+data+`"}`); a.code != http.StatusOK {
		t.Errorf("a record of half a MiB: %d %.300s", a.code, a.body)
	}
}

// tokens knows one of two that it takes.
type tokens struct{ auth.Authenticator }

func (tokens) Authenticate(authorization string) (leat.Principal, error) {
	if authorization == "Bearer known" || authorization == "Bearer guessable" {
		return auth.Anybody{}.Authenticate(authorization)
	}
	return leat.Principal{}, leat.Errorf(leat.KindUnauthenticated, "wrong")
}

func (tokens) Knows(authorization string) bool { return authorization == "Bearer known" }

// standing is a clock whose time stands still.
type standing struct {
	leat.SystemClock
	at time.Time
}

func (s standing) Now() time.Time { return s.at }

// Whoever goes on failing keeps out nobody at the same address whose token is known.
func TestKnownTokensAreNotKeptOut(t *testing.T) {
	r := newRig(t, options{auth: tokens{}, token: "known", failures: auth.NewFailures(standing{at: time.Now()}, nil)})
	r.stream("s", 1)
	describe := func(token string) codes.Code {
		r.token = token
		_, err := r.streams.DescribeStream(t.Context(), &leatv1.DescribeStreamRequest{Stream: "s"})
		return status.Code(err)
	}
	for n := 0; describe("wrong") != codes.ResourceExhausted; n++ {
		if n > 5000 {
			t.Fatal("there is no bound")
		}
	}
	for token, want := range map[string]codes.Code{"known": codes.OK, "guessable": codes.ResourceExhausted} {
		got, a := describe(token), r.rest(http.MethodGet, "/v1/streams/s", nil)
		if got != want || (a.code == http.StatusOK) != (want == codes.OK) {
			t.Errorf("%s: %v, REST %d", token, got, a.code)
		}
	}
}
