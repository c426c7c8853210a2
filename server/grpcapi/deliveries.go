// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

type deliveryService struct {
	leatv1.UnimplementedDeliveryServiceServer
	*Server
}

func (s deliveryService) CreateDelivery(ctx context.Context, req *leatv1.CreateDeliveryRequest) (*leatv1.CreateDeliveryResponse, error) {
	d, err := s.broker.CreateDelivery(ctx, principal(ctx), broker.CreateDeliveryRequest{Delivery: req.GetDelivery(), Config: configOf(req.GetConfig()), Tags: req.GetTags()})
	if err != nil {
		return nil, err
	}
	return &leatv1.CreateDeliveryResponse{Delivery: deliveryOf(&d)}, nil
}

func (s deliveryService) DescribeDelivery(ctx context.Context, req *leatv1.DescribeDeliveryRequest) (*leatv1.DescribeDeliveryResponse, error) {
	d, err := s.broker.DescribeDelivery(ctx, principal(ctx), req.GetDelivery())
	if err != nil {
		return nil, err
	}
	out := &leatv1.DescribeDeliveryResponse{Delivery: deliveryOf(&d.Delivery), Shards: progressOf(d.Shards)}
	for i := range d.Backfills {
		out.Backfills = append(out.Backfills, backfillOf(&d.Backfills[i]))
	}
	return out, nil
}

func (s deliveryService) ListDeliveries(ctx context.Context, req *leatv1.ListDeliveriesRequest) (*leatv1.ListDeliveriesResponse, error) {
	res, err := s.broker.ListDeliveries(ctx, principal(ctx), broker.ListDeliveriesRequest{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListDeliveriesResponse{NextPageToken: res.NextPageToken}
	for i := range res.Deliveries {
		out.Deliveries = append(out.Deliveries, deliveryOf(&res.Deliveries[i]))
	}
	return out, nil
}

func (s deliveryService) UpdateDelivery(ctx context.Context, req *leatv1.UpdateDeliveryRequest) (*leatv1.UpdateDeliveryResponse, error) {
	ch := spec.Change{IfVersion: req.GetIfVersion(), SetTags: req.GetSetTags(), DropTags: req.GetRemoveTags()}
	if req.GetConfig() != nil {
		c := configOf(req.GetConfig())
		ch.Config = &c
	}
	switch req.GetState() {
	case leatv1.DeliveryState_DELIVERY_STATE_ACTIVE:
		ch.State = spec.Active
	case leatv1.DeliveryState_DELIVERY_STATE_PAUSED:
		ch.State = spec.Paused
	}
	d, err := s.broker.UpdateDelivery(ctx, principal(ctx), broker.UpdateDeliveryRequest{Delivery: req.GetDelivery(), Change: ch})
	if err != nil {
		return nil, err
	}
	return &leatv1.UpdateDeliveryResponse{Delivery: deliveryOf(&d)}, nil
}

func (s deliveryService) DeleteDelivery(ctx context.Context, req *leatv1.DeleteDeliveryRequest) (*leatv1.DeleteDeliveryResponse, error) {
	if err := s.broker.DeleteDelivery(ctx, principal(ctx), req.GetDelivery()); err != nil {
		return nil, err
	}
	return &leatv1.DeleteDeliveryResponse{}, nil
}

func (s deliveryService) PutDeliveryRecords(ctx context.Context, req *leatv1.PutDeliveryRecordsRequest) (*leatv1.PutDeliveryRecordsResponse, error) {
	puts, err := s.broker.PutDeliveryRecords(ctx, principal(ctx), broker.PutDeliveryRecordsRequest{Delivery: req.GetDelivery(), Records: req.GetRecords()})
	if err != nil {
		return nil, err
	}
	out := &leatv1.PutDeliveryRecordsResponse{}
	for _, p := range puts {
		r := &leatv1.PutDeliveryRecordsResult{RecordId: p.ID}
		if p.Err != nil {
			out.FailedCount++
			r.ErrorCode, r.ErrorMessage = leat.KindOf(p.Err).String(), publicMessage(p.Err)
		}
		out.Results = append(out.Results, r)
	}
	return out, nil
}

// publicMessage is what a caller may read of an error.
func publicMessage(err error) string {
	var e *leat.Error
	if errors.As(err, &e) && e.Kind != leat.KindInternal {
		return e.Message
	}
	return "internal error"
}

func (s deliveryService) BackfillDelivery(ctx context.Context, req *leatv1.BackfillDeliveryRequest) (*leatv1.BackfillDeliveryResponse, error) {
	r := broker.BackfillDeliveryRequest{Delivery: req.GetDelivery(), From: req.GetFromTime().AsTime(), Prefix: req.GetPrefix()}
	if req.GetToTime() != nil {
		r.To = req.GetToTime().AsTime()
	}
	if req.GetFormat() != nil {
		f := formatOf(req.GetFormat())
		r.Format = &f
	}
	if req.GetCompression() != leatv1.DeliveryCompression_DELIVERY_COMPRESSION_UNSPECIFIED {
		c := compressionOf(req.GetCompression())
		r.Compression = &c
	}
	b, err := s.broker.BackfillDelivery(ctx, principal(ctx), r)
	if err != nil {
		return nil, err
	}
	return &leatv1.BackfillDeliveryResponse{Backfill: backfillOf(&b)}, nil
}

func (s deliveryService) VerifyDelivery(ctx context.Context, req *leatv1.VerifyDeliveryRequest) (*leatv1.VerifyDeliveryResponse, error) {
	r, err := s.broker.VerifyDelivery(ctx, principal(ctx), broker.VerifyDeliveryRequest{
		Delivery: req.GetDelivery(), Options: spec.VerifyOptions{Backfill: req.GetBackfill(), Deep: req.GetDeep()},
	})
	if err != nil {
		return nil, err
	}
	out := &leatv1.VerifyDeliveryResponse{
		Clean: r.Clean, Objects: r.Objects, ErrorObjects: r.Errors, BackupObjects: r.Backups, Bytes: r.Bytes, Records: r.Records,
		Stored: r.Stored, Failed: r.Failed, Dropped: r.Dropped, Expired: r.Expired, Pending: r.Pending, Problems: r.Problems,
	}
	for _, v := range r.Ranges {
		out.Ranges = append(out.Ranges, &leatv1.VerifiedRange{ShardId: leat.ShardID(v.Shard), First: v.First, End: v.End})
	}
	return out, nil
}
