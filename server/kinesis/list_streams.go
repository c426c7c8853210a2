// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// ListStreams promises: the account's streams in order of their names, whatever their state, from the one after
// ExclusiveStartStreamName or NextToken on. A page has 100 at most, as with AWS.
//
// Differs from AWS: nothing that a client can see.

type listStreamsInput struct {
	Limit                    *int32  `json:"Limit,omitempty" check:"range=1..10000"`
	ExclusiveStartStreamName *string `json:"ExclusiveStartStreamName,omitempty" check:"pattern=streamName,len=1..128"`
	NextToken                *string `json:"NextToken,omitempty" check:"len=1..1048576"`
}

type listStreamsOutput struct {
	StreamNames     []string        `json:"StreamNames"`
	HasMoreStreams  bool            `json:"HasMoreStreams"`
	NextToken       *string         `json:"NextToken,omitempty"`
	StreamSummaries []streamSummary `json:"StreamSummaries"`
}

type streamSummary struct {
	StreamName              string             `json:"StreamName"`
	StreamARN               string             `json:"StreamARN"`
	StreamStatus            string             `json:"StreamStatus"`
	StreamModeDetails       *streamModeDetails `json:"StreamModeDetails"`
	StreamCreationTimestamp *timestamp         `json:"StreamCreationTimestamp"`
}

// maxListStreams bounds a page, whatever Limit asks for.
const maxListStreams = 100

func (h *Handler) listStreams(ctx context.Context, c *call, in *listStreamsInput) (*listStreamsOutput, error) {
	res, err := h.broker.ListStreams(ctx, c.who, broker.ListStreamsRequest{
		PageToken: value(in.NextToken),
		After:     value(in.ExclusiveStartStreamName),
		PageSize:  min(int(value(in.Limit)), maxListStreams),
	})
	if err != nil {
		return nil, err
	}
	out := &listStreamsOutput{
		StreamNames: []string{}, StreamSummaries: []streamSummary{},
		HasMoreStreams: res.NextPageToken != "", NextToken: given(res.NextPageToken),
	}
	for i := range res.Streams {
		s := &res.Streams[i]
		out.StreamNames = append(out.StreamNames, s.Name)
		out.StreamSummaries = append(out.StreamSummaries, streamSummary{
			StreamName:              s.Name,
			StreamARN:               s.ARN(h.broker.Region()),
			StreamStatus:            string(s.Status),
			StreamModeDetails:       modeDetails(s.Mode),
			StreamCreationTimestamp: stamp(s.Created),
		})
	}
	return out, nil
}
