// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"strconv"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// DescribeDeliveryStream: see broker.DescribeDelivery for what it promises.
//
// Differs from AWS: a delivery stream that is paused (with Leat's own API) is ACTIVE here.

type describeDeliveryStreamInput struct {
	DeliveryStreamName          *string
	ExclusiveStartDestinationId *string
	Limit                       *int
}

type describeDeliveryStreamOutput struct{ DeliveryStreamDescription description }

type description struct {
	CreateTimestamp                       *stamp                   `json:"CreateTimestamp,omitempty"`
	DeliveryStreamARN                     string                   `json:"DeliveryStreamARN"`
	DeliveryStreamEncryptionConfiguration *encryptionDescription   `json:"DeliveryStreamEncryptionConfiguration,omitempty"`
	DeliveryStreamName                    string                   `json:"DeliveryStreamName"`
	DeliveryStreamStatus                  string                   `json:"DeliveryStreamStatus"`
	DeliveryStreamType                    string                   `json:"DeliveryStreamType"`
	Destinations                          []destinationDescription `json:"Destinations"`
	HasMoreDestinations                   bool                     `json:"HasMoreDestinations"`
	LastUpdateTimestamp                   *stamp                   `json:"LastUpdateTimestamp,omitempty"`
	Source                                *sourceDescription       `json:"Source,omitempty"`
	VersionId                             string                   `json:"VersionId"`
}

type encryptionDescription struct {
	KeyARN  *string `json:"KeyARN,omitempty"`
	KeyType *string `json:"KeyType,omitempty"`
	Status  string  `json:"Status"`
}

type destinationDescription struct {
	DestinationId                      string         `json:"DestinationId"`
	ExtendedS3DestinationDescription   *extendedS3    `json:"ExtendedS3DestinationDescription,omitempty"`
	HttpEndpointDestinationDescription *httpEndpoint  `json:"HttpEndpointDestinationDescription,omitempty"`
	S3DestinationDescription           *s3Destination `json:"S3DestinationDescription,omitempty"`
}

type sourceDescription struct {
	KinesisStreamSourceDescription *kinesisSource `json:"KinesisStreamSourceDescription,omitempty"`
}

// destinationID is that of the one destination.
const destinationID = "destinationId-000000000001"

func (h *Handler) describeDeliveryStream(ctx context.Context, c *call, in *describeDeliveryStreamInput) (*describeDeliveryStreamOutput, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if n := or(in.Limit, 10); n < 1 || n > 10_000 {
		return nil, leat.Invalid("Limit", "Limit %d must be from 1 to 10000", n)
	}
	d, err := h.broker.DescribeDelivery(ctx, c.who, name)
	if err != nil {
		return nil, err
	}
	out := description{
		CreateTimestamp: stamped(d.Created.UnixMilli(), d.Created.IsZero()), LastUpdateTimestamp: stamped(d.Updated.UnixMilli(), d.Updated.IsZero()),
		DeliveryStreamARN: h.arn(c, d.Name), DeliveryStreamName: d.Name, DeliveryStreamStatus: "ACTIVE", DeliveryStreamType: "DirectPut",
		VersionId: strconv.FormatUint(d.Version, 10), Destinations: []destinationDescription{},
	}
	switch {
	case d.State == spec.Deleting:
		out.DeliveryStreamStatus = "DELETING"
	case h.creating(&d.Delivery):
		out.DeliveryStreamStatus = "CREATING"
	}
	told, _ := destinationOf(&d.Config, func(stream string) string {
		return (&leat.Stream{Account: c.who.Account, Name: stream}).ARN(h.broker.Region())
	})
	if told.Source != nil {
		told.Source.DeliveryStartTimestamp = out.CreateTimestamp
		out.DeliveryStreamType, out.Source = "KinesisStreamAsSource", &sourceDescription{told.Source}
	} else {
		out.DeliveryStreamEncryptionConfiguration = h.encryption(&d.Delivery)
	}
	if or(in.ExclusiveStartDestinationId, "") < destinationID {
		out.Destinations = append(out.Destinations, told.describe())
	}
	return &describeDeliveryStreamOutput{out}, nil
}

// describe fills in what descriptions have and requests may leave out.
func (d *destination) describe() destinationDescription {
	out := destinationDescription{DestinationId: destinationID}
	if e := d.HTTP; e != nil {
		e.S3Configuration.complete()
		e.S3DestinationDescription, e.S3Configuration = e.S3Configuration, nil
		if e.BufferingHints == nil {
			e.BufferingHints = &bufferingHints{}
		}
		e.BufferingHints.IntervalInSeconds, e.BufferingHints.SizeInMBs = ptr(or(e.BufferingHints.IntervalInSeconds, 300)), ptr(or(e.BufferingHints.SizeInMBs, 5))
		if e.RequestConfiguration == nil {
			e.RequestConfiguration = &requestConfiguration{}
		}
		e.RequestConfiguration.ContentEncoding = ptr(or(e.RequestConfiguration.ContentEncoding, "NONE"))
		e.S3BackupMode = ptr(or(e.S3BackupMode, "FailedDataOnly"))
		out.HttpEndpointDestinationDescription = e
		return out
	}
	x := d.Extended
	x.complete()
	x.S3BackupMode = ptr(or(x.S3BackupMode, "Disabled"))
	if x.S3BackupConfiguration != nil {
		x.S3BackupConfiguration.complete()
		x.S3BackupDescription, x.S3BackupConfiguration = x.S3BackupConfiguration, nil
	}
	out.ExtendedS3DestinationDescription, out.S3DestinationDescription = x, &x.s3Destination // AWS tells both
	return out
}
