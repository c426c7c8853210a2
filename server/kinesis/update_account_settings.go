// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// UpdateAccountSettings promises: the commitment to a minimum throughput begins, goes on, or ends 24 hours after it
// began at the earliest. Setting what is set already changes nothing.
//
// Differs from AWS: the commitment is kept and told, and costs nothing.

type updateAccountSettingsInput struct {
	MinimumThroughputBillingCommitment *billingCommitmentInput `json:"MinimumThroughputBillingCommitment,omitempty" check:"required"`
}

type billingCommitmentInput struct {
	Status *string `json:"Status,omitempty" check:"required,enum=ENABLED|DISABLED"`
}

func (h *Handler) updateAccountSettings(ctx context.Context, c *call, in *updateAccountSettingsInput) (*accountSettingsOutput, error) {
	s, err := h.broker.UpdateAccountSettings(ctx, c.who, broker.UpdateAccountSettingsRequest{
		Commitment: broker.CommitmentStatus(*in.MinimumThroughputBillingCommitment.Status),
	})
	if err != nil {
		return nil, err
	}
	return accountSettings(&s), nil
}
