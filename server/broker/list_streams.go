// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"slices"
	"strings"

	"github.com/leatstream/leat"
)

// ListStreams promises: the account's streams in order of their names (by bytes), whatever their state. A stream that
// exists during the whole listing is listed once. It is answered from memory when the catalog is away.
//
// Differs from AWS: nothing that a client can see.

// ListStreamsRequest names a page of the caller's streams.
type ListStreamsRequest struct {
	PageToken string
	After     string // a name: begin after it (AWS: ExclusiveStartStreamName)
	PageSize  int    // 1 to 10,000; 0 means 100
}

// ListStreamsResult is one page.
type ListStreamsResult struct {
	Streams       []StreamDescription
	NextPageToken string // empty on the last page
}

const defaultListStreams = 100

// ListStreams lists the streams of the caller's account.
func (b *Broker) ListStreams(ctx context.Context, who leat.Principal, req ListStreamsRequest) (ListStreamsResult, error) {
	size, err := pageSize(req.PageSize, defaultListStreams)
	if err != nil {
		return ListStreamsResult{}, err
	}
	if err := b.may(ctx, who, ActionListStreams, Resource{Account: who.Account}); err != nil {
		return ListStreamsResult{}, err
	}
	p := page{List: string(ActionListStreams), Scope: who.Account, After: req.After}
	if req.PageToken != "" {
		sent, err := b.openPage(req.PageToken, p.List)
		if err != nil {
			return ListStreamsResult{}, err
		}
		if sent.Scope != p.Scope {
			return ListStreamsResult{}, errToken(ActionListStreams)
		}
		p.After = max(p.After, sent.After)
	}
	if err := b.directory.RefreshAll(ctx); err != nil && !b.directory.Loaded() {
		return ListStreamsResult{}, err
	}
	views := b.directory.account(who.Account)
	at, _ := slices.BinarySearchFunc(views, p.After+"\x00", func(v *streamView, name string) int { return strings.Compare(v.Name, name) })
	views = views[at:]
	var res ListStreamsResult
	if len(views) > size {
		views = views[:size]
		p.After = views[size-1].Name
		if res.NextPageToken, err = b.sealPage(p); err != nil {
			return ListStreamsResult{}, err
		}
	}
	for _, v := range views {
		res.Streams = append(res.Streams, v.describe())
	}
	return res, nil
}

// account returns an account's streams by name.
func (d *Directory) account(account string) []*streamView {
	var out []*streamView
	for key, v := range d.snap.Load().byName {
		if key.account == account {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b *streamView) int { return strings.Compare(a.Name, b.Name) })
	return out
}
