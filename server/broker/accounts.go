// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"

	"github.com/leatstream/leat"
)

// CreateAccountRequest says what account to make.
type CreateAccountRequest struct {
	ID     string // 12 digits; empty: any that is free
	Name   string
	Labels map[string]string
}

// CreateAccount promises: the account exists and is ACTIVE. It takes an operator, who acts for it until it has keys or tokens
// of its own.
func (b *Broker) CreateAccount(ctx context.Context, who leat.Principal, req CreateAccountRequest) (leat.Account, error) {
	if err := leat.ValidateAccountName(req.Name); err != nil {
		return leat.Account{}, err
	}
	if req.ID != "" {
		if err := leat.ValidateAccountID(req.ID); err != nil {
			return leat.Account{}, err
		}
	}
	if err := validateLabels(req.Labels); err != nil {
		return leat.Account{}, err
	}
	if err := b.may(ctx, who, ActionCreateAccount, Resource{Account: req.ID, Path: "leat:account"}); err != nil {
		return leat.Account{}, err
	}
	id := req.ID
	for {
		if req.ID == "" {
			id = randomAccount()
		}
		a, err := b.catalog.CreateAccount(ctx, leat.Account{ID: id, Name: req.Name, Labels: req.Labels})
		if req.ID == "" && leat.KindOf(err) == leat.KindInUse {
			continue
		}
		b.identityChanged(ctx)
		b.changed(ctx, nil, ofAccount(&a))
		return a, err
	}
}

// theServer is the resource of what concerns all accounts.
func theServer(who leat.Principal) Resource {
	return Resource{Account: who.Account, Path: "leat:server"}
}

// randomAccount does not begin with 0, so that spreadsheets keep it.
func randomAccount() string {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprint(100_000_000_000 + n.Int64())
}

func validateLabels(labels map[string]string) error {
	if err := validateTags(labels); err != nil {
		return within("labels", err)
	}
	return nil
}

// ListAccounts returns a page of all accounts in order of their ids. It takes an operator.
func (b *Broker) ListAccounts(ctx context.Context, who leat.Principal, size int, token string) (accounts []leat.Account, next string, err error) {
	if err := b.may(ctx, who, ActionListAccounts, theServer(who)); err != nil {
		return nil, "", err
	}
	return listing(b, ActionListAccounts, "", size, 100, token,
		func(after string, limit int) ([]leat.Account, error) {
			return b.catalog.ListAccounts(ctx, after, limit)
		},
		func(a *leat.Account) string { return a.ID })
}

// DescribeAccount returns an account: operators see any, others their own. Empty is the caller's.
func (b *Broker) DescribeAccount(ctx context.Context, who leat.Principal, id string) (leat.Account, error) {
	if id == "" {
		id = who.Account
	}
	if err := leat.ValidateAccountID(id); err != nil {
		return leat.Account{}, err
	}
	if err := b.may(ctx, who, ActionDescribeAccount, Resource{Account: id, Path: "leat:account"}); err != nil {
		return leat.Account{}, err
	}
	a, err := b.catalog.Account(ctx, id)
	if err != nil {
		return leat.Account{}, away(err)
	}
	return a, nil
}

// UpdateAccountRequest says what to change; nil leaves as it is.
type UpdateAccountRequest struct {
	ID       string
	Name     *string
	Labels   map[string]string // in place of all labels
	Disabled *bool             // its keys and tokens are refused
	Quotas   *leat.Quotas      // in place of all of its own
}

// UpdateAccount promises: all that is given is changed, or nothing. A disabled account's callers are refused on this node
// when it returns and on others within a few seconds; its streams stay, and operators still act for it. It takes an
// operator.
func (b *Broker) UpdateAccount(ctx context.Context, who leat.Principal, req UpdateAccountRequest) (leat.Account, error) {
	if err := leat.ValidateAccountID(req.ID); err != nil {
		return leat.Account{}, err
	}
	if req.Name != nil {
		if err := leat.ValidateAccountName(*req.Name); err != nil {
			return leat.Account{}, err
		}
	}
	if err := validateLabels(req.Labels); err != nil {
		return leat.Account{}, err
	}
	if q := req.Quotas; q != nil && min(q.Streams, q.Shards, q.OnDemandStreams, q.Consumers, q.Deliveries, q.BytesIn, q.BytesOut, q.StoredBytes, int64(q.Retention)) < 0 {
		return leat.Account{}, leat.Invalid("quotas", "a quota is negative: give 0 for the server's default")
	}
	if err := b.may(ctx, who, ActionUpdateAccount, Resource{Account: req.ID, Path: "leat:account"}); err != nil {
		return leat.Account{}, err
	}
	var before any
	a, err := b.catalog.UpdateAccount(ctx, req.ID, func(a *leat.Account) error {
		before = ofAccount(a)
		if a.State == leat.AccountDeleting {
			return leat.Errorf(leat.KindInUse, "Account %s is being deleted.", a.ID)
		}
		if req.Name != nil {
			a.Name = *req.Name
		}
		if req.Labels != nil {
			a.Labels = req.Labels
		}
		if req.Quotas != nil {
			a.Quotas = *req.Quotas
		}
		switch {
		case req.Disabled == nil:
		case *req.Disabled:
			a.State = leat.AccountDisabled
		default:
			a.State = leat.AccountActive
		}
		return nil
	})
	b.identityChanged(ctx)
	b.changed(ctx, before, ofAccount(&a))
	return a, err
}

// DeleteAccount promises: the account's keys, tokens and roles are gone, and it goes when its last stream is. Without erase
// an account with streams is KindInUse; with it they are deleted, with their consumers and their keys, so that what is left
// of encrypted records in objects and backups cannot be read any more. It takes an operator. The account of `leat dev` stays.
func (b *Broker) DeleteAccount(ctx context.Context, who leat.Principal, id string, erase bool) error {
	if err := leat.ValidateAccountID(id); err != nil {
		return err
	}
	if err := b.may(ctx, who, ActionDeleteAccount, Resource{Account: id, Path: "leat:account"}); err != nil {
		return err
	}
	if id == leat.DevAccount {
		return leat.Errorf(leat.KindUnsupported, "account %s is the server's own and cannot be deleted", id)
	}
	if erase {
		if err := b.eraseStreams(ctx, who, id); err != nil {
			return err
		}
	}
	err := b.catalog.BeginDeleteAccount(ctx, id)
	b.identityChanged(ctx)
	b.changed(ctx, fields{"id": id, "erase": erase}, nil)
	return err
}

// eraseStreams begins to delete all streams of an account. The account is disabled first, so that none comes after.
func (b *Broker) eraseStreams(ctx context.Context, who leat.Principal, id string) error {
	disabled := true
	err := b.Watch(ctx, func(ctx context.Context) error { // each step has a row of its own in the audit log
		_, err := b.UpdateAccount(ctx, who, UpdateAccountRequest{ID: id, Disabled: &disabled})
		return err
	})
	if err != nil && leat.KindOf(err) != leat.KindInUse {
		return err
	}
	if err := b.directory.RefreshAll(ctx); err != nil {
		return err
	}
	who.Account = id
	for _, v := range b.directory.account(id) {
		err := b.Watch(ctx, func(ctx context.Context) error {
			return b.DeleteStream(ctx, who, DeleteStreamRequest{Stream: v.Name, EnforceConsumerDeletion: true})
		})
		if err != nil && leat.KindOf(err) != leat.KindNotFound {
			return err
		}
	}
	return nil
}
