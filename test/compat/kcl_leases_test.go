// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// leases is what a KCL application keeps in its lease table, with the records that its processors were given.
//
// The rules are the KCL's own: a shard is read when all of its parents are at SHARD_END, and one parent of a merge waits
// for the other, even where that has no lease yet; the leases of children come from ChildShards, never from a listing;
// the end of a shard and its children come together or not at all, otherwise the KCL stops with an error.
type leases struct {
	mu      sync.Mutex
	parents map[string][]string // each lease, with the parents of its shard
	ended   map[string]bool     // at SHARD_END
	begun   map[string]bool     // handed out by ready
	got     map[string][]string // by partition key, in the order of arrival
	total   int
}

func newLeases(initial []types.Shard) *leases {
	l := &leases{parents: map[string][]string{}, ended: map[string]bool{}, begun: map[string]bool{}, got: map[string][]string{}}
	for _, s := range initial {
		l.parents[*s.ShardId] = nil
	}
	return l
}

// ready returns the shards that may be read from now on, each once.
func (l *leases) ready() (ready []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for shard, parents := range l.parents {
		waits := l.begun[shard]
		for _, p := range parents {
			waits = waits || !l.ended[p]
		}
		if !waits {
			l.begun[shard] = true
			ready = append(ready, shard)
		}
	}
	return ready
}

// take is a record processor.
func (l *leases) take(records []types.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.got[*r.PartitionKey] = append(l.got[*r.PartitionKey], string(r.Data))
		l.total++
	}
}

func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// turn is what a page or an event says about the way on: next is where to read on, nil at the end of the shard.
func (l *leases) turn(shard string, next *string, children []types.ChildShard) (ended bool, err error) {
	if (next == nil) != (len(children) > 0) {
		return false, fmt.Errorf("%s goes on at %q and has %d children", shard, aws.ToString(next), len(children))
	}
	if next != nil {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended[shard] {
		return false, fmt.Errorf("%s ended twice", shard)
	}
	l.ended[shard] = true
	for _, c := range children {
		if len(c.ParentShards) == 0 || c.HashKeyRange == nil {
			return false, fmt.Errorf("%s is a child of %s without parents or range", *c.ShardId, shard)
		}
		l.parents[*c.ShardId] = c.ParentShards
	}
	return true, nil
}
