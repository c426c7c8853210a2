// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/blobtest"
	"github.com/leatstream/leat/shardstore/blob/disk"
)

func open(t testing.TB, root string) *disk.Store {
	t.Helper()
	s, err := disk.Open(root, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

func BenchmarkCreate(b *testing.B) {
	blobtest.BenchCreate(b, func(b *testing.B) blob.Store { return open(b, b.TempDir()) })
}

func BenchmarkRead(b *testing.B) {
	blobtest.BenchRead(b, func(b *testing.B) blob.Store { return open(b, b.TempDir()) })
}
