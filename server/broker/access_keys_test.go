// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// keyList is a few keys in order.
type keyList struct{ all []leat.AccessKey }

func (l *keyList) Create(_ context.Context, account, name, role string) (leat.AccessKey, string, error) {
	k := leat.AccessKey{ID: fmt.Sprintf("LEAK%016d", len(l.all)), Account: account, Name: name, Role: role, Active: true}
	l.all = append(l.all, k)
	return k, "the secret", nil
}

func (l *keyList) List(_ context.Context, account, after string, limit int) (keys []leat.AccessKey, _ error) {
	for _, k := range l.all {
		if k.Account == account && k.ID > after && len(keys) < limit {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (l *keyList) at(account, id string) int {
	return slices.IndexFunc(l.all, func(k leat.AccessKey) bool { return k.Account == account && k.ID == id })
}

func (l *keyList) SetActive(_ context.Context, account, id string, active bool) (leat.AccessKey, error) {
	i := l.at(account, id)
	if i < 0 {
		return leat.AccessKey{}, leat.Errorf(leat.KindNotFound, "no key")
	}
	l.all[i].Active = active
	return l.all[i], nil
}

func (l *keyList) Delete(_ context.Context, account, id string) error {
	i := l.at(account, id)
	if i < 0 {
		return leat.Errorf(leat.KindNotFound, "no key")
	}
	l.all = slices.Delete(l.all, i, i+1)
	return nil
}

// withKeys is a broker that has nothing but keys.
func withKeys(t *testing.T, keys broker.AccessKeys, change ...func(*broker.Config)) *broker.Broker {
	t.Helper()
	r := newRig(t, broker.LimitsOff)
	cfg := broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1",
		Secret: []byte("0123456789abcdef"), Clock: r.clock, AccessKeys: keys,
	}
	for _, c := range change {
		c(&cfg)
	}
	b, err := broker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// nobody may do anything.
type nobody struct{}

func (nobody) Authorize(context.Context, leat.Principal, broker.Action, broker.Resource) error {
	return leat.Errorf(leat.KindAccessDenied, "no")
}

func TestKeys(t *testing.T) {
	b := withKeys(t, &keyList{})
	operator := leat.Principal{Account: leat.DevAccount, Name: "bootstrap", Operator: true}
	var ids []string
	for i := range 5 {
		made, err := b.CreateKey(t.Context(), operator, broker.CreateKeyRequest{Name: fmt.Sprintf("app %d", i), Role: "reader"})
		if err != nil || made.Secret != "the secret" || !made.Key.Active || made.Key.Role != "reader" {
			t.Fatal(made.Key, err)
		}
		ids = append(ids, made.Key.ID)
	}
	var listed []string
	req := broker.ListKeysRequest{PageSize: 2}
	for {
		res, err := b.ListKeys(t.Context(), operator, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range res.Keys {
			listed = append(listed, k.ID)
		}
		if req.PageToken = res.NextPageToken; req.PageToken == "" {
			break
		}
		other := operator
		other.Account = "123456789012"
		if _, err := b.ListKeys(t.Context(), other, req); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("another account's token: %v", err)
		}
	}
	if !slices.Equal(listed, ids) {
		t.Errorf("listed %v, want %v", listed, ids)
	}
	if k, err := b.UpdateKey(t.Context(), operator, broker.UpdateKeyRequest{ID: ids[0]}); err != nil || k.Active {
		t.Errorf("disabled: %v, %v", k, err)
	}
	if err := b.DeleteKey(t.Context(), operator, ids[0]); err != nil {
		t.Error(err)
	}
	if err := b.DeleteKey(t.Context(), operator, ids[0]); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestKeysTakePermission(t *testing.T) {
	keys := &keyList{}
	b, none, refused := withKeys(t, keys), withKeys(t, nil), withKeys(t, keys, func(c *broker.Config) { c.Authorizer = nobody{} })
	operator := leat.Principal{Account: leat.DevAccount, Name: "bootstrap", Operator: true}
	const id = "LEAKJ4QXH5Y2ZC7MWTNA"
	calls := map[string]func(b *broker.Broker, who leat.Principal, name, id string) error{
		"create": func(b *broker.Broker, who leat.Principal, name, _ string) error {
			_, err := b.CreateKey(t.Context(), who, broker.CreateKeyRequest{Name: name})
			return err
		},
		"list": func(b *broker.Broker, who leat.Principal, name, _ string) error {
			req := broker.ListKeysRequest{}
			if name == "a\nb" {
				req.PageSize = -1
			}
			_, err := b.ListKeys(t.Context(), who, req)
			return err
		},
		"update": func(b *broker.Broker, who leat.Principal, _, id string) error {
			_, err := b.UpdateKey(t.Context(), who, broker.UpdateKeyRequest{ID: id})
			return err
		},
		"delete": func(b *broker.Broker, who leat.Principal, _, id string) error {
			return b.DeleteKey(t.Context(), who, id)
		},
	}
	for name, call := range calls {
		if err := call(refused, operator, "app", id); leat.KindOf(err) != leat.KindAccessDenied {
			t.Errorf("%s without permission: %v", name, err)
		}
		if err := call(b, leat.Principal{Name: "nobody", Operator: true}, "app", id); leat.KindOf(err) != leat.KindAccessDenied {
			t.Errorf("%s without an account: %v", name, err)
		}
		if err := call(none, operator, "app", id); leat.KindOf(err) != leat.KindUnsupported {
			t.Errorf("%s where there are none: %v", name, err)
		}
		if err := call(b, operator, "a\nb", "short"); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%s of a bad form: %v", name, err)
		}
	}
	if len(keys.all) != 0 {
		t.Errorf("made %v", keys.all)
	}
}
