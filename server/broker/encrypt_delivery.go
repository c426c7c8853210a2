// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// EncryptDelivery promises for what is put directly into a delivery stream what StartStreamEncryption promises for the
// records of a stream; DecryptDelivery is StopStreamEncryption. Objects are not concerned: they are the bucket's to encrypt.

// EncryptDelivery begins to encrypt what is put into a delivery stream. key is a name for people.
func (b *Broker) EncryptDelivery(ctx context.Context, who leat.Principal, name, key string) error {
	if err := validateDeliveryKey(key); err != nil {
		return err
	}
	v, err := b.hidden(ctx, who, ActionStartDeliveryEncryption, name)
	if err != nil {
		return err
	}
	return b.encrypt(ctx, v, key)
}

func validateDeliveryKey(key string) error {
	if n := utf8.RuneCountInString(key); n < 1 || n > maxKeyName {
		return leat.Invalid("key", "the name of an encryption key must have 1 to %d characters", maxKeyName)
	}
	return nil
}

// mayEncryptDelivery refuses what EncryptDelivery would refuse of a delivery stream that is still to be made.
func (b *Broker) mayEncryptDelivery(ctx context.Context, who leat.Principal, req *CreateDeliveryRequest) error {
	if !req.Config.Source.Direct() {
		return leat.Invalid("key", "what comes from a stream is encrypted with that stream")
	}
	if err := validateDeliveryKey(req.EncryptionKey); err != nil {
		return err
	}
	if err := b.delivery(ctx, who, ActionStartDeliveryEncryption, req.Delivery); err != nil {
		return err
	}
	if b.streamKeys == nil {
		return errNoStreamKeys
	}
	return nil
}

// hiddenWithin is how long the stream of a new delivery stream may be CREATING.
const hiddenWithin = 10 * time.Second

// encryptNew encrypts what is put into a delivery stream that has just been made. Where that fails the delivery stream is taken away
// again: nothing must be put in the clear that was to be encrypted.
func (b *Broker) encryptNew(ctx context.Context, who leat.Principal, d *spec.Delivery, key string) error {
	v, err := b.awaitHidden(ctx, who, d.Name)
	if err == nil {
		err = b.encrypt(ctx, v, key)
	}
	if err != nil {
		err = errors.Join(err, b.deliveries.Delete(context.WithoutCancel(ctx), who.Account, d.Name))
	}
	return err
}

func (b *Broker) awaitHidden(ctx context.Context, who leat.Principal, name string) (*streamView, error) {
	ctx, cancel := context.WithTimeout(ctx, hiddenWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := b.directory.refresh(ctx, spec.HiddenAccount(who.Account), name)
		if err != nil || v.Status != leat.StreamCreating {
			return v, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errNotActive(&v.Stream)
		}
	}
}

// DecryptDelivery ends the encryption of what is put from now on.
func (b *Broker) DecryptDelivery(ctx context.Context, who leat.Principal, name string) error {
	v, err := b.hidden(ctx, who, ActionStopDeliveryEncryption, name)
	if err != nil {
		return err
	}
	return b.decrypt(ctx, v)
}

// hidden finds the stream that keeps what is put directly into a delivery stream.
func (b *Broker) hidden(ctx context.Context, who leat.Principal, action Action, name string) (*streamView, error) {
	if err := b.delivery(ctx, who, action, name); err != nil {
		return nil, err
	}
	v, err := b.directory.refresh(ctx, spec.HiddenAccount(who.Account), name)
	if leat.KindOf(err) == leat.KindNotFound {
		return nil, b.noDirectPut(ctx, who, name)
	}
	return v, err
}
