// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"maps"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

func TestAccountsRolesAndTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		const id = "333333333333"
		made, err := b.CreateAccount(ctx, leat.Account{ID: id, Name: "third", Labels: map[string]string{"a": "b"}})
		b.must(err)
		if made.State != leat.AccountActive || !made.Created.Equal(b.clock.Now()) {
			t.Errorf("made %+v", made)
		}
		_, err = b.CreateAccount(ctx, leat.Account{ID: id, Name: "again"})
		b.want(err, leat.KindInUse, "Account "+id+" already exists.")
		_, err = b.UpdateAccount(ctx, id, func(a *leat.Account) error {
			a.Quotas = leat.Quotas{Shards: 7, Retention: 48 * time.Hour}
			return nil
		})
		b.must(err)
		got, err := b.Account(ctx, id)
		b.must(err)
		if got.Name != "third" || !maps.Equal(got.Labels, made.Labels) || got.Quotas.Shards != 7 || got.Quotas.Retention != 48*time.Hour {
			t.Errorf("got %+v", got)
		}
		page, err := b.ListAccounts(ctx, account, 1)
		b.must(err)
		if len(page) != 1 || page[0].ID != otherAccount {
			t.Errorf("the page after %s: %+v", account, page)
		}

		// Credentials have a role of their account, or none.
		_, err = b.PutRole(ctx, leat.Role{Account: id, Name: "reader", Policy: "p", Tags: map[string]string{"t": "v"}})
		b.must(err)
		_, err = b.AddToken(ctx, catalog.StoredToken{Token: leat.Token{ID: "T1", Account: account, Role: "reader", Active: true}, Hash: "h"})
		b.want(err, leat.KindNotFound, "Role reader of account "+account+" not found.")
		expires := b.clock.Now().Add(time.Hour)
		_, err = b.AddToken(ctx, catalog.StoredToken{Token: leat.Token{ID: "T1", Account: id, Role: "reader", Active: true, Expires: expires}, Hash: "h"})
		b.must(err)
		key := accessKey("LEAKX", id)
		key.Role = "reader"
		_, err = b.AddAccessKey(ctx, key)
		b.must(err)
		b.want(b.DeleteRole(ctx, id, "reader"), leat.KindInUse, "Role reader of account "+id+" is that of 2 keys and tokens: delete them first.")

		// What nodes keep in memory, read when it has changed.
		all, fresh, err := b.Identity(ctx, 0)
		b.must(err)
		if !fresh || len(all.Roles) != 1 || all.Roles[0].Tags["t"] != "v" || len(all.Tokens) != 1 || !all.Tokens[0].Expires.Equal(expires) || all.Tokens[0].Hash != "h" {
			t.Errorf("fresh %v: %+v", fresh, all)
		}
		if _, again, err := b.Identity(ctx, all.Revision); err != nil || again {
			t.Errorf("nothing has changed: %v, %v", again, err)
		}
		s := b.stream("s", 1)
		b.must(b.PutPolicy(ctx, catalog.Resource{Stream: s.ID}, "policy"))
		next, fresh, err := b.Identity(ctx, all.Revision)
		b.must(err)
		if !fresh || len(next.Policies) != 1 || next.Policies[0].Stream != s.ID {
			t.Errorf("a policy was put: %v, %+v", fresh, next.Policies)
		}

		if n, err := b.CountConsumers(ctx, account); err != nil || n != 0 {
			t.Errorf("%d consumers, %v", n, err)
		}
		if n, err := b.StoredBytes(ctx, account); err != nil || n != 0 {
			t.Errorf("%d bytes, %v", n, err)
		}

		// Deleting: not with streams; credentials go at once, and the account when nothing is left of it.
		b.want(b.BeginDeleteAccount(ctx, account), leat.KindInUse, "Account "+account+" has 1 streams: delete them first, or erase them with it.")
		b.must(b.BeginDeleteAccount(ctx, id))
		_, err = b.PutRole(ctx, leat.Role{Account: id, Name: "late", Policy: "p"})
		b.want(err, leat.KindInUse, "Account "+id+" is being deleted.")
		if keys, err := b.ListAccessKeys(ctx, id, "", 10); err != nil || len(keys) != 0 {
			t.Errorf("keys of a deleted account: %v, %v", keys, err)
		}
		b.must(b.FinishDeleteAccounts(ctx))
		_, err = b.Account(ctx, id)
		b.want(err, leat.KindNotFound, "Account "+id+" not found.")
	})
}
