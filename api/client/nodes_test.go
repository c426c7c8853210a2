// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
)

// An owner's connection drops, or comes up, while a batch is shared out: the shares are put at the same time, so the records
// of one key must not be in two of them.
func TestKeyIsInOneShare(t *testing.T) {
	var nodes []*client.Client
	for range 3 {
		nodes = append(nodes, dial(t, "127.0.0.1:1")) // nothing is sent
	}
	rest := nodes[2]
	var starts []leat.HashKey
	owners := []*client.Client{nodes[0], nodes[1], nil, nodes[0]}
	for _, r := range leat.SplitEvenly(len(owners)) {
		starts = append(starts, r.Start)
	}
	records := make([]*client.Record, 200)
	for i := range records {
		records[i] = &client.Record{PartitionKey: fmt.Sprintf("k%d", i%20)}
	}
	rnd := random(t)
	for range 50 {
		before, changes, asked := rnd.IntN(2) == 0, rnd.IntN(len(records)), 0
		usable := func(*client.Client) bool {
			asked++
			return before == (asked <= changes)
		}
		first := map[string]*client.Client{}
		for i, to := range client.Split(starts, owners, records, rest, usable) {
			key := records[i].PartitionKey
			if first[key] == nil {
				first[key] = to
			}
			if first[key] != to {
				t.Fatalf("usable %v until it was asked %d times: record %d of key %s does not go where the first of that key goes", before, changes, i, key)
			}
		}
	}
}

// Each record goes to its shard's owner; to the rest where that is not known or cannot be reached.
func TestSplitByOwner(t *testing.T) {
	up, down, rest := dial(t, "127.0.0.1:1"), dial(t, "127.0.0.1:1"), dial(t, "127.0.0.1:1")
	owners := []*client.Client{up, down, nil, rest}
	want := []*client.Client{up, rest, rest, rest}
	var starts []leat.HashKey
	var records []*client.Record
	for _, r := range leat.SplitEvenly(len(owners)) {
		starts = append(starts, r.Start)
		records = append(records, &client.Record{PartitionKey: "k", ExplicitHashKey: r.End.String()})
	}
	got := client.Split(starts, owners, records, rest, func(c *client.Client) bool { return c != down })
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("the record of shard %d goes to the wrong node", i)
		}
	}
}
