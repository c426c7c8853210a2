// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// UpdateDestination: see broker.UpdateDelivery for what it promises. Members that are not given stay as they are; lists
// are replaced.
//
// Differs from AWS: the kind of the destination stays. A delivery stream that says what this API cannot say is updated
// with Leat's own API.

type updateDestinationInput struct {
	CurrentDeliveryStreamVersionId *string
	DeliveryStreamName             *string
	DestinationId                  *string
	ExtendedS3DestinationUpdate    *extendedS3
	HttpEndpointDestinationUpdate  *httpEndpoint
	S3DestinationUpdate            *s3Destination
}

func (h *Handler) updateDestination(ctx context.Context, c *call, in *updateDestinationInput) (*nothing, error) {
	name, err := named(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	version, err := strconv.ParseUint(or(in.CurrentDeliveryStreamVersionId, ""), 10, 64)
	if err != nil || version == 0 {
		return nil, leat.Invalid("CurrentDeliveryStreamVersionId", "CurrentDeliveryStreamVersionId must be the VersionId of DescribeDeliveryStream")
	}
	if id := or(in.DestinationId, ""); id != destinationID {
		return nil, leat.Invalid("DestinationId", "Destination Id %.100s not found", id)
	}
	var change destination
	if err := change.one(in.ExtendedS3DestinationUpdate, in.S3DestinationUpdate, in.HttpEndpointDestinationUpdate); err != nil {
		return nil, err
	}
	d, err := h.broker.DescribeDelivery(ctx, c.who, name)
	if err != nil {
		return nil, err
	}
	if d.Version != version {
		return nil, concurrent(name, version, d.Version)
	}
	is, made := destinationOf(&d.Config, func(string) string { return "" })
	if !made {
		return nil, leat.Errorf(leat.KindUnsupported, "delivery stream %s was made or changed with Leat's own API: change it there", name)
	}
	config, err := is.merge(&change)
	if err != nil {
		return nil, err
	}
	_, err = h.broker.UpdateDelivery(ctx, c.who, broker.UpdateDeliveryRequest{Delivery: name, Change: spec.Change{IfVersion: version, Config: &config}})
	if e, ok := errors.AsType[*leat.Error](err); ok && e.Kind == leat.KindInUse {
		return nil, &awswire.Error{Type: "ConcurrentModificationException", Message: e.Message}
	}
	return &nothing{}, err
}

func concurrent(name string, asked, is uint64) error {
	return &awswire.Error{
		Type:    "ConcurrentModificationException",
		Message: "Firehose " + name + " has the version " + strconv.FormatUint(is, 10) + ", not " + strconv.FormatUint(asked, 10),
	}
}

// merge puts the members of a change over what is there.
func (d *destination) merge(change *destination) (spec.Config, error) {
	var over any
	switch {
	case change.HTTP != nil && d.HTTP != nil:
		change.HTTP.S3Configuration, change.HTTP.S3Update = change.HTTP.S3Update, nil
		if p := change.HTTP.RequestConfiguration; p != nil && d.HTTP.RequestConfiguration != nil && p.CommonAttributes != nil {
			d.HTTP.RequestConfiguration.CommonAttributes = nil
		}
		if change.HTTP.ProcessingConfiguration != nil {
			d.HTTP.ProcessingConfiguration = nil
		}
		over = &struct {
			HTTP *httpEndpoint `json:"HttpEndpoint"`
		}{change.HTTP}
	case change.Extended != nil && d.Extended != nil:
		change.Extended.S3BackupConfiguration, change.Extended.S3BackupUpdate = change.Extended.S3BackupUpdate, nil
		if change.Extended.ProcessingConfiguration != nil {
			d.Extended.ProcessingConfiguration = nil
		}
		over = &struct {
			Extended *extendedS3 `json:"ExtendedS3"`
		}{change.Extended}
	default:
		return spec.Config{}, unsupported("another kind of destination", "delete the delivery stream and create it anew")
	}
	text, err := json.Marshal(over)
	if err != nil {
		return spec.Config{}, err
	}
	if err := json.Unmarshal(text, d); err != nil { // members that are there replace, others stay
		return spec.Config{}, err
	}
	return d.config()
}
