// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// CreateDelivery promises: when it returns no error the delivery stream is ACTIVE and its place in its source is decided.
// What cannot work as it is configured is refused with the member that is wrong; that the destination cannot be reached now
// is no reason to refuse.
//
// Differs from AWS (Firehose's CreateDeliveryStream): it is never seen CREATING.

// CreateDeliveryRequest says what delivery stream to make.
type CreateDeliveryRequest struct {
	Delivery string // its name
	Config   spec.Config
	Tags     map[string]string
	// EncryptionKey has what is put directly encrypted from the beginning, as EncryptDelivery would; empty: it is not. Where that
	// fails no delivery stream is made.
	EncryptionKey string
}

// CreateDelivery makes a delivery stream.
func (b *Broker) CreateDelivery(ctx context.Context, who leat.Principal, req CreateDeliveryRequest) (spec.Delivery, error) {
	if err := spec.ValidateName(req.Delivery); err != nil {
		return spec.Delivery{}, err
	}
	req.Config.Defaults()
	if err := req.Config.Validate(); err != nil {
		return spec.Delivery{}, err
	}
	if err := validateDeliveryTags(req.Tags); err != nil {
		return spec.Delivery{}, err
	}
	if err := b.delivery(ctx, who, ActionCreateDelivery, req.Delivery); err != nil {
		return spec.Delivery{}, err
	}
	if len(req.Tags) > 0 {
		if err := b.delivery(ctx, who, ActionTagDelivery, req.Delivery); err != nil {
			return spec.Delivery{}, err
		}
	}
	if req.EncryptionKey != "" {
		if err := b.mayEncryptDelivery(ctx, who, &req); err != nil {
			return spec.Delivery{}, err
		}
	}
	if !req.Config.Source.Direct() { // who may make a delivery of a stream may read it
		if err := b.mayRead(ctx, who, req.Config.Source.Stream); err != nil {
			return spec.Delivery{}, err
		}
	}
	if err := b.roomForDelivery(ctx, who.Account); err != nil {
		return spec.Delivery{}, err
	}
	d, err := b.deliveries.Create(ctx, who.Account, req.Delivery, req.Config, req.Tags)
	b.identityChanged(ctx) // its tags
	if err != nil {
		return d, err
	}
	b.changed(ctx, nil, ofDelivery(&d))
	if req.EncryptionKey != "" {
		err = b.encryptNew(ctx, who, &d, req.EncryptionKey)
	}
	return d, err
}
