// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"io"
	"maps"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// idPrefix is where AWS's ids have AKIA.
const idPrefix = "LEAK"

// The random bytes of an id, 16 characters in base32, and of a secret, 40 characters in base64: as AWS's are.
const (
	idBytes     = 10
	secretBytes = 30
)

// Create makes a key with a role, or with none. Its secret is told here and never again. KindUnsupported without a master key.
func (s *KeyStore) Create(ctx context.Context, account, name, role string) (leat.AccessKey, string, error) {
	var random [idBytes + secretBytes]byte
	if _, err := io.ReadFull(s.rand, random[:]); err != nil {
		return leat.AccessKey{}, "", leat.Errorf(leat.KindInternal, "no randomness for an access key: %w", err)
	}
	secret := base64.StdEncoding.EncodeToString(random[idBytes:])
	k := catalog.StoredKey{AccessKey: leat.AccessKey{
		ID: idPrefix + base32.StdEncoding.EncodeToString(random[:idBytes]), Account: account, Name: name, Role: role, Active: true,
	}}
	var err error
	if k.Wrapped, err = s.master.Wrap(purpose(k.ID), []byte(secret)); err != nil {
		return leat.AccessKey{}, "", err
	}
	made, err := s.catalog.AddAccessKey(ctx, k)
	if err != nil {
		return leat.AccessKey{}, "", err
	}
	s.change(func(keys map[string]storedKey) {
		keys[made.ID] = storedKey{Key: Key{AccessKey: made, Secret: secret}, wrapped: k.Wrapped}
	})
	return made, secret, nil
}

// List returns up to limit keys of an account whose ids come after an id, in byte order of ids.
func (s *KeyStore) List(ctx context.Context, account, after string, limit int) ([]leat.AccessKey, error) {
	return s.catalog.ListAccessKeys(ctx, account, after, limit)
}

// SetActive enables or disables a key: on this node at once, on others within seconds. KindNotFound when the account
// has none of that id.
func (s *KeyStore) SetActive(ctx context.Context, account, id string, active bool) (leat.AccessKey, error) {
	k, err := s.catalog.SetAccessKey(ctx, account, id, active)
	if err != nil {
		return k, err
	}
	s.change(func(keys map[string]storedKey) {
		if was, ok := keys[id]; ok {
			was.Active = active
			keys[id] = was
		}
	})
	return k, nil
}

// Delete removes a key for good: on this node at once, on others within seconds. KindNotFound when the account has none
// of that id.
func (s *KeyStore) Delete(ctx context.Context, account, id string) error {
	if err := s.catalog.DeleteAccessKey(ctx, account, id); err != nil {
		return err
	}
	s.change(func(keys map[string]storedKey) { delete(keys, id) })
	return nil
}

// change changes what is known, once the catalog was changed. No read is under way meanwhile, so none that began before
// the catalog was changed ends after this.
func (s *KeyStore) change(do func(keys map[string]storedKey)) {
	s.reading.Lock()
	defer s.reading.Unlock()
	was := s.known.Load()
	if was == nil {
		return // nothing was read yet: the first read has it
	}
	next := *was
	if next.keys = maps.Clone(was.keys); next.keys == nil {
		next.keys = map[string]storedKey{}
	}
	do(next.keys)
	s.known.Store(&next)
}
