// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import "github.com/leatstream/leat"

// Split tells to which node each record of a batch goes, of a stream whose shards begin at starts and belong to owners.
func Split(starts []leat.HashKey, owners []*Client, records []*Record, rest *Client, usable func(*Client) bool) []*Client {
	p := placement{starts: starts, owners: owners}
	out := make([]*Client, len(records))
	for _, s := range p.split(records, rest, usable) {
		for _, at := range s.at {
			out[at] = s.to
		}
	}
	return out
}
