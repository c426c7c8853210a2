// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3test_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/internal/s3test"
)

// client talks to srv as a program under test would, without retries.
func client(t *testing.T, srv *s3test.Server) *minio.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(srv.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""),
		Region: srv.Region, Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(ctx context.Context, c *minio.Client, bucket, key, value string) error {
	_, err := c.PutObject(ctx, bucket, key, strings.NewReader(value), int64(len(value)), minio.PutObjectOptions{})
	return err
}

func get(t *testing.T, c *minio.Client, bucket, key string) string {
	t.Helper()
	obj, err := c.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(obj)
	if err := errors.Join(err, obj.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBucketsAreFreshAndRemoved(t *testing.T) {
	c := client(t, s3test.Start(t))
	var names []string
	t.Run("used", func(t *testing.T) {
		for range 2 {
			bucket := s3test.Start(t).Bucket(t)
			names = append(names, bucket)
			for range c.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
				t.Error("a fresh bucket has objects")
			}
			if err := put(t.Context(), c, bucket, "a/b", "x"); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, name := range names {
		there, err := c.BucketExists(t.Context(), name)
		if there || err != nil {
			t.Errorf("bucket %s after its test: %v, %v", name, there, err)
		}
	}
}

func TestStartIsShared(t *testing.T) {
	if a, b := s3test.Start(t), s3test.Start(t); a != b {
		t.Errorf("two servers: %s and %s", a.Endpoint, b.Endpoint)
	}
}

func TestStoppedAndKilledServersComeBack(t *testing.T) {
	srv := s3test.New(t)
	bucket, c := srv.Bucket(t), client(t, srv)
	for key, stop := range map[string]func(testing.TB){"stop": srv.Stop, "kill": srv.Kill} {
		if err := put(t.Context(), c, bucket, key, key); err != nil {
			t.Fatal(err)
		}
		stop(t)
		if err := put(t.Context(), c, bucket, "lost", "x"); err == nil {
			t.Errorf("%s: the server still takes objects", key)
		}
		srv.Start(t)
		if got := get(t, c, bucket, key); got != key {
			t.Errorf("%s: read back %q", key, got)
		}
	}
}

func TestFrozenServerHangs(t *testing.T) {
	srv := s3test.New(t)
	bucket, c := srv.Bucket(t), client(t, srv)
	srv.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := put(ctx, c, bucket, "k", "v"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a put to a frozen server: %v, want no answer in time", err)
	}
	srv.Thaw(t)
	if err := put(t.Context(), c, bucket, "k", "v"); err != nil {
		t.Error(err)
	}
}

func TestFolderHoldsTheBucket(t *testing.T) {
	srv := s3test.Start(t)
	bucket, c := srv.Bucket(t), client(t, srv)
	if err := put(t.Context(), c, bucket, "k", "v"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(srv.Folder(bucket))
	if err != nil || len(entries) != 1 || entries[0].Name() != "k" {
		t.Errorf("%s holds %v, %v", srv.Folder(bucket), entries, err)
	}
}
