// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/blobtest"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

// client speaks to a bucket as its owner does.
func client(t *testing.T, o s3.Options) *minio.Client {
	t.Helper()
	transport := &http.Transport{} // minio-go's own keeps connections for a minute, and nobody can end them
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(o.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Region: o.Region, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func versioned(t *testing.T) (s3.Options, *minio.Client) {
	t.Helper()
	o := bucket(t)
	c := client(t, o)
	if err := c.EnableVersioning(t.Context(), o.Bucket); err != nil {
		t.Fatal(err)
	}
	return o, c
}

func versions(t *testing.T, c *minio.Client, bucket, prefix string) (all []string) {
	t.Helper()
	for v := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}) {
		if v.Err != nil {
			t.Fatal(v.Err)
		}
		all = append(all, fmt.Sprintf("%s latest=%v marker=%v", v.Key, v.IsLatest, v.IsDeleteMarker))
	}
	return all
}

// The contract holds in a bucket that keeps versions.
func TestContractVersioned(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		o, _ := versioned(t)
		return open(t, o)
	})
}

// In a bucket that keeps versions, what was replaced or deleted is there until Forget, and not after it.
func TestForgetDestroysVersions(t *testing.T) {
	o, c := versioned(t)
	o.Prefix = "our"
	s := open(t, o)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"keys/1/a", "keys/1/b", "keys/2/a"} {
		must(s.Create(t.Context(), key, []byte("first of "+key)))
		must(s.Replace(t.Context(), key, []byte("second of "+key)))
	}
	must(s.Delete(t.Context(), "keys/1/a"))
	must(s.Create(t.Context(), "keys/1/a", []byte("third")))
	must(s.Delete(t.Context(), "keys/1/a"))
	if got := versions(t, c, o.Bucket, "our/keys/1/"); len(got) != 7 {
		t.Fatalf("the bucket keeps no versions: %q", got)
	}
	must(s.Forget(t.Context(), "keys/1/", false)) // what was deleted may have been so by mistake
	if got := versions(t, c, o.Bucket, "our/keys/1/"); len(got) != 6 {
		t.Errorf("without what was deleted: kept %q", got)
	}
	must(s.Forget(t.Context(), "keys/1/", true))
	if got := versions(t, c, o.Bucket, "our/keys/1/"); len(got) != 1 || !strings.HasPrefix(got[0], "our/keys/1/b latest=true marker=false") {
		t.Errorf("kept %q", got)
	}
	if got, err := s.Read(t.Context(), "keys/1/b", 0, -1); err != nil || string(got) != "second of keys/1/b" {
		t.Errorf("what stands is %q, %v", got, err)
	}
	if got := versions(t, c, o.Bucket, "our/keys/2/"); len(got) != 2 {
		t.Errorf("another prefix: %q", got)
	}
}

// A bucket whose versions may be seen by nobody is not taken for one without.
func TestForgetRefused(t *testing.T) {
	answer := func(versioning string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("versioning") && versioning != "" {
				_, _ = fmt.Fprintf(w, `<VersioningConfiguration>%s</VersioningConfiguration>`, versioning)
				return
			}
			says(http.StatusForbidden, "AccessDenied")(w, r)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // in the error; empty: none
	}{
		"no versioning at all":     {says(http.StatusNotImplemented, "NotImplemented"), ""},
		"may not list, and it has": {answer("<Status>Enabled</Status>"), "s3:ListBucketVersions"},
		"may not list, it had":     {answer("<Status>Suspended</Status>"), "s3:ListBucketVersions"},
		"may not list, it has not": {answer(" "), ""},
		"may neither":              {answer(""), "s3:ListBucketVersions"},
		"does not answer":          {says(http.StatusServiceUnavailable, "SlowDown"), "503"},
		"a proxy's page":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html></html>") }, "listing"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := scripted(t, c.answer)
			err := s.Forget(t.Context(), "keys/", true)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret)) {
				t.Errorf("Forget = %v, want %q", err, c.want)
			}
		})
	}
}

// A version that cannot be deleted is not told as destroyed.
func TestForgetLocked(t *testing.T) {
	o := bucket(t)
	c := client(t, o)
	o.Bucket += "-locked"
	if err := c.MakeBucket(t.Context(), o.Bucket, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	days, mode, unit := uint(1), minio.Compliance, minio.Days
	if err := c.SetObjectLockConfig(t.Context(), o.Bucket, &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	if err := s.Create(t.Context(), "keys/1/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "keys/1/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(t.Context(), "keys/1/", true); err == nil {
		t.Error("a version under an object lock was destroyed, or so it is told")
	}
}
