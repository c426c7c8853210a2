// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// DeleteResourcePolicy promises: when it returns no error the stream or the consumer had a policy and has none now.
//
// Differs from AWS: nothing that a client can see.

// DeleteResourcePolicy removes a policy. KindNotFound when there is none.
func (b *Broker) DeleteResourcePolicy(ctx context.Context, who leat.Principal, req ResourceRequest) error {
	r, v, err := b.resource(ctx, who, ActionDeleteResourcePolicy, req, b.changeable)
	if err != nil {
		return err
	}
	b.changed(ctx, b.policyOf(ctx, r), nil)
	there, err := b.catalog.DeletePolicy(ctx, r)
	b.identityChanged(ctx)
	if err == nil && !there {
		about := v.ARN(b.region)
		if req.Consumer != "" {
			about += "/consumer/" + req.Consumer
		}
		return leat.Errorf(leat.KindNotFound, "No resource policy found for resource ARN %s", about)
	}
	return err
}
