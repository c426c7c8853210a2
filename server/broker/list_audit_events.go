// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/audit"
)

// ListAuditEvents promises: what callers of the account asked for, in the order of its time, as far as it is kept. The change of
// a call that was answered is there; calls that are merged come within a round (15 seconds). Operators see every account's.
//
// AWS has CloudTrail for this.

// ActionListAuditEvents is about the account at large.
const ActionListAuditEvents Action = "ListAuditEvents"

// ListAuditEventsRequest says which events, and which page of them.
type ListAuditEventsRequest struct {
	Filter    audit.Filter // of it, After and Limit are the page's
	PageSize  int          // 0 means 100
	PageToken string
}

// ListAuditEvents returns a page of events. An account that is empty is the caller's own; of an operator who acts for none, all.
func (b *Broker) ListAuditEvents(ctx context.Context, who leat.Principal, req ListAuditEventsRequest) (events []audit.Event, next string, err error) {
	f := req.Filter
	if f.Account != "" {
		if err := leat.ValidateAccountID(f.Account); err != nil {
			return nil, "", err
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return nil, "", leat.Invalid("end_time", "must be after start_time")
	}
	if f.Account == "" && (!who.Operator || who.Account != leat.DevAccount) {
		f.Account = who.Account
	}
	asked := f.Account
	if asked == "" {
		asked = who.Account
	}
	if err := b.may(ctx, who, ActionListAuditEvents, Resource{Account: asked}); err != nil {
		return nil, "", err
	}
	if b.audit == nil {
		return nil, "", leat.Errorf(leat.KindUnsupported, "this server keeps no audit log")
	}
	scope, err := json.Marshal(f)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(scope) // a token goes on with the same question
	return listing(b, ActionListAuditEvents, hex.EncodeToString(sum[:8]), req.PageSize, 100, req.PageToken,
		func(after string, limit int) ([]audit.Event, error) {
			f.After, f.Limit = after, limit
			return b.audit.List(ctx, f)
		},
		func(e *audit.Event) string { return e.ID })
}
