// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

const secret = "very-secret-key"

// scripted is a server that answers every request in the same way.
func scripted(t *testing.T, answer http.HandlerFunc) (*s3.Store, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	return open(t, s3.Options{Endpoint: srv.URL, Bucket: "bucket", AccessKey: "key", SecretKey: secret}), &requests
}

// says answers with a status and S3's error body.
func says(code int, s3code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>told by the store, with %s</Message><RequestId>R17</RequestId></Error>`, s3code, secret)
	}
}

// TestUnknown: whatever a store answers that is neither success nor 412 nor
// NoSuchKey is an error of unknown outcome, after one request, without secrets.
func TestUnknown(t *testing.T) {
	for code, s3code := range map[int]string{
		400: "BadDigest", 403: "AccessDenied", 404: "NoSuchBucket", 405: "MethodNotAllowed", 408: "RequestTimeout",
		409: "ConditionalRequestConflict", 429: "TooManyRequests", 500: "InternalError", 501: "NotImplemented",
		503: "SlowDown", 307: "TemporaryRedirect",
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			s, requests := scripted(t, says(code, s3code))
			_, read := s.Read(t.Context(), "k", 0, -1)
			_, list := s.List(t.Context(), "", "", 0)
			for op, err := range map[string]error{
				"Create": s.Create(t.Context(), "k", []byte("x")), "Read": read, "List": list, "Delete": s.Delete(t.Context(), "k"),
			} {
				if err == nil || errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
					t.Errorf("%s = %v, want an unknown error", op, err)
					continue
				}
				text := err.Error()
				if !strings.Contains(text, fmt.Sprint(code)) || !strings.Contains(text, s3code) || !strings.Contains(text, "R17") {
					t.Errorf("%s = %q, without status, code or request", op, text)
				}
				if strings.Contains(text, secret) {
					t.Errorf("%s = %q tells the secret", op, text)
				}
			}
			if n := requests.Load(); n != 4 {
				t.Errorf("4 calls made %d requests", n)
			}
			if _, err := s.Stat(t.Context(), "k"); err == nil || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("Stat = %v, want an unknown error", err)
			}
		})
	}
}

// TestProxyAnswers: pages of something that is not a store prove nothing.
func TestProxyAnswers(t *testing.T) {
	for _, code := range []int{200, 204, 404} {
		for _, page := range []string{"", "<html><body>Hello</body></html>", "NoSuchKey"} {
			t.Run(fmt.Sprintf("%d %q", code, page), func(t *testing.T) {
				s, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(code)
					_, _ = io.WriteString(w, page)
				})
				_, read := s.Read(t.Context(), "k", 0, -1)
				_, empty := s.Read(t.Context(), "k", 0, 0)
				_, stat := s.Stat(t.Context(), "k")
				_, list := s.List(t.Context(), "", "", 0)
				for op, err := range map[string]error{
					"Create": s.Create(t.Context(), "k", []byte("x")), "Read": read, "Read of nothing": empty, "Stat": stat, "List": list,
				} {
					if err == nil || errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
						t.Errorf("%s = %v, want an unknown error", op, err)
					}
				}
			})
		}
	}
}

// TestPlainAnswers: a 412 and a NoSuchKey are what they are.
func TestPlainAnswers(t *testing.T) {
	s, _ := scripted(t, says(412, "PreconditionFailed"))
	if err := s.Create(t.Context(), "k", nil); !errors.Is(err, blob.ErrExists) {
		t.Errorf("Create after 412 = %v", err)
	}
	s, requests := scripted(t, says(404, "NoSuchKey"))
	if _, err := s.Read(t.Context(), "k", 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Read after 404 = %v", err)
	}
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) || requests.Load() != 3 {
		t.Errorf("Stat after 404 = %v, %d requests, want HEAD and GET", err, requests.Load()-1)
	}
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Errorf("Delete after 404 = %v", err)
	}
	if err := s.Create(t.Context(), "k", nil); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Create after 404 = %v, want an unknown error", err)
	}
}

// TestReadAnswers: a body that is not what was asked for is an error.
func TestReadAnswers(t *testing.T) {
	const whole = "0123456789"
	answer := func(code int, contentRange, body string, length int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("ETag", `"e"`)
			h.Set("Last-Modified", time.Unix(1e9, 0).UTC().Format(http.TimeFormat))
			h.Set("Content-Length", fmt.Sprint(length))
			if contentRange != "" {
				h.Set("Content-Range", contentRange)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // of Read(3, 4); "" is an error
	}{
		{"right", answer(206, "bytes 3-6/10", "3456", 4), "3456"},
		{"short where it ends", answer(206, "bytes 3-5/6", "345", 3), "345"},
		{"range ignored", answer(200, "", whole, 10), "3456"},
		{"cut", answer(206, "bytes 3-6/10", "34", 4), ""},
		{"cut whole", answer(200, "", "01234", 10), ""},
		{"other place", answer(206, "bytes 2-5/10", "2345", 4), ""},
		{"too little", answer(206, "bytes 3-5/10", "345", 3), ""},
		{"too much", answer(206, "bytes 3-9/10", "3456789", 7), ""},
		{"nonsense", answer(206, "bytes 3-x/10", "3456", 4), ""},
		{"upside down", answer(206, "bytes 6-3/10", "3456", 4), ""},
		{"beyond", answer(206, "bytes 3-6/5", "3456", 4), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := scripted(t, c.answer)
			got, err := s.Read(t.Context(), "k", 3, 4)
			if c.want == "" && err == nil || string(got) != c.want || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("Read = %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestListAnswers: a listing out of order, of another prefix or cut is an error.
func TestListAnswers(t *testing.T) {
	for name, list := range map[string]string{
		"out of order": "<Contents><Key>p/b</Key></Contents><Contents><Key>p/a</Key></Contents>",
		"twice":        "<Contents><Key>p/b</Key></Contents><Contents><Key>p/b</Key></Contents>",
		"other prefix": "<Contents><Key>q/b</Key></Contents>",
		"before start": "<Contents><Key>p/0</Key></Contents>",
		"cut":          "<Contents><Key>p/b</Key></Cont",
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
				text := `<ListBucketResult><IsTruncated>false</IsTruncated>` + list
				if name != "cut" {
					text += `</ListBucketResult>`
				}
				_, _ = io.WriteString(w, text)
			})
			if page, err := s.List(t.Context(), "p/", "p/0", 0); err == nil {
				t.Errorf("List = %v", page)
			}
		})
	}
}

// TestHangs: a store that does not answer holds nobody beyond his context, and
// the buffer of a Create is the caller's again.
func TestHangs(t *testing.T) {
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	s := open(t, s3.Options{Endpoint: srv.URL, Bucket: "bucket", AccessKey: "key", SecretKey: secret})
	body := make([]byte, 32<<20) // more than the kernel takes unread
	for op, call := range map[string]func(context.Context) error{
		"Create": func(ctx context.Context) error { return s.Create(ctx, "k", body) },
		"Read":   func(ctx context.Context) error { _, err := s.Read(ctx, "k", 0, -1); return err },
		"List":   func(ctx context.Context) error { _, err := s.List(ctx, "", "", 0); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		<-arrived
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", op, err)
		}
		clear(body) // the race detector sees a transport that still reads
	}
}

// TestBodiesThatStandStill: a store that takes in half a body, or sends half of one, and keeps the connection open ends
// in an error though the caller's context has no end.
func TestBodiesThatStandStill(t *testing.T) {
	s3.SetPace(t, 1<<30, 200*time.Millisecond)
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "100")
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, _ = w.Write(make([]byte, 50))
			_ = http.NewResponseController(w).Flush()
		}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	s := open(t, s3.Options{Endpoint: srv.URL, Bucket: "bucket", AccessKey: "key", SecretKey: secret})
	if body, err := s.Read(t.Context(), "k", 0, -1); err == nil || !strings.Contains(err.Error(), "the store sent less than") {
		t.Errorf("Read = %d bytes, %v", len(body), err)
	}
	// 32 MiB are more than the kernel takes unread.
	if err := s.Create(t.Context(), "k", make([]byte, 32<<20)); err == nil || !strings.Contains(err.Error(), "the store took in less than") {
		t.Errorf("Create = %v", err)
	}
}

// TestOptions: what cannot work is refused before anything is sent.
func TestOptions(t *testing.T) {
	good := s3.Options{Endpoint: "localhost:9000", Bucket: "bucket", AccessKey: "a", SecretKey: secret}
	for name, change := range map[string]func(*s3.Options){
		"no endpoint": func(o *s3.Options) { o.Endpoint = "" },
		"path":        func(o *s3.Options) { o.Endpoint = "http://localhost/bucket" },
		"scheme":      func(o *s3.Options) { o.Endpoint = "ftp://localhost" },
		"user":        func(o *s3.Options) { o.Endpoint = "http://u:" + secret + "@localhost" },
		"bad url":     func(o *s3.Options) { o.Endpoint = "http://u:" + secret + "@%zz" },
		"no bucket":   func(o *s3.Options) { o.Bucket = "" },
		"prefix":      func(o *s3.Options) { o.Prefix = "a//b" },
		"half keys":   func(o *s3.Options) { o.AccessKey = "" },
		"CA":          func(o *s3.Options) { o.CA = []byte("no certificate") },
	} {
		o := good
		change(&o)
		if _, err := s3.Open(o); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: Open = %v", name, err)
		}
	}
	for endpoint, want := range map[string]string{
		"localhost:9000": "http://localhost:9000", "https://s.example": "https://s.example", "http://127.0.0.1:1/": "http://127.0.0.1:1",
	} {
		o := good
		o.Endpoint = endpoint
		if s := open(t, o); s.Endpoint() != want {
			t.Errorf("endpoint %s became %s", endpoint, s.Endpoint())
		}
	}
}

// keeper answers at once and keeps the request's body, as a transport may.
type keeper struct{ body io.Reader }

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	k.body = r.Body
	return &http.Response{StatusCode: http.StatusPreconditionFailed, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// TestBodyTakenBack: a transport that reads on after Create returned gets
// nothing of what the caller does with his buffer then.
func TestBodyTakenBack(t *testing.T) {
	k := &keeper{}
	s := open(t, s3.Options{Endpoint: "localhost:1", Bucket: "bucket", AccessKey: "a", SecretKey: secret, Transport: k})
	if err := s.Create(t.Context(), "k", []byte("body")); !errors.Is(err, blob.ErrExists) {
		t.Fatal(err)
	}
	if n, err := k.body.Read(make([]byte, 4)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("Read after Create = %d, %v; want an error", n, err)
	}
}
