// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// Limits (AWS: DescribeLimits) promises: how many open shards and on-demand streams the account has, and can have. It is
// answered from memory when the catalog is away.
//
// Differs from AWS: nothing that a client can see.

// Quotas bound what one account can have. They are checked against what this node knows, so calls at the same time on
// several nodes can go a little beyond.
type Quotas struct {
	Shards          int // open shards of all streams; 0 means 100,000
	OnDemandStreams int // 0 means 10,000
}

// AccountLimits are an account's quotas and their use.
type AccountLimits struct {
	OpenShards          int
	ShardLimit          int
	OnDemandStreams     int
	OnDemandStreamLimit int
}

// Limits tells how much of its quotas the caller's account uses.
func (b *Broker) Limits(ctx context.Context, who leat.Principal) (AccountLimits, error) {
	if err := b.may(ctx, who, ActionLimits, Resource{Account: who.Account}); err != nil {
		return AccountLimits{}, err
	}
	if err := b.directory.RefreshAll(ctx); err != nil && !b.directory.Loaded() {
		return AccountLimits{}, err
	}
	return b.used(who.Account), nil
}

func (b *Broker) used(account string) AccountLimits {
	l := AccountLimits{ShardLimit: b.quotas.Shards, OnDemandStreamLimit: b.quotas.OnDemandStreams}
	if own := b.quotasOf(account); own.Shards > 0 {
		l.ShardLimit = int(own.Shards)
	}
	if own := b.quotasOf(account); own.OnDemandStreams > 0 {
		l.OnDemandStreamLimit = int(own.OnDemandStreams)
	}
	for _, v := range b.directory.account(account) {
		if v.Status == leat.StreamDeleting {
			continue
		}
		l.OpenShards += max(len(v.open), v.TargetShards)
		if v.Mode == leat.ModeOnDemand {
			l.OnDemandStreams++
		}
	}
	return l
}

// roomForShards has the text of AWS.
func (b *Broker) roomForShards(account string, more int) error {
	l := b.used(account)
	if more <= 0 || l.OpenShards+more <= l.ShardLimit {
		return nil
	}
	return leat.Errorf(leat.KindLimitExceeded,
		"This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. Limit: %d. Number of additional shards that would have resulted from this request: %d.",
		account, b.region, l.OpenShards, l.ShardLimit, more)
}

func (b *Broker) roomForOnDemand(account string) error {
	l := b.used(account)
	if l.OnDemandStreams < l.OnDemandStreamLimit {
		return nil
	}
	return leat.Errorf(leat.KindLimitExceeded, "Account %s has %d streams in on-demand mode in %s, which is its limit.", account, l.OnDemandStreams, b.region)
}
