// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// ListConsumers (AWS: ListStreamConsumers) promises: the stream's consumers in order of their names (by bytes).
//
// Differs from AWS: nothing that a client can see.

// ListConsumersRequest names a page of a stream's consumers.
type ListConsumersRequest struct {
	Stream    string // name or ARN
	PageToken string
	PageSize  int // 1 to 10,000; 0 means 100
}

// ListConsumersResult is one page.
type ListConsumersResult struct {
	Stream        leat.Stream
	Consumers     []ConsumerDescription
	NextPageToken string // empty on the last page
}

const defaultListConsumers = 100

// ListConsumers lists the consumers of a stream.
func (b *Broker) ListConsumers(ctx context.Context, who leat.Principal, req ListConsumersRequest) (ListConsumersResult, error) {
	size, err := pageSize(req.PageSize, defaultListConsumers)
	if err != nil {
		return ListConsumersResult{}, err
	}
	v, err := b.described(ctx, who, ActionListConsumers, req.Stream)
	if err != nil {
		return ListConsumersResult{}, err
	}
	p := page{List: string(ActionListConsumers), Scope: v.ID.String()}
	if req.PageToken != "" {
		sent, err := b.openPage(req.PageToken, p.List)
		if err != nil {
			return ListConsumersResult{}, err
		}
		if sent.Scope != p.Scope {
			return ListConsumersResult{}, errToken(ActionListConsumers)
		}
		p.After = sent.After
	}
	all, err := b.catalog.ListConsumers(ctx, v.ID, p.After, size+1)
	if err != nil {
		return ListConsumersResult{}, away(err)
	}
	res := ListConsumersResult{Stream: v.Stream}
	if len(all) > size {
		all = all[:size]
		p.After = all[size-1].Name
		if res.NextPageToken, err = b.sealPage(p); err != nil {
			return ListConsumersResult{}, err
		}
	}
	for _, c := range all {
		res.Consumers = append(res.Consumers, ConsumerDescription{Consumer: c, In: v.Stream})
	}
	return res, nil
}
