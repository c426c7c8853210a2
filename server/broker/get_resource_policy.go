// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// GetResourcePolicy promises: the policy as it was set; empty when the stream or the consumer has none, which is no error.
//
// Differs from AWS: nothing that a client can see.

// GetResourcePolicy returns a policy.
func (b *Broker) GetResourcePolicy(ctx context.Context, who leat.Principal, req ResourceRequest) (string, error) {
	r, _, err := b.resource(ctx, who, ActionGetResourcePolicy, req, b.described)
	if err != nil {
		return "", err
	}
	policy, err := b.catalog.Policy(ctx, r)
	if err != nil {
		return "", away(err)
	}
	return policy, nil
}
