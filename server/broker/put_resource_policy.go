// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/policy"
)

// PutResourcePolicy promises: the stream or the consumer has this policy, in place of the one before. It is kept as it was
// written.
//
// It takes effect on this node when PutResourcePolicy returns and on others within a few seconds.
//
// Differs from AWS: whether its principals and actions exist is not checked; condition operators, condition keys and policy
// variables that Leat does not know are refused by name.

// PutResourcePolicy sets a policy.
func (b *Broker) PutResourcePolicy(ctx context.Context, who leat.Principal, req ResourceRequest, text string) error {
	if err := policy.CheckResource(text); err != nil {
		return err
	}
	r, _, err := b.resource(ctx, who, ActionPutResourcePolicy, req, b.changeable)
	if err != nil {
		return err
	}
	before := b.policyOf(ctx, r)
	if err := b.catalog.PutPolicy(ctx, r, text); err != nil {
		return err
	}
	b.changed(ctx, before, fields{"policy": text})
	b.identityChanged(ctx)
	return nil
}
