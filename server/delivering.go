// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery"
)

// streams hands the broker's directory to what is made before the broker.
type streams struct{ of func() *broker.Directory }

func (s streams) Stream(id leat.StreamID) (leat.Stream, bool) { return s.of().Stream(id) }

func (s streams) Shards(id leat.StreamID) []leat.Shard { return s.of().Shards(id) }

func (s streams) Changed(ctx context.Context) { s.of().Changed(ctx) }

// newDeliveries makes what carries out the deliveries of the shards that this node owns.
func (s *Server) newDeliveries(p *parts, db *sqldb.DB, cat *catalog.Catalog) (*delivery.Engine, error) {
	return delivery.New(delivery.Config{
		Bill: func(tx *sqldb.Tx, u *delivery.Usage) error {
			d := billing.Delivered(*u)
			return s.billing.CountDelivered(tx, &d)
		},
		DB: db, Catalog: cat, Blobs: p.blobs, Ledger: p.journal != nil, Master: p.master, Keys: s.sealing, Records: s.engine(), Kick: s.node.Kick,
		Directory: streams{func() *broker.Directory { return s.broker.Directory() }},
		Owns: func(k leat.ShardKey) (uint64, bool) {
			if own := s.node.Store(); own != nil {
				return own.Epoch(k)
			}
			return 0, false
		},
		S3: p.objects, Region: p.common.Region, Tracer: p.tracer, Logger: p.log, Memory: p.common.DeliveryMemory << 20,
	})
}
