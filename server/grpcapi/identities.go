// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type identityService struct {
	leatv1.UnimplementedIdentityServiceServer
	*Server
}

func (s identityService) CreateAccount(ctx context.Context, req *leatv1.CreateAccountRequest) (*leatv1.CreateAccountResponse, error) {
	a, err := s.broker.CreateAccount(ctx, principal(ctx), broker.CreateAccountRequest{ID: req.GetAccountId(), Name: req.GetName(), Labels: req.GetLabels()})
	if err != nil {
		return nil, err
	}
	return &leatv1.CreateAccountResponse{Account: accountOf(&a)}, nil
}

func (s identityService) ListAccounts(ctx context.Context, req *leatv1.ListAccountsRequest) (*leatv1.ListAccountsResponse, error) {
	all, next, err := s.broker.ListAccounts(ctx, principal(ctx), int(req.GetPageSize()), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListAccountsResponse{NextPageToken: next}
	for i := range all {
		out.Accounts = append(out.Accounts, accountOf(&all[i]))
	}
	return out, nil
}

func (s identityService) GetAccount(ctx context.Context, req *leatv1.GetAccountRequest) (*leatv1.GetAccountResponse, error) {
	a, err := s.broker.DescribeAccount(ctx, principal(ctx), req.GetAccountId())
	if err != nil {
		return nil, err
	}
	return &leatv1.GetAccountResponse{Account: accountOf(&a)}, nil
}

func (s identityService) UpdateAccount(ctx context.Context, req *leatv1.UpdateAccountRequest) (*leatv1.UpdateAccountResponse, error) {
	change := broker.UpdateAccountRequest{ID: req.GetAccountId(), Name: req.Name, Disabled: req.Disabled}
	if req.GetLabels() != nil {
		if change.Labels = req.GetLabels().GetLabels(); change.Labels == nil {
			change.Labels = map[string]string{}
		}
	}
	if q := req.GetQuotas(); q != nil {
		change.Quotas = &leat.Quotas{
			Streams: q.GetStreams(), Shards: q.GetShards(), OnDemandStreams: q.GetOnDemandStreams(), Consumers: q.GetConsumers(), Deliveries: q.GetDeliveries(),
			BytesIn: q.GetBytesInPerSecond(), BytesOut: q.GetBytesOutPerSecond(), StoredBytes: q.GetStoredBytes(), Retention: time.Duration(q.GetRetentionHours()) * time.Hour,
		}
	}
	a, err := s.broker.UpdateAccount(ctx, principal(ctx), change)
	if err != nil {
		return nil, err
	}
	return &leatv1.UpdateAccountResponse{Account: accountOf(&a)}, nil
}

func (s identityService) DeleteAccount(ctx context.Context, req *leatv1.DeleteAccountRequest) (*leatv1.DeleteAccountResponse, error) {
	if err := s.broker.DeleteAccount(ctx, principal(ctx), req.GetAccountId(), req.GetErase()); err != nil {
		return nil, err
	}
	return &leatv1.DeleteAccountResponse{}, nil
}

func (s identityService) PutRole(ctx context.Context, req *leatv1.PutRoleRequest) (*leatv1.PutRoleResponse, error) {
	r, err := s.broker.PutRole(ctx, principal(ctx), leat.Role{Name: req.GetName(), Description: req.GetDescription(), Policy: req.GetPolicy(), Tags: req.GetTags()})
	if err != nil {
		return nil, err
	}
	return &leatv1.PutRoleResponse{Role: roleOf(&r)}, nil
}

func (s identityService) GetRole(ctx context.Context, req *leatv1.GetRoleRequest) (*leatv1.GetRoleResponse, error) {
	r, err := s.broker.DescribeRole(ctx, principal(ctx), req.GetName())
	if err != nil {
		return nil, err
	}
	return &leatv1.GetRoleResponse{Role: roleOf(&r)}, nil
}

func (s identityService) ListRoles(ctx context.Context, req *leatv1.ListRolesRequest) (*leatv1.ListRolesResponse, error) {
	all, next, err := s.broker.ListRoles(ctx, principal(ctx), int(req.GetPageSize()), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListRolesResponse{NextPageToken: next}
	for i := range all {
		out.Roles = append(out.Roles, roleOf(&all[i]))
	}
	return out, nil
}

func (s identityService) DeleteRole(ctx context.Context, req *leatv1.DeleteRoleRequest) (*leatv1.DeleteRoleResponse, error) {
	if err := s.broker.DeleteRole(ctx, principal(ctx), req.GetName()); err != nil {
		return nil, err
	}
	return &leatv1.DeleteRoleResponse{}, nil
}

func (s identityService) CreateToken(ctx context.Context, req *leatv1.CreateTokenRequest) (*leatv1.CreateTokenResponse, error) {
	t, text, err := s.broker.CreateToken(ctx, principal(ctx), broker.CreateTokenRequest{Name: req.GetName(), Role: req.GetRole(), Lifetime: req.GetLifetime().AsDuration()})
	if err != nil {
		return nil, err
	}
	return &leatv1.CreateTokenResponse{Token: tokenOf(&t), Secret: text}, nil
}

func (s identityService) ListTokens(ctx context.Context, req *leatv1.ListTokensRequest) (*leatv1.ListTokensResponse, error) {
	all, next, err := s.broker.ListTokens(ctx, principal(ctx), int(req.GetPageSize()), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListTokensResponse{NextPageToken: next}
	for i := range all {
		out.Tokens = append(out.Tokens, tokenOf(&all[i]))
	}
	return out, nil
}

func (s identityService) DeleteToken(ctx context.Context, req *leatv1.DeleteTokenRequest) (*leatv1.DeleteTokenResponse, error) {
	if err := s.broker.DeleteToken(ctx, principal(ctx), req.GetTokenId()); err != nil {
		return nil, err
	}
	return &leatv1.DeleteTokenResponse{}, nil
}

// accountStates is in the order of the proto's numbers.
var accountStates = [...]leat.AccountState{
	leatv1.AccountState_ACCOUNT_STATE_ACTIVE:   leat.AccountActive,
	leatv1.AccountState_ACCOUNT_STATE_DISABLED: leat.AccountDisabled,
	leatv1.AccountState_ACCOUNT_STATE_DELETING: leat.AccountDeleting,
}

func accountOf(a *leat.Account) *leatv1.Account {
	return &leatv1.Account{
		Id: a.ID, Name: a.Name, Labels: a.Labels, State: numbered[leatv1.AccountState](accountStates[:], a.State), CreateTime: stamp(a.Created),
		Quotas: &leatv1.AccountQuotas{
			Streams: a.Quotas.Streams, Shards: a.Quotas.Shards, OnDemandStreams: a.Quotas.OnDemandStreams, Consumers: a.Quotas.Consumers,
			Deliveries: a.Quotas.Deliveries, BytesInPerSecond: a.Quotas.BytesIn, BytesOutPerSecond: a.Quotas.BytesOut, StoredBytes: a.Quotas.StoredBytes,
			RetentionHours: int32(a.Quotas.Retention / time.Hour),
		},
	}
}

func roleOf(r *leat.Role) *leatv1.Role {
	return &leatv1.Role{
		Name: r.Name, Description: r.Description, Policy: r.Policy, Tags: r.Tags, CreateTime: stamp(r.Created), UpdateTime: stamp(r.Changed),
	}
}

func tokenOf(t *leat.Token) *leatv1.Token {
	return &leatv1.Token{Id: t.ID, Name: t.Name, Account: t.Account, Role: t.Role, CreateTime: stamp(t.Created), ExpireTime: stamp(t.Expires)}
}
