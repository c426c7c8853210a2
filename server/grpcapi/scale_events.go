// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

// scaleActions is in the order of the proto's numbers.
var scaleActions = [...]string{
	leatv1.ScaleAction_SCALE_ACTION_SPLIT: broker.ScaleSplit,
	leatv1.ScaleAction_SCALE_ACTION_MERGE: broker.ScaleMerge,
	leatv1.ScaleAction_SCALE_ACTION_HOLD:  broker.ScaleHold,
}

func (s streamService) ListScaleEvents(ctx context.Context, req *leatv1.ListScaleEventsRequest) (*leatv1.ListScaleEventsResponse, error) {
	res, err := s.broker.ListScaleEvents(ctx, principal(ctx), broker.ListScaleEventsRequest{
		Stream: req.GetStream(), PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListScaleEventsResponse{NextPageToken: res.NextPageToken}
	for _, e := range res.Events {
		out.Events = append(out.Events, &leatv1.ScaleEvent{
			Time: stamp(e.At), Action: numbered[leatv1.ScaleAction](scaleActions[:], e.Action), ShardIds: e.Shards, Reason: e.Reason,
		})
	}
	return out, nil
}
