// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/disk"
)

// Large objects are written around the page cache, in chunks and whole pages; none of that shows.
func TestLargeObjects(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 4096, 5<<20 - 7} {
		body := make([]byte, size)
		_, _ = rng.Read(body) // never fails
		for name, c := range map[string]struct {
			fail error // of the write number at
			at   int
			want error
		}{
			"whole":            {},
			"full disk":        {fail: syscall.ENOSPC, at: 2, want: syscall.ENOSPC},
			"full at once":     {fail: syscall.ENOSPC, at: 1, want: syscall.ENOSPC},
			"larger pages":     {fail: syscall.EINVAL, at: 1},
			"a page is larger": {fail: syscall.EINVAL, at: 2},
		} {
			t.Run(fmt.Sprint(size, " ", name), func(t *testing.T) {
				s, err := disk.Open(t.TempDir(), disk.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				writes := 0
				s.Fail(func(step disk.Step) error {
					if step == disk.StepWrite {
						if writes++; writes == c.at && size >= 1<<20 {
							return c.fail
						}
					}
					return nil
				})
				err = s.Create(t.Context(), "pack/a", body)
				failed := c.want != nil && writes >= c.at && size >= 1<<20
				if failed != (err != nil) || failed && !errors.Is(err, c.want) {
					t.Fatalf("Create = %v after %d writes", err, writes)
				}
				got, err := s.Read(t.Context(), "pack/a", 0, -1)
				if failed {
					if !errors.Is(err, blob.ErrNotFound) {
						t.Fatalf("half an object is there: %d bytes, %v", len(got), err)
					}
					return
				}
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("%d bytes of %d, %v", len(got), size, err)
				}
			})
		}
	}
}
