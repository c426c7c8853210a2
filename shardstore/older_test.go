// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// A log that was trimmed further than the catalog knows is refused while all of it is still there, and nothing is decided.
// Without a catalog it is recovered from any segment that was never beyond its trim.
func TestRecoverRefusesAnOlderCatalog(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	r.put(0, "a")
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.put(0, "b")
	r.kill()
	r.index.fence(s.Session())
	o := shardstore.Recovery{Driver: r.driver, Blobs: r.blobs}
	_, err := shardstore.Recover(t.Context(), o, s.Session(), 0)
	if leat.KindOf(err) != leat.KindCorrupt || !errors.Is(err, wal.ErrStaleCatalog) || !strings.Contains(err.Error(), "leat rebuild") {
		t.Fatalf("an older catalog: %v", err)
	}
	if _, err := shardstore.ReadClosing(t.Context(), r.blobs, s.Session()); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("the end of the session was decided: %v", err)
	}
	o.Lost = true
	c, err := shardstore.Recover(t.Context(), o, s.Session(), 0)
	if err != nil || len(c.Shards) != 1 || c.Shards[0].Final != 2 || c.Shards[0].Extents[0].First != 0 {
		t.Errorf("without a catalog: %+v, %v", c, err)
	}
}
