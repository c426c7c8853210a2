// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// The consumers of streams as the wire shows and names them.

type consumer struct {
	ConsumerName              string     `json:"ConsumerName"`
	ConsumerARN               string     `json:"ConsumerARN"`
	ConsumerStatus            string     `json:"ConsumerStatus"`
	ConsumerCreationTimestamp *timestamp `json:"ConsumerCreationTimestamp"`
}

func (h *Handler) consumer(d *broker.ConsumerDescription) consumer {
	return consumer{
		ConsumerName:              d.Name,
		ConsumerARN:               d.ARN(d.In.ARN(h.broker.Region())),
		ConsumerStatus:            string(d.Status),
		ConsumerCreationTimestamp: stamp(d.Created),
	}
}

// knownShards refuses ids that no shard has, before anything is looked up, with AWS's text for shards that do not exist.
func (h *Handler) knownShards(c *call, stream string, ids ...string) error {
	for _, id := range ids {
		if _, err := leat.ParseShardID(id); err != nil {
			name, _ := h.identity(c, stream)
			return leat.Errorf(leat.KindNotFound, "Could not find shard %s in stream %s under account %s.", id, name, c.who.Account)
		}
	}
	return nil
}

// identity returns the name and the ARN of a stream that a request has named by either.
func (h *Handler) identity(c *call, stream string) (name, arn string) {
	if _, _, name, err := leat.ParseStreamARN(stream); err == nil {
		return name, stream
	}
	s := leat.Stream{Account: c.who.Account, Name: stream}
	return stream, s.ARN(h.broker.Region())
}
