// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/shardstore"
)

// own is the engine as one session that owns all shards.
type own struct{ *faultyEngine }

func (own) Session() leat.SessionID { return leat.SessionID{1} }

func (own) Epoch(leat.ShardKey) (uint64, bool) { return 1, true }

// An owner takes nothing for a stream of which it knows that it is being deleted: a node that forwards may not know, and mean
// the next stream of the name.
func TestOwnerRefusesPutsOfDeletedStreams(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	m := r.Metered(own{r.engine})
	put := func() error {
		puts := []broker.Put{{Shard: leat.ShardKey{Stream: s.ID}, Record: leat.Record{PartitionKey: "k", Data: []byte("x")}}}
		if err := shardstore.Ask(t.Context(), m, puts); err != nil {
			return err
		}
		return puts[0].Err
	}
	r.must(put())
	r.must(r.catalog.BeginDelete(t.Context(), s.ID, false))
	r.Directory().Changed(t.Context())
	r.wantKind(put(), leat.KindUnavailable, "")
}
