// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// ListDeliveries promises: the account's delivery streams in order of their names (by bytes).
//
// Differs from AWS: pages are continued by a token; the AWS edge begins after a name with After.

// ListDeliveriesRequest names a page of the caller's delivery streams.
type ListDeliveriesRequest struct {
	PageToken string
	After     string // a name: begin after it (AWS: ExclusiveStartDeliveryStreamName)
	PageSize  int    // 1 to 10,000; 0 means 100
}

// ListDeliveriesResult is one page.
type ListDeliveriesResult struct {
	Deliveries    []spec.Delivery
	NextPageToken string // empty on the last page
}

// ListDeliveries lists the delivery streams of the caller's account.
func (b *Broker) ListDeliveries(ctx context.Context, who leat.Principal, req ListDeliveriesRequest) (ListDeliveriesResult, error) {
	size, err := pageSize(req.PageSize, defaultListStreams)
	if err != nil {
		return ListDeliveriesResult{}, err
	}
	if err := b.mayDeliver(ctx, who, ActionListDeliveries, Resource{Account: who.Account}); err != nil {
		return ListDeliveriesResult{}, err
	}
	p := page{List: string(ActionListDeliveries), Scope: who.Account, After: req.After}
	if req.PageToken != "" {
		sent, err := b.openPage(req.PageToken, p.List)
		if err != nil {
			return ListDeliveriesResult{}, err
		}
		if sent.Scope != p.Scope {
			return ListDeliveriesResult{}, errToken(ActionListDeliveries)
		}
		p.After = max(p.After, sent.After)
	}
	all, err := b.deliveries.List(ctx, who.Account, p.After, size+1)
	if err != nil {
		return ListDeliveriesResult{}, err
	}
	res := ListDeliveriesResult{Deliveries: all}
	if len(all) > size {
		res.Deliveries = all[:size]
		p.After = all[size-1].Name
		res.NextPageToken, err = b.sealPage(p)
	}
	return res, err
}
