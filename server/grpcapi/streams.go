// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type streamService struct {
	leatv1.UnimplementedStreamServiceServer
	*Server
}

func (s streamService) CreateStream(ctx context.Context, req *leatv1.CreateStreamRequest) (*leatv1.CreateStreamResponse, error) {
	d, err := s.broker.CreateStream(ctx, principal(ctx), broker.CreateStreamRequest{
		Stream: req.GetStream(), Shards: int(req.GetShardCount()), Mode: modeFrom(req.GetMode()),
		Retention: hours(req.GetRetentionHours()), MaxRecordBytes: int(req.GetMaxRecordBytes()),
		WarmThroughput: int(req.GetWarmThroughputMibps()), Tags: req.GetTags(),
	})
	if err != nil {
		return nil, err
	}
	return &leatv1.CreateStreamResponse{Stream: s.streamOf(&d)}, nil
}

func (s streamService) DescribeStream(ctx context.Context, req *leatv1.DescribeStreamRequest) (*leatv1.DescribeStreamResponse, error) {
	res, err := s.broker.DescribeStream(ctx, principal(ctx), broker.DescribeStreamRequest{
		Stream: req.GetStream(), PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &leatv1.DescribeStreamResponse{Stream: s.streamOf(&res.Stream), Shards: shardsOf(res.Shards), NextPageToken: res.NextPageToken}, nil
}

func (s streamService) DescribeStreamSummary(ctx context.Context, req *leatv1.DescribeStreamSummaryRequest) (*leatv1.DescribeStreamSummaryResponse, error) {
	d, consumers, err := s.broker.DescribeStreamSummary(ctx, principal(ctx), req.GetStream())
	if err != nil {
		return nil, err
	}
	return &leatv1.DescribeStreamSummaryResponse{Stream: s.streamOf(&d), ConsumerCount: int32(consumers)}, nil
}

func (s streamService) ListStreams(ctx context.Context, req *leatv1.ListStreamsRequest) (*leatv1.ListStreamsResponse, error) {
	res, err := s.broker.ListStreams(ctx, principal(ctx), broker.ListStreamsRequest{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListStreamsResponse{NextPageToken: res.NextPageToken}
	for i := range res.Streams {
		out.Streams = append(out.Streams, s.streamOf(&res.Streams[i]))
	}
	return out, nil
}

func (s streamService) UpdateStream(ctx context.Context, req *leatv1.UpdateStreamRequest) (*leatv1.UpdateStreamResponse, error) {
	d, err := s.broker.UpdateStream(ctx, principal(ctx), updateFrom(req))
	if err != nil {
		return nil, err
	}
	return &leatv1.UpdateStreamResponse{Stream: s.streamOf(&d)}, nil
}

// updateFrom reads what the mask names; without a mask, what is set.
func updateFrom(req *leatv1.UpdateStreamRequest) broker.UpdateStreamRequest {
	set, paths := req.GetSettings(), req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		if set.GetRetentionHours() != 0 {
			paths = append(paths, "retention_hours")
		}
		if set.GetMode() != leatv1.StreamMode_STREAM_MODE_UNSPECIFIED {
			paths = append(paths, "mode")
		}
		if set.GetMaxRecordBytes() != 0 {
			paths = append(paths, "max_record_bytes")
		}
		if set.GetWarmThroughputMibps() != 0 {
			paths = append(paths, "warm_throughput_mibps")
		}
	}
	r := broker.UpdateStreamRequest{Stream: req.GetStream()}
	for _, p := range paths {
		switch p {
		case "retention_hours":
			d := hours(set.GetRetentionHours())
			r.Retention = &d
		case "mode":
			m := modeFrom(set.GetMode())
			r.Mode = &m
		case "max_record_bytes":
			n := int(set.GetMaxRecordBytes())
			r.MaxRecordBytes = &n
		case "warm_throughput_mibps":
			n := int(set.GetWarmThroughputMibps())
			r.WarmThroughput = &n
		}
	}
	return r
}

func (s streamService) DeleteStream(ctx context.Context, req *leatv1.DeleteStreamRequest) (*leatv1.DeleteStreamResponse, error) {
	err := s.broker.DeleteStream(ctx, principal(ctx), broker.DeleteStreamRequest{Stream: req.GetStream(), EnforceConsumerDeletion: req.GetEnforceConsumerDeletion()})
	if err != nil {
		return nil, err
	}
	return &leatv1.DeleteStreamResponse{}, nil
}

func (s streamService) SetStreamMonitoring(ctx context.Context, req *leatv1.SetStreamMonitoringRequest) (*leatv1.SetStreamMonitoringResponse, error) {
	before, _, d, err := s.broker.SetMonitoring(ctx, principal(ctx), req.GetStream(), metricsFrom(req.GetEnable()), metricsFrom(req.GetDisable()))
	if err != nil {
		return nil, err
	}
	return &leatv1.SetStreamMonitoringResponse{Before: metricsOf(before), Stream: s.streamOf(&d)}, nil
}

func hours(n int32) time.Duration { return time.Duration(n) * time.Hour }

// millis rounds up, so that 0 means caught up and nothing else.
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
