// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/broker"
)

type auditService struct {
	leatv1.UnimplementedAuditServiceServer
	*Server
}

func (s auditService) ListAuditEvents(ctx context.Context, req *leatv1.ListAuditEventsRequest) (*leatv1.ListAuditEventsResponse, error) {
	f := filterOf(req.GetFilter())
	f.NewestFirst = req.GetNewestFirst()
	all, next, err := s.broker.ListAuditEvents(ctx, principal(ctx), broker.ListAuditEventsRequest{Filter: f, PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListAuditEventsResponse{NextPageToken: next}
	for i := range all {
		out.Events = append(out.Events, auditEventOf(&all[i]))
	}
	return out, nil
}

// exportPage is how many events are read at a time.
const exportPage = 1000

func (s auditService) ExportAuditEvents(req *leatv1.ExportAuditEventsRequest, to grpc.ServerStreamingServer[leatv1.ExportAuditEventsResponse]) error {
	ctx := to.Context()
	ask := broker.ListAuditEventsRequest{Filter: filterOf(req.GetFilter()), PageSize: exportPage}
	for {
		all, next, err := s.broker.ListAuditEvents(ctx, principal(ctx), ask)
		if err != nil {
			return err
		}
		for i := range all {
			if err := to.Send(&leatv1.ExportAuditEventsResponse{Event: auditEventOf(&all[i])}); err != nil {
				return err
			}
		}
		if ask.PageToken = next; next == "" {
			return nil
		}
	}
}

func filterOf(f *leatv1.AuditFilter) audit.Filter {
	out := audit.Filter{
		Account: f.GetAccount(), Principal: f.GetPrincipal(), Operation: f.GetOperation(), Resource: f.GetResource(), Request: f.GetRequestId(),
		Denied: f.GetDenied(), Changes: f.GetChanges(),
	}
	if t := f.GetStartTime(); t != nil {
		out.Since = t.AsTime()
	}
	if t := f.GetEndTime(); t != nil {
		out.Until = t.AsTime()
	}
	return out
}

func auditEventOf(e *audit.Event) *leatv1.AuditEvent {
	return &leatv1.AuditEvent{
		Id: e.ID, Time: stamp(e.Time), LastTime: stamp(e.Last), Count: e.Times, Account: e.Account, Principal: e.Principal, Name: e.Name, Credential: e.Credential,
		Operation: e.Operation, Resource: e.Resource, Edge: string(e.Edge), SourceIp: e.Source, UserAgent: e.Agent, RequestId: e.Request,
		Outcome: e.Outcome, Message: e.Message, Before: structOf(e.Before), After: structOf(e.After),
	}
}

// structOf is nil for nothing, and for what is no JSON object.
func structOf(text json.RawMessage) *structpb.Struct {
	if len(text) == 0 {
		return nil
	}
	s := &structpb.Struct{}
	if s.UnmarshalJSON(text) != nil {
		return nil
	}
	return s
}
