// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// EncryptDelivery promises for what is put directly into a delivery stream what StartStreamEncryption promises for the
// records of a stream; DecryptDelivery is StopStreamEncryption. Objects are not concerned: they are the bucket's to encrypt.

// EncryptDelivery begins to encrypt what is put into a delivery stream. key is a name for people.
func (b *Broker) EncryptDelivery(ctx context.Context, who leat.Principal, name, key string) error {
	if n := utf8.RuneCountInString(key); n < 1 || n > maxKeyName {
		return leat.Invalid("key", "the name of an encryption key must have 1 to %d characters", maxKeyName)
	}
	v, err := b.hidden(ctx, who, ActionStartDeliveryEncryption, name)
	if err != nil {
		return err
	}
	return b.encrypt(ctx, v, key)
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
