// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/blobtest"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

func TestContract(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return mem.New(nil) })
}

// TestClock: objects are dated by the clock that New was given.
func TestClock(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := mem.New(func() time.Time { return now })
	if err := s.Create(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if info, err := s.Stat(t.Context(), "a"); err != nil || !info.Modified.Equal(now.Add(-time.Hour)) {
		t.Fatalf("Stat = %+v, %v", info, err)
	}
}
