// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// StartDeliveryStreamEncryption: see broker.EncryptDelivery for what it promises.
//
// Differs from AWS: keys are made under the server's master key; KeyARN is a name for people. It is ENABLED at once.

type startDeliveryStreamEncryptionInput struct {
	DeliveryStreamEncryptionConfigurationInput *encryptionInput
	DeliveryStreamName                         *string
}

func (h *Handler) startDeliveryStreamEncryption(ctx context.Context, c *call, in *startDeliveryStreamEncryptionInput) (*nothing, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.encrypt(ctx, c, name, in.DeliveryStreamEncryptionConfigurationInput)
}

// ownedKey is what a key that AWS would own is called.
const ownedKey = "AWS_OWNED_CMK"

// key reads what a key is called.
func (e *encryptionInput) key() (string, error) {
	if e == nil {
		return ownedKey, nil
	}
	switch kind := or(e.KeyType, ""); {
	case kind == ownedKey && e.KeyARN == nil:
		return ownedKey, nil
	case kind == "CUSTOMER_MANAGED_CMK" && e.KeyARN != nil:
		return *e.KeyARN, nil
	}
	return "", leat.Invalid("DeliveryStreamEncryptionConfigurationInput", "KeyType must be AWS_OWNED_CMK, or CUSTOMER_MANAGED_CMK with a KeyARN")
}

func (h *Handler) encrypt(ctx context.Context, c *call, name string, e *encryptionInput) error {
	key, err := e.key()
	if err != nil {
		return err
	}
	return h.broker.EncryptDelivery(ctx, c.who, name, key)
}

// encryption describes how direct puts are kept.
func (h *Handler) encryption(d *spec.Delivery) *encryptionDescription {
	s, ok := h.broker.Directory().Stream(d.Stream)
	switch {
	case !ok || s.EncryptionKey == "":
		return &encryptionDescription{Status: "DISABLED"}
	case s.EncryptionKey == ownedKey:
		return &encryptionDescription{Status: "ENABLED", KeyType: ptr(ownedKey)}
	}
	return &encryptionDescription{Status: "ENABLED", KeyType: ptr("CUSTOMER_MANAGED_CMK"), KeyARN: &s.EncryptionKey}
}

// stamped returns nil where there is no time.
func stamped(millis int64, none bool) *stamp {
	if none {
		return nil
	}
	return &stamp{time.UnixMilli(millis)}
}
