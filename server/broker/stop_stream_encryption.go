// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// StopStreamEncryption promises: new records are in the clear soon after, and surely once the stream is ACTIVE again. What
// is sealed stays sealed and can be read. A stream that is not encrypted is left as it is, in any state that takes reads
// and writes.
//
// Differs from AWS: the key need not be named.

// StopStreamEncryption ends the encryption of what is put from now on.
func (b *Broker) StopStreamEncryption(ctx context.Context, who leat.Principal, stream string) error {
	v, err := b.changeable(ctx, who, ActionStopStreamEncryption, stream)
	if err != nil {
		return err
	}
	return b.decrypt(ctx, v)
}

func (b *Broker) decrypt(ctx context.Context, v *streamView) error {
	if v.EncryptionKey == "" && v.serves() {
		return nil
	}
	if v.Status != leat.StreamActive {
		return errNotActive(&v.Stream)
	}
	s, err := b.catalog.StopEncryption(ctx, v.ID)
	if err != nil {
		return err
	}
	b.settled(ctx, s)
	b.changed(ctx, fields{"encryption_key": v.EncryptionKey}, fields{"encryption_key": ""})
	return nil
}
