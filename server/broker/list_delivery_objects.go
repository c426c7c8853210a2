// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// ListDeliveryObjects promises: what a delivery stream and its backfills have written, the newest first, as the catalog has
// it; whoever may describe the delivery stream may see it. ReadFailedRecords promises: the first records of one object in
// the error prefix. They are records: it takes the right to read the source stream too, or without one to verify what was
// delivered.
//
// AWS has no such operations, and the native API has none either: the console alone asks.

// ListDeliveryObjectsRequest names a page of objects.
type ListDeliveryObjectsRequest struct {
	Delivery  string
	Failed    bool // those in the error prefix alone
	PageToken string
	PageSize  int // 0 means 100
}

// ListDeliveryObjects lists what a delivery stream has written.
func (b *Broker) ListDeliveryObjects(ctx context.Context, who leat.Principal, req ListDeliveryObjectsRequest) (all []spec.Written, next string, err error) {
	if err := b.delivery(ctx, who, ActionDescribeDelivery, req.Delivery); err != nil {
		return nil, "", err
	}
	scope := who.Account + "/" + req.Delivery
	if req.Failed {
		scope += "/failed"
	}
	return listing(b, "ListDeliveryObjects", scope, req.PageSize, 100, req.PageToken,
		func(after string, limit int) ([]spec.Written, error) {
			if after == "" {
				return b.deliveries.Written(ctx, who.Account, req.Delivery, req.Failed, nil, limit)
			}
			at, err := spec.ParsePlace(after)
			if err != nil {
				return nil, err
			}
			return b.deliveries.Written(ctx, who.Account, req.Delivery, req.Failed, &at, limit)
		},
		func(w *spec.Written) string { return w.Place.String() })
}

// ReadFailedRecords reads an object in the error prefix of a delivery stream.
func (b *Broker) ReadFailedRecords(ctx context.Context, who leat.Principal, name, place string) (spec.FailedRecords, error) {
	if err := b.delivery(ctx, who, ActionDescribeDelivery, name); err != nil {
		return spec.FailedRecords{}, err
	}
	at, err := spec.ParsePlace(place)
	if err != nil {
		return spec.FailedRecords{}, err
	}
	d, err := b.deliveries.Describe(ctx, who.Account, name)
	if err != nil {
		return spec.FailedRecords{}, err
	}
	if d.Config.Source.Direct() {
		err = b.delivery(ctx, who, ActionVerifyDelivery, name)
	} else {
		err = b.mayRead(ctx, who, d.Config.Source.Stream)
	}
	if err != nil {
		return spec.FailedRecords{}, err
	}
	return b.deliveries.Failed(ctx, who.Account, name, at)
}
