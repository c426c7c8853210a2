// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
)

// ListKeys promises: the access keys of the caller's account in order of their ids (by bytes), without secrets.
//
// Differs from AWS (IAM's ListAccessKeys): all keys of the account, not those of a user.

// ListKeysRequest names a page of the account's keys.
type ListKeysRequest struct {
	PageToken string
	PageSize  int // 1 to 10,000; 0 means 100
}

// ListKeysResult is one page.
type ListKeysResult struct {
	Keys          []leat.AccessKey
	NextPageToken string // empty on the last page
}

const defaultListKeys = 100

// ListKeys lists access keys.
func (b *Broker) ListKeys(ctx context.Context, who leat.Principal, req ListKeysRequest) (ListKeysResult, error) {
	size, err := pageSize(req.PageSize, defaultListKeys)
	if err != nil {
		return ListKeysResult{}, err
	}
	if err := b.mayManageKeys(ctx, who, ActionListKeys, ""); err != nil {
		return ListKeysResult{}, err
	}
	p := page{List: string(ActionListKeys), Scope: who.Account}
	if req.PageToken != "" {
		sent, err := b.openPage(req.PageToken, p.List)
		if err != nil {
			return ListKeysResult{}, err
		}
		if sent.Scope != p.Scope {
			return ListKeysResult{}, errToken(ActionListKeys)
		}
		p.After = sent.After
	}
	keys, err := b.accessKeys.List(ctx, who.Account, p.After, size+1)
	if err != nil {
		return ListKeysResult{}, away(err)
	}
	res := ListKeysResult{Keys: keys}
	if len(keys) > size {
		res.Keys = keys[:size]
		p.After = keys[size-1].ID
		res.NextPageToken, err = b.sealPage(p)
	}
	return res, err
}
