// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type accountService struct {
	leatv1.UnimplementedAccountServiceServer
	*Server
}

func (s accountService) GetAccountLimits(ctx context.Context, _ *leatv1.GetAccountLimitsRequest) (*leatv1.GetAccountLimitsResponse, error) {
	l, err := s.broker.Limits(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	return &leatv1.GetAccountLimitsResponse{Limits: &leatv1.AccountLimits{
		OpenShardCount: int32(l.OpenShards), ShardLimit: int32(l.ShardLimit),
		OnDemandStreamCount: int32(l.OnDemandStreams), OnDemandStreamLimit: int32(l.OnDemandStreamLimit),
	}}, nil
}

func (s accountService) GetAccountSettings(ctx context.Context, _ *leatv1.GetAccountSettingsRequest) (*leatv1.GetAccountSettingsResponse, error) {
	a, err := s.broker.AccountSettings(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	return &leatv1.GetAccountSettingsResponse{Settings: settingsOf(&a)}, nil
}

func (s accountService) UpdateAccountSettings(ctx context.Context, req *leatv1.UpdateAccountSettingsRequest) (*leatv1.UpdateAccountSettingsResponse, error) {
	to := named(commitments[:], req.GetMinimumThroughputCommitment())
	a, err := s.broker.UpdateAccountSettings(ctx, principal(ctx), broker.UpdateAccountSettingsRequest{Commitment: to})
	if err != nil {
		return nil, err
	}
	return &leatv1.UpdateAccountSettingsResponse{Settings: settingsOf(&a)}, nil
}

// commitments is in the order of the proto's numbers.
var commitments = [...]broker.CommitmentStatus{
	leatv1.CommitmentStatus_COMMITMENT_STATUS_DISABLED:                           broker.CommitmentDisabled,
	leatv1.CommitmentStatus_COMMITMENT_STATUS_ENABLED:                            broker.CommitmentEnabled,
	leatv1.CommitmentStatus_COMMITMENT_STATUS_ENABLED_UNTIL_EARLIEST_ALLOWED_END: broker.CommitmentEnabledUntil,
}

func settingsOf(a *broker.AccountSettings) *leatv1.AccountSettings {
	return &leatv1.AccountSettings{
		MinimumThroughputCommitment: numbered[leatv1.CommitmentStatus](commitments[:], a.Commitment),
		CommitmentStartTime:         stamp(a.Started), CommitmentEarliestEndTime: stamp(a.EarliestAllowedEnd), CommitmentEndTime: stamp(a.Ended),
	}
}
