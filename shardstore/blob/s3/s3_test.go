// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3_test

import (
	"testing"

	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/blobtest"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

func open(t testing.TB, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// bucket are the options of a fresh bucket of the real server.
func bucket(t testing.TB) s3.Options {
	t.Helper()
	srv := s3test.Start(t)
	return s3.Options{
		Endpoint: srv.Endpoint, Region: srv.Region, Bucket: srv.Bucket(t),
		AccessKey: srv.AccessKey, SecretKey: srv.SecretKey,
	}
}

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, bucket(t)) })
}

// TestContractPrefix: the same below a prefix, in a bucket that others use, and
// with signed payloads.
func TestContractPrefix(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		o := bucket(t)
		for _, key := range []string{"our", "our/prefiw/a", "our/prefiy/a", "z"} {
			if err := open(t, o).Create(t.Context(), "x"+key, nil); err != nil {
				t.Fatal(err)
			}
		}
		o.Prefix, o.SignPayload = "/our/prefix", true
		return open(t, o)
	})
}

func BenchmarkCreate(b *testing.B) {
	blobtest.BenchCreate(b, func(b *testing.B) blob.Store { return open(b, bucket(b)) })
}

func BenchmarkRead(b *testing.B) {
	blobtest.BenchRead(b, func(b *testing.B) blob.Store { return open(b, bucket(b)) })
}
