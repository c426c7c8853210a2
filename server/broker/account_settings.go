// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// AccountSettings (AWS: DescribeAccountSettings) promises: the settings as the catalog has them.
//
// Differs from AWS: nothing is billed by them here.

// CommitmentStatus is where an account's commitment to a minimum throughput is in its life.
type CommitmentStatus string

// The states of a commitment, with the names of AWS.
const (
	CommitmentEnabled      CommitmentStatus = "ENABLED"
	CommitmentDisabled     CommitmentStatus = "DISABLED"
	CommitmentEnabledUntil CommitmentStatus = "ENABLED_UNTIL_EARLIEST_ALLOWED_END" // ended early: it holds until it can end
)

// AccountSettings are what an account has set for itself. Times are zero where there is none.
type AccountSettings struct {
	Commitment         CommitmentStatus
	Started            time.Time // of the last commitment
	EarliestAllowedEnd time.Time
	Ended              time.Time
}

// commitmentLasts is how long a commitment holds at least, as with AWS.
const commitmentLasts = 24 * time.Hour

// advantageConsumers is how many consumers a stream of a committed account can have, as with AWS.
const advantageConsumers = 50

// AccountSettings returns the settings of the caller's account.
func (b *Broker) AccountSettings(ctx context.Context, who leat.Principal) (AccountSettings, error) {
	if err := b.may(ctx, who, ActionAccountSettings, Resource{Account: who.Account}); err != nil {
		return AccountSettings{}, err
	}
	s, err := b.catalog.AccountSettings(ctx, who.Account)
	if err != nil {
		return AccountSettings{}, away(err)
	}
	return settingsAt(s, b.clock.Now()), nil
}

func settingsAt(s catalog.AccountSettings, now time.Time) AccountSettings {
	if s.CommitmentStart.IsZero() {
		return AccountSettings{Commitment: CommitmentDisabled}
	}
	a := AccountSettings{Commitment: CommitmentEnabled, Started: s.CommitmentStart, EarliestAllowedEnd: s.CommitmentStart.Add(commitmentLasts)}
	switch {
	case s.CommitmentEnd.IsZero():
	case s.CommitmentEnd.After(now):
		a.Commitment = CommitmentEnabledUntil
	default:
		a.Commitment, a.Ended = CommitmentDisabled, s.CommitmentEnd
	}
	return a
}

// mostConsumers is how many consumers a stream of an account can have.
func (b *Broker) mostConsumers(ctx context.Context, account string) (int, error) {
	s, err := b.catalog.AccountSettings(ctx, account)
	if err != nil {
		return 0, away(err)
	}
	if settingsAt(s, b.clock.Now()).Commitment == CommitmentDisabled {
		return leat.MaxConsumersPerStream, nil
	}
	return advantageConsumers, nil
}
