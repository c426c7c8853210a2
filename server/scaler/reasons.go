// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"fmt"
	"time"
)

// The reasons that people read in the log and in a stream's scale events.

func (f Flow) String() string {
	return fmt.Sprintf("%.0f%% of what a shard takes (%.2f MiB/s, %.0f records/s)", 100*f.Share(), f.Bytes/(1<<20), f.Records)
}

func reasonHot(s *Shard, since time.Duration) string {
	cut := fmt.Sprintf("cut so that %.0f%% of them lie below", 100*s.Balance.Below)
	if most := max(s.Balance.Below, 1-s.Balance.Below); most > 0.95 {
		cut = "nearly all of them lie close together, so it is cut to close in on them"
	}
	return fmt.Sprintf("writes were hot for %v, now %v; %s", since.Round(time.Second), s.Short, cut)
}

func reasonCold(lower, upper *Shard, since time.Duration) string {
	both := Flow{Bytes: lower.Long.Bytes + upper.Long.Bytes, Records: lower.Long.Records + upper.Long.Records}
	return fmt.Sprintf("writes were cold for %v, together now %v", since.Round(time.Second), both)
}

func reasonWarm(warm, open int) string {
	return fmt.Sprintf("warm throughput of %d MiB/s takes %d shards, and there were %d", warm, warm, open)
}

func reasonNarrow(s *Shard, narrow int) string {
	return fmt.Sprintf("writes are hot, %v, but the shard has less than 1/%d of all hash keys: one partition key, or few near each other, takes them all, and no split can share that out; spread its records over several keys", s.Short, 1<<narrow)
}

func reasonQuota(s *Shard) string {
	return fmt.Sprintf("writes are hot, %v, but the account has as many shards as it may have: the quota shards, or the server's own limit", s.Short)
}

func reasonMost(s *Shard, most int) string {
	return fmt.Sprintf("writes are hot, %v, but the stream has as many shards as on-demand scaling makes: %d", s.Short, most)
}
