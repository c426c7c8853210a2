// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// DescribeAccountSettings promises: the account's settings as they were last set.
//
// Differs from AWS: the billing commitment is kept and told, and costs nothing.

type describeAccountSettingsInput struct{}

func (h *Handler) describeAccountSettings(ctx context.Context, c *call, _ *describeAccountSettingsInput) (*accountSettingsOutput, error) {
	s, err := h.broker.AccountSettings(ctx, c.who)
	if err != nil {
		return nil, err
	}
	return accountSettings(&s), nil
}
