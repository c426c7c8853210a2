// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	known = auth.Key{
		AccessKey: leat.AccessKey{ID: "LEAKJ4QXH5Y2ZC7MWTNA", Account: "123456789012", Name: "app", Active: true},
		Secret:    "q0/cTQ+0pGIaXhZJ8Wv7b1y2n3m4k5l6z7x8c9v0",
	}
	body = []byte(`{"StreamName":"orders","Data":"aGVsbG8=","PartitionKey":"k"}`)
)

// request is a PutRecord as the SDK for Go sends it, not signed yet.
func request(tb testing.TB, body []byte) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://127.0.0.1:4567/", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	r.Header.Set("User-Agent", "a client")
	return r
}

func credentials(k auth.Key) aws.Credentials {
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// sign signs with the header form.
func sign(tb testing.TB, r *http.Request, c aws.Credentials, payload string, at time.Time) *http.Request {
	tb.Helper()
	if err := v4.NewSigner().SignHTTP(tb.Context(), c, r, payload, "kinesis", "us-east-1", at); err != nil {
		tb.Fatal(err)
	}
	return r
}

// presign signs with the query form. Headers of X-Amz-… stay headers.
func presign(tb testing.TB, r *http.Request, c aws.Credentials, payload, expires string, at time.Time) *http.Request {
	tb.Helper()
	if expires != "" {
		r.URL.RawQuery = url.Values{"X-Amz-Expires": {expires}}.Encode()
	}
	signed, header, err := v4.NewSigner().PresignHTTP(tb.Context(), c, r, payload, "kinesis", "us-east-1", at,
		func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
	if err != nil {
		tb.Fatal(err)
	}
	r, err = http.NewRequestWithContext(tb.Context(), http.MethodPost, signed, r.Body)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header = header
	r.Host = header.Get("Host")
	r.Header.Del("Host")
	r.ContentLength = int64(len(body))
	return r
}

// arrive is a request as a server reads it from a connection.
func arrive(tb testing.TB, r *http.Request) *http.Request {
	tb.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		tb.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func TestWhatTheSDKSignsIsAccepted(t *testing.T) {
	v := verifier(t, "", noon, known)
	c := credentials(known)
	declared := func(r *http.Request, payload string) *http.Request {
		r.Header.Set("X-Amz-Content-Sha256", payload)
		return r
	}
	header := func(f func(*http.Request)) *http.Request {
		r := request(t, body)
		f(r)
		return sign(t, r, c, hashOf(body), noon)
	}
	for name, r := range map[string]*http.Request{
		"header":             sign(t, request(t, body), c, hashOf(body), noon),
		"header, hash sent":  sign(t, declared(request(t, body), hashOf(body)), c, hashOf(body), noon),
		"header, unsigned":   sign(t, declared(request(t, body), "UNSIGNED-PAYLOAD"), c, "UNSIGNED-PAYLOAD", noon),
		"header, early":      sign(t, request(t, body), c, hashOf(body), noon.Add(5*time.Minute)),
		"header, late":       sign(t, request(t, body), c, hashOf(body), noon.Add(-5*time.Minute)),
		"header, spaces":     header(func(r *http.Request) { r.Header.Set("X-Amz-Meta", "  a   b  c ") }),
		"header, repeated":   header(func(r *http.Request) { r.Header["X-Amz-Meta"] = []string{"b", "a", " c  d"} }),
		"header, query":      header(func(r *http.Request) { r.URL.RawQuery = "b=2&a=x%20y&a=%C3%A9%2F&c" }),
		"header, other host": header(func(r *http.Request) { r.Host = "Streams.example.com:443" }),
		"header, no port":    header(func(r *http.Request) { r.Host = "localhost" }),
		"header, IPv6":       header(func(r *http.Request) { r.Host = "[::1]:4567" }),
		"query":              presign(t, request(t, body), c, hashOf(body), "", noon),
		"query, a week":      presign(t, request(t, body), c, hashOf(body), "604800", noon.Add(-7*24*time.Hour)),
		"query, unsigned":    presign(t, declared(request(t, body), "UNSIGNED-PAYLOAD"), c, "UNSIGNED-PAYLOAD", "60", noon),
	} {
		t.Run(name, func(t *testing.T) {
			who, err := v.Verify(arrive(t, r), body)
			if err != nil || who != (leat.Principal{Account: "123456789012", Name: "app", Credential: who.Credential}) || who.Credential == "" {
				t.Errorf("%v, %v", who, err)
			}
		})
	}
}

// TestHTTP2 has the two ways in which clients name the host over HTTP/2, through net/http's own server.
func TestHTTP2(t *testing.T) {
	v := verifier(t, "", noon, known)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err == nil && r.ProtoMajor == 2 {
			_, err = v.Verify(r, got)
		}
		if err != nil || r.ProtoMajor != 2 {
			http.Error(w, r.Proto+" "+errText(err), http.StatusBadRequest)
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	transport := &http.Transport{Protocols: server.Config.Protocols}
	defer transport.CloseIdleConnections()
	for _, host := range []string{"host", ":authority"} {
		r := request(t, body)
		at, err := url.Parse(server.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.URL = at
		r.Host = at.Host
		sign(t, r, credentials(known), hashOf(body), noon)
		if host == ":authority" {
			resign(r, known, noon, body)
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if e := res.Body.Close(); err == nil {
			err = e
		}
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s %v", host, res.Status, text, err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSessionTokensAreRefused(t *testing.T) {
	v := verifier(t, "", noon, known)
	c := credentials(known)
	c.SessionToken = "FwoGZXIvYXdzEXAMPLE"
	for name, r := range map[string]*http.Request{
		"header": sign(t, request(t, body), c, hashOf(body), noon),
		"query":  presign(t, request(t, body), c, hashOf(body), "60", noon),
	} {
		wantRefusal(t, name, v, arrive(t, r), "UnrecognizedClientException", "The security token included in the request is invalid. This server gives no session tokens: unset AWS_SESSION_TOKEN.")
	}
}

func TestReplaysAreRefused(t *testing.T) {
	c := &clock{now: noon}
	v, err := auth.NewSigV4(auth.SigV4Options{Keys: keyMap{known.ID: known}, Region: "us-east-1", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	header := arrive(t, sign(t, request(t, body), credentials(known), hashOf(body), noon))
	query := arrive(t, presign(t, request(t, body), credentials(known), hashOf(body), "600", noon))
	for _, r := range []*http.Request{header, query} {
		if _, err := v.Verify(r, body); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(5*time.Minute + time.Second)
	wantRefusal(t, "header", v, header, "InvalidSignatureException", "Signature expired: 20260301T120000Z is now earlier than 20260301T120001Z (20260301T120501Z - 5 min.)")
	if _, err := v.Verify(query, body); err != nil {
		t.Errorf("a presigned request within its time: %v", err)
	}
	c.advance(5 * time.Minute)
	wantRefusal(t, "query", v, query, "InvalidSignatureException", "Signature expired: 20260301T120000Z is now earlier than 20260301T120001Z (20260301T121001Z - 600 sec.)")
}

// TestNoSignedByteMayChange flips each byte of everything that is signed.
func TestNoSignedByteMayChange(t *testing.T) {
	v := verifier(t, "", noon, known)
	good := arrive(t, sign(t, request(t, body), credentials(known), hashOf(body), noon))
	presigned := arrive(t, presign(t, request(t, body), credentials(known), hashOf(body), "60", noon))
	if _, err := v.Verify(good, body); err != nil {
		t.Fatal(err)
	}
	tries := 0
	refused := func(what string, r *http.Request, body []byte) {
		t.Helper()
		tries++
		if who, err := v.Verify(r, body); err == nil || who != (leat.Principal{}) {
			t.Errorf("%s: accepted as %v", what, who)
		}
	}
	for i := range body {
		for bit := range 8 {
			changed := bytes.Clone(body)
			changed[i] ^= 1 << bit
			refused("body", good, changed)
			refused("presigned body", presigned, changed)
		}
	}
	for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization"} {
		value := good.Header.Get(name)
		for i := range value {
			r := good.Clone(context.Background())
			r.Header.Set(name, flip(value, i))
			if name == "Authorization" && signsTheSame(value, r.Header.Get(name)) {
				continue
			}
			refused(name+" "+r.Header.Get(name), r, body)
		}
		r := good.Clone(context.Background())
		r.Header.Del(name)
		refused("no "+name, r, body)
	}
	for i := range good.Host {
		r := good.Clone(context.Background())
		r.Host = flip(r.Host, i)
		refused("host", r, body)
	}
	for i := range presigned.URL.RawQuery {
		r := presigned.Clone(context.Background())
		r.URL.RawQuery = flip(r.URL.RawQuery, i)
		refused("query "+r.URL.RawQuery, r, body)
	}
	for what, change := range map[string]func(*http.Request){
		"method":         func(r *http.Request) { r.Method = http.MethodPut },
		"path":           func(r *http.Request) { r.URL.Path = "/x" },
		"query":          func(r *http.Request) { r.URL.RawQuery = "Action=x" },
		"a second value": func(r *http.Request) { r.Header.Add("X-Amz-Target", "Kinesis_20131202.DeleteStream") },
		"another body":   func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") },
		"length":         func(r *http.Request) { r.ContentLength++ },
	} {
		r := good.Clone(context.Background())
		change(r)
		refused(what, r, body)
	}
	r := presigned.Clone(context.Background())
	r.URL.RawQuery += "&StreamName=x"
	refused("a parameter more", r, body)
	if tries < 1000 {
		t.Errorf("only %d changes were tried", tries)
	}
}

// flip changes a byte to another that may stand there.
func flip(s string, i int) string {
	b := []byte(s)
	switch b[i] {
	case 'a':
		b[i] = 'b'
	default:
		b[i] = 'a'
	}
	return string(b)
}

// signsTheSame tells whether two headers differ in separators alone.
func signsTheSame(x, y string) bool {
	fields := func(s string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }), " ")
	}
	return fields(x) == fields(y)
}

func BenchmarkVerify(b *testing.B) {
	v := verifier(b, "", noon, known)
	r := arrive(b, sign(b, request(b, body), credentials(known), hashOf(body), noon))
	r.Header.Set("Accept-Encoding", "identity")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, body); err != nil {
			b.Fatal(err)
		}
	}
}
