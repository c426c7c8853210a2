// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// StartStreamEncryption promises: records that are put once the stream is ACTIVE again are sealed with a new key before
// they reach the log. Until then the stream is UPDATING and takes reads and writes. What was put before is sealed as it
// is packed and merged. Done again, under the same name or another, it gives the stream another new key.
//
// Differs from AWS: the key's name is a label. No key service is asked; the server's master key wraps the stream's keys.
// There is no limit of 25 new keys in 24 hours.

// maxKeyName is AWS's bound, in characters.
const maxKeyName = 2048

// StreamKeys makes the keys of encrypted streams.
type StreamKeys interface {
	// Make makes a new key for a stream, and makes it durable. KindUnsupported when the server has no master key.
	Make(ctx context.Context, stream leat.StreamID) (catalog.StreamKey, error)
}

// StartStreamEncryption begins to encrypt a stream. key is what its owner calls the key: an alias, an ARN, any name.
func (b *Broker) StartStreamEncryption(ctx context.Context, who leat.Principal, stream, key string) error {
	if n := utf8.RuneCountInString(key); n < 1 || n > maxKeyName {
		return leat.Invalid("key", "the name of an encryption key must have 1 to %d characters", maxKeyName)
	}
	v, err := b.changeable(ctx, who, ActionStartStreamEncryption, stream)
	if err != nil {
		return err
	}
	return b.encrypt(ctx, v, key)
}

var errNoStreamKeys = leat.Errorf(leat.KindUnsupported, "this server cannot encrypt streams: start it with --master-key-file")

func (b *Broker) encrypt(ctx context.Context, v *streamView, key string) error {
	if v.Status != leat.StreamActive {
		return errNotActive(&v.Stream)
	}
	if b.streamKeys == nil {
		return errNoStreamKeys
	}
	k, err := b.streamKeys.Make(ctx, v.ID)
	if err != nil {
		return err
	}
	s, err := b.catalog.StartEncryption(ctx, k, key)
	if err != nil {
		return err
	}
	b.settled(ctx, s)
	b.changed(ctx, fields{"encryption_key": v.EncryptionKey}, fields{"encryption_key": key})
	return nil
}
