// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// CreateDeliveryStream: see broker.CreateDelivery for what it promises.
//
// Differs from AWS: a delivery stream is ACTIVE at once; destinations are S3 and HTTP endpoints, sources are direct puts
// and Kinesis streams of the same account, whatever else is refused by the member's name; roles are kept and asked
// nothing of, since buckets are reached with the server's own credentials.

type createDeliveryStreamInput struct {
	DeliveryStreamName                         *string
	DeliveryStreamType                         *string
	DeliveryStreamEncryptionConfigurationInput *encryptionInput
	ExtendedS3DestinationConfiguration         *extendedS3
	HttpEndpointDestinationConfiguration       *httpEndpoint
	KinesisStreamSourceConfiguration           *kinesisSource
	S3DestinationConfiguration                 *s3Destination
	Tags                                       []tag
}

type createDeliveryStreamOutput struct{ DeliveryStreamARN string }

func (h *Handler) createDeliveryStream(ctx context.Context, c *call, in *createDeliveryStreamInput) (*createDeliveryStreamOutput, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	d, err := in.destination()
	if err != nil {
		return nil, err
	}
	config, err := d.config()
	if err != nil {
		return nil, err
	}
	if err := h.own(c, d.Source); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range in.Tags {
		tags[t.Key] = t.Value
	}
	e := in.DeliveryStreamEncryptionConfigurationInput
	if e != nil && !config.Source.Direct() {
		return nil, leat.Invalid("DeliveryStreamEncryptionConfigurationInput", "DeliveryStreamEncryptionConfigurationInput goes with direct puts: encrypt the source stream")
	}
	key := ""
	if e != nil {
		if key, err = e.key(); err != nil {
			return nil, err
		}
	}
	made, err := h.broker.CreateDelivery(ctx, c.who, broker.CreateDeliveryRequest{Delivery: name, Config: config, Tags: tags, EncryptionKey: key})
	if err != nil {
		return nil, err
	}
	h.awaitPuts(ctx, &made)
	return &createDeliveryStreamOutput{h.arn(c, name)}, nil
}

// own refuses a source of another account or region, where there is none to read: a stream here may have the same name.
func (h *Handler) own(c *call, s *kinesisSource) error {
	if s == nil {
		return nil
	}
	region, account, _, err := leat.ParseStreamARN(*s.KinesisStreamARN)
	if err == nil && (region != h.broker.Region() || account != c.who.Account) {
		const member = "KinesisStreamSourceConfiguration.KinesisStreamARN"
		err = leat.Invalid(member, "%s %.256q is not of account %s and region %s: a delivery stream takes its records from a stream of its own account", member, *s.KinesisStreamARN, c.who.Account, h.broker.Region())
	}
	return err
}

// createTime is how long a new delivery stream is waited for; then it is told to be CREATING.
const createTime = 10 * time.Second

// awaitPuts waits until direct puts are taken: the stream that keeps them is CREATING for a moment.
func (h *Handler) awaitPuts(ctx context.Context, d *spec.Delivery) {
	ctx, cancel := context.WithTimeout(ctx, createTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.creating(d) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return // it is made, and told to be CREATING
		}
	}
}

// creating tells whether direct puts are not taken yet.
func (h *Handler) creating(d *spec.Delivery) bool {
	if !d.Config.Source.Direct() || d.State == spec.Deleting {
		return false
	}
	s, ok := h.broker.Directory().Stream(d.Stream)
	return !ok || s.Status == leat.StreamCreating
}

// destination reads which of the members is given.
func (in *createDeliveryStreamInput) destination() (d destination, err error) {
	kind := or(in.DeliveryStreamType, "DirectPut")
	d.Source = in.KinesisStreamSourceConfiguration
	switch {
	case kind != "DirectPut" && kind != "KinesisStreamAsSource":
		return d, unsupported("DeliveryStreamType "+kind, "it may be DirectPut or KinesisStreamAsSource")
	case kind == "DirectPut" && d.Source != nil:
		return d, leat.Invalid("KinesisStreamSourceConfiguration", "KinesisStreamSourceConfiguration goes with the DeliveryStreamType KinesisStreamAsSource alone")
	case kind != "DirectPut" && d.Source == nil:
		return d, leat.Invalid("KinesisStreamSourceConfiguration", "KinesisStreamSourceConfiguration must be given with the DeliveryStreamType KinesisStreamAsSource")
	}
	return d, d.one(in.ExtendedS3DestinationConfiguration, in.S3DestinationConfiguration, in.HttpEndpointDestinationConfiguration)
}

// one takes the one destination that is given.
func (d *destination) one(x *extendedS3, s *s3Destination, e *httpEndpoint) error {
	n := 0
	if x != nil {
		n++
		d.Extended = x
	}
	if s != nil {
		n++
		d.Extended, d.Plain = &extendedS3{s3Destination: *s}, true
	}
	if e != nil {
		n++
		d.HTTP = e
	}
	if n != 1 {
		return leat.Invalid("ExtendedS3DestinationConfiguration", "Exactly one destination configuration is supported for a Firehose")
	}
	return nil
}

// named reads DeliveryStreamName, which the broker checks.
func named(name *string) (string, error) {
	if name == nil {
		return "", leat.Invalid("DeliveryStreamName", "DeliveryStreamName must not be null")
	}
	return *name, nil
}

func (h *Handler) arn(c *call, name string) string {
	return "arn:aws:firehose:" + h.broker.Region() + ":" + c.who.Account + ":deliverystream/" + name
}
