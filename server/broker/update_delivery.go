// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// UpdateDelivery promises: the delivery stream keeps its place, and what is planned already is delivered by the
// configuration that it was planned with. Pausing and resuming are updates of the state. Who changes where records of a stream
// go, and as what, may read them.
//
// Differs from AWS (UpdateDestination): it is the whole configuration that is given, and its version is optional.

// UpdateDeliveryRequest says what to change.
type UpdateDeliveryRequest struct {
	Delivery string
	Change   spec.Change
}

// UpdateDelivery changes a delivery stream.
func (b *Broker) UpdateDelivery(ctx context.Context, who leat.Principal, req UpdateDeliveryRequest) (spec.Delivery, error) {
	for _, action := range deliveryActions(&req.Change) {
		if err := b.delivery(ctx, who, action, req.Delivery); err != nil {
			return spec.Delivery{}, err
		}
	}
	if s := req.Change.State; s != "" && s != spec.Active && s != spec.Paused {
		return spec.Delivery{}, leat.Invalid("state", "state %.40q must be ACTIVE or PAUSED", s)
	}
	if req.Change.Config != nil {
		if source := req.Change.Config.Source; !source.Direct() { // it is the present one, or the change is refused further on
			if err := b.mayRead(ctx, who, source.Stream); err != nil {
				return spec.Delivery{}, err
			}
		}
		req.Change.Config.Defaults() // the rest is checked once secrets that stay are known
	}
	if err := validateDeliveryTags(req.Change.SetTags); err != nil {
		return spec.Delivery{}, err
	}
	before := b.deliveryOf(ctx, who.Account, req.Delivery)
	d, err := b.deliveries.Update(ctx, who.Account, req.Delivery, req.Change)
	b.identityChanged(ctx) // its tags
	if err == nil {
		b.changed(ctx, before, ofDelivery(&d))
	}
	return d, err
}

// deliveryActions are what policies must allow for a change; there is one at least.
func deliveryActions(ch *spec.Change) (all []Action) {
	if len(ch.SetTags) > 0 {
		all = append(all, ActionTagDelivery)
	}
	if len(ch.DropTags) > 0 {
		all = append(all, ActionUntagDelivery)
	}
	if ch.Config != nil || ch.State != "" || len(all) == 0 {
		all = append(all, ActionUpdateDelivery)
	}
	return all
}
