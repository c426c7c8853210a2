// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// deliveryCmd is `leat delivery`.
type deliveryCmd struct {
	Connection connection `embed:""`

	Create   deliveryCreateCmd   `cmd:"" help:"Create a delivery stream: of a stream, or of what is put into it."`
	List     deliveryListCmd     `cmd:"" help:"List delivery streams."`
	Describe deliveryDescribeCmd `cmd:"" help:"Show a delivery stream, where it is, and why it does not go on."`
	Update   deliveryUpdateCmd   `cmd:"" help:"Change a delivery stream; what is not given stays."`
	Pause    deliveryPauseCmd    `cmd:"" help:"Stop delivering; the delivery stream keeps its place."`
	Resume   deliveryResumeCmd   `cmd:"" help:"Go on delivering."`
	Delete   deliveryDeleteCmd   `cmd:"" help:"Delete a delivery stream; what it wrote stays."`
	Backfill deliveryBackfillCmd `cmd:"" help:"Deliver history again, while the live delivery goes on."`
	Verify   deliveryVerifyCmd   `cmd:"" help:"Prove from the bucket that every delivered record is in exactly one object."`
	Put      deliveryPutCmd      `cmd:"" help:"Put lines of standard input into a delivery stream without a source stream."`
}

// Help is shown by `leat delivery --help`.
func (deliveryCmd) Help() string {
	return "A delivery stream moves the records of a stream, or what is put into it, to an S3-compatible bucket or an HTTP endpoint, each record into exactly one object. docs/delivery.md is the guide."
}

// deliveryArg is a delivery stream that there is.
type deliveryArg struct {
	Delivery string `arg:"" help:"Name of the delivery stream."`
}

type deliveryCreateCmd struct {
	deliveryArg
	Stream string        `placeholder:"NAME" help:"Stream to deliver. Without it records are put into the delivery stream itself."`
	From   string        `enum:",trim_horizon,latest" default:"" placeholder:"PLACE" help:"trim_horizon (the default): with the oldest record; latest: with what is put from now on."`
	Since  time.Duration `placeholder:"TIME" help:"Begin with what arrived so long ago, instead of --from."`
	Shards int32         `placeholder:"N" help:"Without --stream: in how many shards records are kept at first. Default: 1."`
	deliveryFlags
}

// Run makes a delivery stream.
func (cmd *deliveryCreateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	config := &leatv1.DeliveryConfig{}
	if err := cmd.fill(config); err != nil {
		return err
	}
	if n := config.GetNaming(); n.GetErrorPrefix() == "" && strings.Contains(n.GetPrefix(), "!{") {
		n.ErrorPrefix = "errors/" + cmd.Delivery + "/!{firehose:error-output-type}/" // a prefix with expressions needs one
	}
	if config.GetSource() == nil || cmd.Stream != "" || cmd.Shards != 0 {
		config.Source = &leatv1.DeliverySource{Stream: cmd.Stream, ShardCount: cmd.Shards}
	}
	switch {
	case cmd.Since > 0 && cmd.From != "":
		return leat.Invalid("since", "--since and --from both say where to begin: give one")
	case cmd.Since > 0:
		config.Source.Start, config.Source.StartTime = leatv1.DeliveryStart_DELIVERY_START_AT_TIME, timestamppb.New(time.Now().Add(-cmd.Since))
	case cmd.From != "":
		config.Source.Start = leatv1.DeliveryStart(leatv1.DeliveryStart_value["DELIVERY_START_"+strings.ToUpper(cmd.From)])
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: cmd.Delivery, Config: config, Tags: cmd.Tag})
		if err != nil {
			return err
		}
		return printDeliveries(t, c, res.GetDelivery())
	})
}

type deliveryListCmd struct{}

// Run lists delivery streams.
func (cmd *deliveryListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var all []*leatv1.Delivery
		req := &leatv1.ListDeliveriesRequest{}
		for range maxPages {
			res, err := cl.Delivery.ListDeliveries(ctx, req)
			if err != nil {
				return err
			}
			all = append(all, res.GetDeliveries()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return printDeliveries(t, c, all...)
	})
}

type deliveryUpdateCmd struct {
	deliveryArg
	deliveryFlags
	IfVersion uint64   `name:"if-version" placeholder:"N" help:"Only if the delivery stream has this version."`
	Untag     []string `placeholder:"NAME" help:"Remove tags."`
}

// Run changes what flags say of the configuration that there is.
func (cmd *deliveryUpdateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		old, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: cmd.Delivery})
		if err != nil {
			return err
		}
		config, source := old.GetDelivery().GetConfig(), old.GetDelivery().GetConfig().GetSource()
		if err := cmd.fill(config); err != nil {
			return err
		}
		config.Source = source
		version := cmd.IfVersion
		if version == 0 {
			version = old.GetDelivery().GetVersion() // nobody's change in between is undone
		}
		res, err := cl.Delivery.UpdateDelivery(ctx, &leatv1.UpdateDeliveryRequest{Delivery: cmd.Delivery, IfVersion: version, Config: config, SetTags: cmd.Tag, RemoveTags: cmd.Untag})
		if err != nil {
			return err
		}
		return printDeliveries(t, c, res.GetDelivery())
	})
}

type deliveryPauseCmd struct{ deliveryArg }

// Run pauses a delivery stream.
func (cmd *deliveryPauseCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return setDeliveryState(ctx, c, t, cmd.Delivery, leatv1.DeliveryState_DELIVERY_STATE_PAUSED)
}

type deliveryResumeCmd struct{ deliveryArg }

// Run resumes a delivery stream.
func (cmd *deliveryResumeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return setDeliveryState(ctx, c, t, cmd.Delivery, leatv1.DeliveryState_DELIVERY_STATE_ACTIVE)
}

func setDeliveryState(ctx context.Context, c *connection, t *terminal, name string, state leatv1.DeliveryState) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Delivery.UpdateDelivery(ctx, &leatv1.UpdateDeliveryRequest{Delivery: name, State: state})
		if err != nil {
			return err
		}
		return printDeliveries(t, c, res.GetDelivery())
	})
}

type deliveryDeleteCmd struct{ deliveryArg }

// Run deletes a delivery stream.
func (cmd *deliveryDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Delivery.DeleteDelivery(ctx, &leatv1.DeleteDeliveryRequest{Delivery: cmd.Delivery}); err != nil {
			return err
		}
		if isTerminal(t.out) {
			fmt.Fprintf(t.err, "delivery stream %s is deleted; the objects that it wrote stay\n", cmd.Delivery)
		}
		return nil
	})
}
