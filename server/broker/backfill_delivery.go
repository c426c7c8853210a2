// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// BackfillDelivery promises: every record that arrived in [From, To) and is still kept is delivered once more, by the
// delivery stream's configuration with another format or prefix where asked for, while the live delivery goes on.
//
// AWS has no such operation.

// BackfillDeliveryRequest says what to deliver again.
type BackfillDeliveryRequest struct {
	Delivery    string
	From        time.Time
	To          time.Time         // zero: now
	Format      *spec.Format      // nil: the delivery stream's
	Compression *spec.Compression // nil: the delivery stream's; none for Parquet
	Prefix      string            // empty: the delivery stream's
}

// BackfillDelivery begins a backfill.
func (b *Broker) BackfillDelivery(ctx context.Context, who leat.Principal, req BackfillDeliveryRequest) (spec.Backfill, error) {
	if err := b.delivery(ctx, who, ActionBackfillDelivery, req.Delivery); err != nil {
		return spec.Backfill{}, err
	}
	if req.From.IsZero() {
		return spec.Backfill{}, leat.Invalid("from_time", "a backfill needs a time to begin at")
	}
	if req.To.IsZero() {
		req.To = b.clock.Now()
	}
	b.changed(ctx, nil, fields{"from": req.From.UTC(), "to": req.To.UTC()})
	return b.deliveries.Backfill(ctx, who.Account, req.Delivery, req.From, req.To, func(c *spec.Config) error {
		if req.Format != nil {
			c.Format = *req.Format
			if c.Format.Kind == spec.ParquetFile {
				c.Compression = spec.None
			}
		}
		if req.Compression != nil {
			c.Compression = *req.Compression
		}
		if req.Prefix != "" {
			c.Naming.Prefix = req.Prefix
		}
		return nil
	})
}
