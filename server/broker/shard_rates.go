// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"time"

	"github.com/leatstream/leat"
)

// ShardRates promises: what this node has counted of a stream's shards, without a word to the catalog. A shard is
// counted where it is owned, whichever node was asked; a node that stands by has counted nothing. Counts begin anew when the process does.
//
// AWS has no such operation: it shows these numbers in CloudWatch. Here they are for on-demand scaling, /metrics and
// the console.

// Counts are totals since this process began to count.
type Counts struct {
	BytesIn, RecordsIn   uint64 // put and acked, data and partition keys
	BytesOut, RecordsOut uint64 // read and pushed
	ThrottledWrites      uint64 // records refused by the shard's limits, or because the node had too much that was not durable
	ThrottledReads       uint64 // GetRecords refused by the shard's limits
}

func (c Counts) plus(o Counts) Counts {
	return Counts{
		BytesIn: c.BytesIn + o.BytesIn, RecordsIn: c.RecordsIn + o.RecordsIn, BytesOut: c.BytesOut + o.BytesOut, RecordsOut: c.RecordsOut + o.RecordsOut,
		ThrottledWrites: c.ThrottledWrites + o.ThrottledWrites, ThrottledReads: c.ThrottledReads + o.ThrottledReads,
	}
}

// Rate is the same a second.
type Rate struct {
	BytesIn, RecordsIn, BytesOut, RecordsOut, ThrottledWrites, ThrottledReads float64
}

// ShardRate is what one shard takes and gives.
type ShardRate struct {
	Shard leat.Shard
	// The means of about the last 15 and 60 seconds and 5 minutes; of a shard that was not used before, from its first
	// use on.
	Last15s, Last60s, Last5m Rate
	Total                    Counts
	IteratorAge              time.Duration // the most that a GetRecords or push of about the last minute was behind, or else the last one; 0 when caught up or never read
	Balance                  Balance       // of the writes of about the last minute
}

// ShardRates returns the rates of a stream's shards, by ordinal: all that are open, and the closed ones that were used
// lately. It asks for no permission: it is for the server's own parts.
func (b *Broker) ShardRates(stream leat.StreamID) []ShardRate {
	v := b.directory.snap.Load().byID[stream]
	if v == nil {
		return nil
	}
	var all []ShardRate
	for i := range v.shards {
		s := &v.shards[i]
		f := b.flows.find(s.Key)
		if f == nil {
			if s.Open() {
				all = append(all, ShardRate{Shard: *s, Balance: Balance{At: s.Range.Middle(), Below: 0.5}})
			}
			continue
		}
		all = append(all, b.shardRate(s, f))
	}
	return all
}

func (b *Broker) shardRate(s *leat.Shard, f *flow) ShardRate {
	now := b.clock.Now()
	return ShardRate{
		Shard: *s, Total: f.counts(), IteratorAge: f.behind(b.flows.now()), Balance: f.load.balance(),
		Last15s: f.rate(now, b.flows.step, shortSteps), Last60s: f.rate(now, b.flows.step, middleSteps), Last5m: f.rate(now, b.flows.step, longSteps),
	}
}

// MonitoredStreams returns the streams that asked for shard-level metrics, in no order.
func (b *Broker) MonitoredStreams() (all []leat.Stream) {
	for _, v := range b.directory.snap.Load().byID {
		if len(v.Monitoring) > 0 {
			all = append(all, v.Stream)
		}
	}
	return all
}

// StreamTotals returns the sums of all shards that a stream has had on this node, also of those that others own by now.
func (b *Broker) StreamTotals(stream leat.StreamID) Counts {
	b.flows.mu.RLock()
	defer b.flows.mu.RUnlock()
	sum := b.flows.gone[stream]
	v := b.directory.snap.Load().byID[stream]
	if v == nil {
		return sum
	}
	for i := range v.shards {
		if f := b.flows.byKey[v.shards[i].Key]; f != nil {
			sum = sum.plus(f.counts())
		}
	}
	return sum
}
