// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"context"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/segment"
)

// spoiling is a store whose first reads are spoilt on their way.
type spoiling struct {
	blob.Store
	left int
}

func (s *spoiling) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	b, err := s.Store.Read(ctx, key, off, length)
	if s.left > 0 && len(b) > 0 {
		s.left--
		b = append([]byte(nil), b...)
		b[len(b)/2] ^= 1
	}
	return b, err
}

// A table of contents that was spoilt on its way is read again; one that is damaged is damaged.
func TestFootersAreReadAgain(t *testing.T) {
	const key = "pack/x"
	h := segment.Header{Kind: segment.KindPack, Session: leat.NewID[leat.SessionID](nil)}
	object := segment.Fence(h)
	store := &spoiling{Store: mem.New(time.Now)}
	if err := store.Create(t.Context(), key, object); err != nil {
		t.Fatal(err)
	}
	info := blob.Info{Key: key, Size: int64(len(object))}
	for spoilt, want := range []leat.Kind{0, 0, leat.KindCorrupt} {
		store.left = spoilt
		f, err := readFooter(t.Context(), store, info)
		if (want == 0) != (err == nil) || err != nil && leat.KindOf(err) != want {
			t.Errorf("spoilt %d times: %v, %v", spoilt, f, err)
		}
		if err == nil && f.Header.Session != h.Session {
			t.Errorf("spoilt %d times: of session %s", spoilt, f.Header.Session)
		}
	}
}
