// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "github.com/leatstream/leat/server/broker"

// What DescribeAccountSettings and UpdateAccountSettings share.

type accountSettingsOutput struct {
	MinimumThroughputBillingCommitment *billingCommitment `json:"MinimumThroughputBillingCommitment"`
}

type billingCommitment struct {
	Status               string     `json:"Status"`
	StartedAt            *timestamp `json:"StartedAt,omitempty"`
	EndedAt              *timestamp `json:"EndedAt,omitempty"`
	EarliestAllowedEndAt *timestamp `json:"EarliestAllowedEndAt,omitempty"`
}

func accountSettings(s *broker.AccountSettings) *accountSettingsOutput {
	return &accountSettingsOutput{MinimumThroughputBillingCommitment: &billingCommitment{
		Status:               string(s.Commitment),
		StartedAt:            stamp(s.Started),
		EndedAt:              stamp(s.Ended),
		EarliestAllowedEndAt: stamp(s.EarliestAllowedEnd),
	}}
}
