// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// consumerCmd is `leat consumer`.
type consumerCmd struct {
	Connection connection `embed:""`

	Register   consumerRegisterCmd   `cmd:"" help:"Register a consumer."`
	List       consumerListCmd       `cmd:"" help:"List the consumers of a stream."`
	Describe   consumerDescribeCmd   `cmd:"" help:"Describe a consumer."`
	Deregister consumerDeregisterCmd `cmd:"" help:"Deregister a consumer."`
}

// named is a consumer of a stream.
type named struct {
	Name     string `arg:"" help:"Name of the stream."`
	Consumer string `arg:"" help:"Name of the consumer."`
}

type consumerRegisterCmd struct {
	named
	Tag []string `help:"A tag; may be given more than once." placeholder:"NAME=VALUE" sep:"none"`
}

// Run registers a consumer and waits until it can subscribe.
func (cmd *consumerRegisterCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	tags, err := parseTags(cmd.Tag)
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		v, err := register(ctx, cl, cmd.Name, cmd.Consumer, tags)
		if err != nil {
			return err
		}
		return printConsumers(t, c, v)
	})
}

// register registers a consumer and polls until it is ACTIVE.
func register(ctx context.Context, cl *client.Client, stream, consumer string, tags map[string]string) (*leatv1.Consumer, error) {
	_, err := cl.Consumers.RegisterStreamConsumer(ctx, &leatv1.RegisterStreamConsumerRequest{Stream: stream, Consumer: consumer, Tags: tags})
	if err != nil {
		return nil, err
	}
	return awaitActive(ctx, cl, stream, consumer)
}

// awaitActive polls until a consumer is ACTIVE.
func awaitActive(ctx context.Context, cl *client.Client, stream, consumer string) (*leatv1.Consumer, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		res, err := cl.Consumers.DescribeStreamConsumer(ctx, &leatv1.DescribeStreamConsumerRequest{Stream: stream, Consumer: consumer})
		if err != nil || res.GetConsumer().GetStatus() == leatv1.ConsumerStatus_CONSUMER_STATUS_ACTIVE {
			return res.GetConsumer(), err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, leat.Errorf(leat.KindUnavailable, "consumer %s is still being registered: `leat consumer describe` shows how it is", consumer)
		}
	}
}

type consumerListCmd struct {
	Name string `arg:"" help:"Name of the stream."`
}

// Run lists consumers.
func (cmd *consumerListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var all []*leatv1.Consumer
		req := &leatv1.ListStreamConsumersRequest{Stream: cmd.Name}
		for range maxPages {
			res, err := cl.Consumers.ListStreamConsumers(ctx, req)
			if err != nil {
				return err
			}
			all = append(all, res.GetConsumers()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return printConsumers(t, c, all...)
	})
}

type consumerDescribeCmd struct {
	named
}

// Run describes a consumer.
func (cmd *consumerDescribeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Consumers.DescribeStreamConsumer(ctx, &leatv1.DescribeStreamConsumerRequest{Stream: cmd.Name, Consumer: cmd.Consumer})
		if err != nil {
			return err
		}
		return printConsumers(t, c, res.GetConsumer())
	})
}

type consumerDeregisterCmd struct {
	named
}

// Run deregisters a consumer.
func (cmd *consumerDeregisterCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		_, err := cl.Consumers.DeregisterStreamConsumer(ctx, &leatv1.DeregisterStreamConsumerRequest{Stream: cmd.Name, Consumer: cmd.Consumer})
		if err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(map[string]string{"stream": cmd.Name, "name": cmd.Consumer, "status": "DELETING"}, "consumer "+cmd.Consumer+" deregistered"); err != nil {
			return err
		}
		return p.Flush()
	})
}

func printConsumers(t *terminal, c *connection, consumers ...*leatv1.Consumer) error {
	p := newPrinter(t.out, c.Output, "NAME", "STATUS", "CREATED", "ARN")
	for _, consumer := range consumers {
		v := viewConsumer(consumer)
		if err := p.Row(v, v.Name, v.Status, local(consumer.GetCreateTime()), v.ARN); err != nil {
			return err
		}
	}
	return p.Flush()
}
