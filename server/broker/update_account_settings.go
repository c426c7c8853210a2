// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// UpdateAccountSettings promises: a commitment to a minimum throughput begins, goes on, or ends 24 hours after it began at
// the earliest. While it holds, streams of the account can have 50 consumers instead of 20. Giving the account the value
// that it has changes nothing.
//
// Differs from AWS: nothing is billed by it, and warm throughput does not need it.

// UpdateAccountSettingsRequest says what to change.
type UpdateAccountSettingsRequest struct {
	Commitment CommitmentStatus // ENABLED or DISABLED
}

// UpdateAccountSettings changes the settings of the caller's account and returns them.
func (b *Broker) UpdateAccountSettings(ctx context.Context, who leat.Principal, req UpdateAccountSettingsRequest) (AccountSettings, error) {
	if req.Commitment != CommitmentEnabled && req.Commitment != CommitmentDisabled {
		return AccountSettings{}, leat.Invalid("minimum_throughput_commitment", "minimum throughput commitment %.60q must be %s or %s", req.Commitment, CommitmentEnabled, CommitmentDisabled)
	}
	if err := b.may(ctx, who, ActionUpdateAccountSettings, Resource{Account: who.Account}); err != nil {
		return AccountSettings{}, err
	}
	now := b.clock.Now().UTC().Truncate(time.Microsecond)
	var before CommitmentStatus
	s, err := b.catalog.UpdateAccountSettings(ctx, who.Account, func(s *catalog.AccountSettings) {
		before = settingsAt(*s, now).Commitment
		commit(s, req.Commitment, now)
	})
	if err != nil {
		return AccountSettings{}, err
	}
	b.changed(ctx, fields{"minimum_throughput_commitment": before}, fields{"minimum_throughput_commitment": settingsAt(s, now).Commitment})
	return settingsAt(s, now), nil
}

// commit may be called twice with the same values.
func commit(s *catalog.AccountSettings, to CommitmentStatus, now time.Time) {
	is := settingsAt(*s, now)
	switch {
	case to == CommitmentEnabled && is.Commitment == CommitmentEnabledUntil:
		s.CommitmentEnd = time.Time{}
	case to == CommitmentEnabled && is.Commitment == CommitmentDisabled:
		*s = catalog.AccountSettings{CommitmentStart: now}
	case to == CommitmentDisabled && is.Commitment == CommitmentEnabled:
		if s.CommitmentEnd = is.EarliestAllowedEnd; s.CommitmentEnd.Before(now) {
			s.CommitmentEnd = now
		}
	}
}
