// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

// TestBucketGone: objects of a bucket that vanished are not "not found".
func TestBucketGone(t *testing.T) {
	o := bucket(t)
	o.Bucket += "-gone"
	s := open(t, o)
	_, read := s.Read(t.Context(), "a/b", 0, -1)
	_, part := s.Read(t.Context(), "a/b", -10, -1)
	_, stat := s.Stat(t.Context(), "a/b")
	_, list := s.List(t.Context(), "", "", 0)
	for op, err := range map[string]error{
		"Read": read, "Read of a suffix": part, "Stat": stat, "List": list, "Delete": s.Delete(t.Context(), "a/b"),
		"Create": s.Create(t.Context(), "a/b", []byte("x")), "CheckBucket": s.CheckBucket(t.Context()),
	} {
		if err == nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrExists) || !strings.Contains(err.Error(), o.Bucket) {
			t.Errorf("%s = %v, want an error that names the bucket", op, err)
		}
	}
	if _, err := s.CheckLifecycle(t.Context()); err == nil {
		t.Error("CheckLifecycle of a bucket that is not there succeeded")
	}
}

// TestBucketVanishes: the same, under a store that used the bucket before.
func TestBucketVanishes(t *testing.T) {
	srv := s3test.Start(t)
	o := bucket(t)
	s := open(t, o)
	if err := s.Create(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(srv.Folder(o.Bucket)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), "a/b", 0, -1); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Read = %v, want an unknown error", err)
	}
	if _, err := s.Stat(t.Context(), "a/b"); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat = %v, want an unknown error", err)
	}
	if page, err := s.List(t.Context(), "", "", 0); err == nil {
		t.Errorf("List = %v, want an error", page)
	}
}

func TestCheckBucket(t *testing.T) {
	o := bucket(t)
	if err := open(t, o).CheckBucket(t.Context()); err != nil {
		t.Errorf("CheckBucket = %v", err)
	}
	wrong := o
	wrong.SecretKey = "not-the-secret"
	err := open(t, wrong).CheckBucket(t.Context())
	if err == nil || !strings.Contains(err.Error(), "access denied") || strings.Contains(err.Error(), wrong.SecretKey) {
		t.Errorf("CheckBucket with a wrong secret = %v", err)
	}
	dead := httptest.NewServer(nil)
	dead.Close()
	wrong = o
	wrong.Endpoint = dead.URL
	if err := open(t, wrong).CheckBucket(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("CheckBucket without a server = %v", err)
	}
}

// flipper spoils one byte of each PUT's body on its way.
type flipper struct{ next http.RoundTripper }

func (f flipper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body[len(body)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return f.next.RoundTrip(r)
}

// TestSpoiltOnTheWay: the store refuses a body that is not what was sent.
func TestSpoiltOnTheWay(t *testing.T) {
	for _, sign := range []bool{false, true} {
		o := bucket(t)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		o.Transport, o.SignPayload = flipper{transport}, sign
		s := open(t, o)
		err := s.Create(t.Context(), "k", bytes.Repeat([]byte("abc"), 100_000))
		if err == nil || errors.Is(err, blob.ErrExists) {
			t.Errorf("Create (signed payload: %v) = %v, want an error", sign, err)
		}
		if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("the spoilt object stands: %v", err)
		}
	}
}

// TestTLS: with the right CA it works, without it nothing is sent.
func TestTLS(t *testing.T) {
	o := bucket(t)
	target := &url.URL{Scheme: "http", Host: o.Endpoint}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}})
	defer proxy.Close()
	proxy.Config.ErrorLog = nil
	o.Endpoint = proxy.URL
	if err := open(t, o).CheckBucket(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("CheckBucket without the CA = %v", err)
	}
	o.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	s := open(t, o)
	if err := s.CheckBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("tls"), 50_000)
	if err := s.Create(t.Context(), "k", body); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(t.Context(), "k", 0, -1); err != nil || !bytes.Equal(got, body) {
		t.Errorf("Read = %d bytes, %v", len(got), err)
	}
}

// TestCheckLifecycle sets rules on a real bucket and asks whether they matter to
// a store under our/.
func TestCheckLifecycle(t *testing.T) {
	o := bucket(t)
	o.Prefix = "our"
	s := open(t, o)
	admin := client(t, o)
	if note, err := s.CheckLifecycle(t.Context()); err != nil || note != "" {
		t.Fatalf("without rules: %q, %v", note, err)
	}
	expire := lifecycle.Expiration{Days: 7}
	for _, c := range []struct {
		name   string
		rule   lifecycle.Rule
		refuse bool
	}{
		{"all", lifecycle.Rule{Expiration: expire}, true},
		{"our prefix", lifecycle.Rule{Expiration: expire, RuleFilter: lifecycle.Filter{Prefix: "our/"}}, true},
		{"above it", lifecycle.Rule{Expiration: expire, RuleFilter: lifecycle.Filter{Prefix: "ou"}}, true},
		{"below it", lifecycle.Rule{Expiration: expire, RuleFilter: lifecycle.Filter{Prefix: "our/wal/"}}, true},
		{"beside it", lifecycle.Rule{Expiration: expire, RuleFilter: lifecycle.Filter{Prefix: "ours/"}}, false},
		{"disabled", lifecycle.Rule{Expiration: expire, Status: "Disabled"}, false},
		{"tagged", lifecycle.Rule{Expiration: expire, RuleFilter: lifecycle.Filter{Tag: lifecycle.Tag{Key: "k", Value: "v"}}}, false},
		{"old versions", lifecycle.Rule{NoncurrentVersionExpiration: lifecycle.NoncurrentVersionExpiration{NoncurrentDays: 3}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.ID = "rule-" + strings.ReplaceAll(c.name, " ", "-")
			if c.rule.Status == "" {
				c.rule.Status = "Enabled"
			}
			config := lifecycle.NewConfiguration()
			config.Rules = []lifecycle.Rule{c.rule}
			if err := admin.SetBucketLifecycle(t.Context(), o.Bucket, config); err != nil {
				t.Fatal(err)
			}
			note, err := s.CheckLifecycle(t.Context())
			if errors.Is(err, s3.ErrLifecycle) != c.refuse || note != "" || !c.refuse && err != nil {
				t.Errorf("CheckLifecycle = %q, %v; want refused: %v", note, err, c.refuse)
			}
			if c.refuse && !strings.Contains(err.Error(), c.rule.ID) {
				t.Errorf("CheckLifecycle = %v, without the rule's name", err)
			}
		})
	}
}

// TestLifecycleArchives: objects in an archive cannot be read at once.
func TestLifecycleArchives(t *testing.T) {
	for class, refuse := range map[string]bool{"GLACIER": true, "DEEP_ARCHIVE": true, "STANDARD_IA": false} {
		s, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>`+
				`<Transition><Days>30</Days><StorageClass>`+class+`</StorageClass></Transition></Rule></LifecycleConfiguration>`)
		})
		if _, err := s.CheckLifecycle(t.Context()); errors.Is(err, s3.ErrLifecycle) != refuse || !refuse && err != nil {
			t.Errorf("%s: %v, want refused: %v", class, err, refuse)
		}
	}
}

// TestLifecycleNotThere: a store without lifecycle rules passes with a note, one
// that hides them does not.
func TestLifecycleNotThere(t *testing.T) {
	for code, s3code := range map[int]string{501: "NotImplemented", 405: "MethodNotAllowed"} {
		s, _ := scripted(t, says(code, s3code))
		if note, err := s.CheckLifecycle(t.Context()); err != nil || note == "" {
			t.Errorf("after %d: %q, %v; want a note", code, note, err)
		}
	}
	for code, s3code := range map[int]string{403: "AccessDenied", 503: "SlowDown", 404: "NoSuchBucket"} {
		s, _ := scripted(t, says(code, s3code))
		if _, err := s.CheckLifecycle(t.Context()); err == nil {
			t.Errorf("after %d: no error", code)
		}
	}
}

// TestServerDies: while the server is down every call fails with an unknown
// outcome; when it is back the same store works, and what was told durable is.
func TestServerDies(t *testing.T) {
	srv := s3test.New(t)
	s := open(t, s3.Options{
		Endpoint: srv.Endpoint, Region: srv.Region, Bucket: srv.Bucket(t),
		AccessKey: srv.AccessKey, SecretKey: srv.SecretKey,
	})
	body := bytes.Repeat([]byte("kept"), 100_000)
	if err := s.Create(t.Context(), "before", body); err != nil {
		t.Fatal(err)
	}
	srv.Kill(t)
	_, read := s.Read(t.Context(), "before", 0, -1)
	_, stat := s.Stat(t.Context(), "before")
	_, list := s.List(t.Context(), "", "", 0)
	for op, err := range map[string]error{"Create": s.Create(t.Context(), "down", body), "Read": read, "Stat": stat, "List": list} {
		if err == nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrExists) {
			t.Errorf("%s = %v, want an unknown error", op, err)
		}
	}
	srv.Start(t)
	if got, err := s.Read(t.Context(), "before", 0, -1); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after the restart: %d bytes, %v", len(got), err)
	}
	if err := s.Create(t.Context(), "before", nil); !errors.Is(err, blob.ErrExists) {
		t.Errorf("Create over an old object = %v", err)
	}
	if err := s.Create(t.Context(), "down", body); err != nil {
		t.Errorf("Create after the restart = %v", err)
	}
}
