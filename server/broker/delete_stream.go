// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// DeleteStream promises: when it returns no error the stream is DELETING, takes no puts and gives no records on this
// node, and goes away with all that it holds. A stream that is DELETING already is left to it, without an error.
//
// Differs from AWS: deleting twice is no error.

// DeleteStreamRequest names the stream.
type DeleteStreamRequest struct {
	Stream                  string // name or ARN
	EnforceConsumerDeletion bool   // its consumers go with it; without this a stream that has any is KindInUse
}

// DeleteStream removes a stream.
func (b *Broker) DeleteStream(ctx context.Context, who leat.Principal, req DeleteStreamRequest) error {
	v, err := b.changeable(ctx, who, ActionDeleteStream, req.Stream)
	if err != nil {
		return err
	}
	if err := b.catalog.BeginDelete(ctx, v.ID, req.EnforceConsumerDeletion); err != nil {
		return err
	}
	b.settled(ctx, v.Stream)
	b.changed(ctx, ofStream(&v.Stream, len(v.open)), nil)
	return nil
}
