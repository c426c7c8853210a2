// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// The actions on delivery streams.
const (
	ActionCreateDelivery     Action = "CreateDelivery"
	ActionDescribeDelivery   Action = "DescribeDelivery"
	ActionListDeliveries     Action = "ListDeliveries"
	ActionUpdateDelivery     Action = "UpdateDelivery"
	ActionDeleteDelivery     Action = "DeleteDelivery"
	ActionPutDeliveryRecords Action = "PutDeliveryRecords"
	ActionBackfillDelivery   Action = "BackfillDelivery"
	ActionVerifyDelivery     Action = "VerifyDelivery"

	ActionTagDelivery             Action = "TagDelivery"
	ActionUntagDelivery           Action = "UntagDelivery"
	ActionListDeliveryTags        Action = "ListDeliveryTags"
	ActionStartDeliveryEncryption Action = "StartDeliveryEncryption"
	ActionStopDeliveryEncryption  Action = "StopDeliveryEncryption"
)

// Deliveries keeps delivery streams and carries them out (server/delivery). Names and configurations that it is given are
// valid in form; KindNotFound when the account has no such delivery stream.
type Deliveries interface {
	// Create makes a delivery stream. KindInUse when the name is taken.
	Create(ctx context.Context, account, name string, c spec.Config, tags map[string]string) (spec.Delivery, error)
	// Describe returns a delivery stream and where it is.
	Describe(ctx context.Context, account, name string) (spec.Description, error)
	// List returns up to limit of an account's delivery streams whose names come after one, by name.
	List(ctx context.Context, account, after string, limit int) ([]spec.Delivery, error)
	// Update changes a delivery stream. KindInUse when its version is another than the one that is asked for.
	Update(ctx context.Context, account, name string, ch spec.Change) (spec.Delivery, error)
	// Delete takes a delivery stream away.
	Delete(ctx context.Context, account, name string) error
	// Backfill delivers again what arrived between two times. change makes the configuration to do it by.
	Backfill(ctx context.Context, account, name string, from, to time.Time, change func(*spec.Config) error) (spec.Backfill, error)
	// Verify proves what was delivered.
	Verify(ctx context.Context, account, name string, o spec.VerifyOptions) (spec.Report, error)
	// Written lists up to limit objects, the newest first, those after a place; nil: from the newest on.
	Written(ctx context.Context, account, name string, failed bool, after *spec.Place, limit int) ([]spec.Written, error)
	// Failed reads the beginning of an object in the error prefix. KindNotFound when there is none at the place.
	Failed(ctx context.Context, account, name string, at spec.Place) (spec.FailedRecords, error)
}

// delivery checks a name, and whether the caller may act on the delivery stream.
func (b *Broker) delivery(ctx context.Context, who leat.Principal, action Action, name string) error {
	if err := spec.ValidateName(name); err != nil {
		return err
	}
	return b.mayDeliver(ctx, who, action, Resource{Account: who.Account, Path: "firehose:deliverystream/" + name})
}

func (b *Broker) mayDeliver(ctx context.Context, who leat.Principal, action Action, what Resource) error {
	if err := b.may(ctx, who, action, what); err != nil {
		return err
	}
	if b.deliveries == nil {
		return leat.Errorf(leat.KindUnsupported, "this server has no delivery streams")
	}
	return nil
}

// validateDeliveryTags has the rules of stream tags.
func validateDeliveryTags(tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	return validateTags(tags)
}
