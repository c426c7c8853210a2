// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"errors"
	"strings"

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

// named returns the consumer that a request names: by its own ARN, by its stream's ARN and its name, or by both when
// they agree.
func named(consumerARN, streamARN, name, id *string) (broker.ConsumerRequest, error) {
	if err := noID(id); err != nil {
		return broker.ConsumerRequest{}, err
	}
	if consumerARN == nil {
		if streamARN == nil || name == nil {
			return broker.ConsumerRequest{}, leat.Invalid("ConsumerARN", "Either ConsumerARN, or both StreamARN and ConsumerName must be provided.")
		}
		return broker.ConsumerRequest{Stream: *streamARN, Consumer: *name}, nil
	}
	stream, consumer, created, err := leat.ParseConsumerARN(*consumerARN)
	if err != nil {
		return broker.ConsumerRequest{}, err
	}
	if (streamARN != nil && *streamARN != stream) || (name != nil && *name != consumer) {
		return broker.ConsumerRequest{}, leat.Invalid("ConsumerARN", "ConsumerARN %s does not agree with the StreamARN or the ConsumerName that is given too.", *consumerARN)
	}
	return broker.ConsumerRequest{Stream: stream, Consumer: consumer, Created: created}, nil
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

// provisioned gives the error of a stream that scales by itself the type that AWS gives it.
func provisioned(err error) error {
	var e *leat.Error
	if errors.Is(err, broker.ErrOnDemand) && errors.As(err, &e) {
		return &awsError{Type: "ValidationException", Message: e.Message}
	}
	return err
}

// identity returns the name and the ARN of a stream that a request has named by either.
func (h *Handler) identity(c *call, stream string) (name, arn string) {
	if _, _, name, err := leat.ParseStreamARN(stream); err == nil {
		return name, stream
	}
	s := leat.Stream{Account: c.who.Account, Name: stream}
	return stream, s.ARN(h.broker.Region())
}

// resource returns the stream or the consumer that an ARN names.
func resource(arn string, id *string) (broker.ResourceRequest, error) {
	if err := noID(id); err != nil {
		return broker.ResourceRequest{}, err
	}
	if !strings.Contains(arn, "/consumer/") {
		return broker.ResourceRequest{Stream: arn}, nil
	}
	stream, consumer, created, err := leat.ParseConsumerARN(arn)
	return broker.ResourceRequest{Stream: stream, Consumer: consumer, Created: created}, err
}
