// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

func accessKey(id, owner string) catalog.StoredKey {
	return catalog.StoredKey{AccessKey: leat.AccessKey{ID: id, Account: owner, Name: "app", Active: true}, Wrapped: "wrapped " + id}
}

func TestAccessKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		const other = otherAccount
		for _, k := range []catalog.StoredKey{accessKey("LEAKC", account), accessKey("LEAKA", account), accessKey("LEAKB", other)} {
			made, err := b.AddAccessKey(t.Context(), k)
			b.must(err)
			k.Created = b.clock.Now()
			if made != k.AccessKey {
				t.Errorf("made %v, want %v", made, k.AccessKey)
			}
			b.clock.advance(time.Second)
		}
		if _, err := b.AddAccessKey(t.Context(), catalog.StoredKey{AccessKey: leat.AccessKey{ID: "LEAKC", Account: other}, Wrapped: "x"}); leat.KindOf(err) != leat.KindInUse {
			t.Errorf("an id that is taken: %v", err)
		}

		// Pages, by id.
		page, err := b.ListAccessKeys(t.Context(), account, "", 1)
		b.must(err)
		if len(page) != 1 || page[0].ID != "LEAKA" {
			t.Fatalf("first page %v", page)
		}
		page, err = b.ListAccessKeys(t.Context(), account, "LEAKA", 10)
		b.must(err)
		if len(page) != 1 || page[0].ID != "LEAKC" || !page[0].Active || page[0].Name != "app" {
			t.Errorf("second page %v", page)
		}

		// Another account's keys are not there.
		if _, err := b.SetAccessKey(t.Context(), account, "LEAKB", false); leat.KindOf(err) != leat.KindNotFound {
			t.Errorf("another's key: %v", err)
		}
		if err := b.DeleteAccessKey(t.Context(), account, "LEAKB"); leat.KindOf(err) != leat.KindNotFound {
			t.Errorf("another's key: %v", err)
		}

		k, err := b.SetAccessKey(t.Context(), other, "LEAKB", false)
		b.must(err)
		if k.Active || k.Name != "app" || k.Created.IsZero() {
			t.Errorf("disabled %v", k)
		}
		b.must(b.RewrapAccessKey(t.Context(), "LEAKB", "wrapped LEAKB", "again"))
		b.must(b.RewrapAccessKey(t.Context(), "LEAKB", "wrapped LEAKB", "too late"))
		b.must(b.DeleteAccessKey(t.Context(), account, "LEAKC"))
		all, err := b.AccessKeys(t.Context())
		b.must(err)
		stored := map[string]string{}
		for _, k := range all {
			stored[k.ID] = fmt.Sprint(k.Wrapped, k.Active)
		}
		if fmt.Sprint(stored) != "map[LEAKA:wrapped LEAKAtrue LEAKB:againfalse]" {
			t.Errorf("stored %v", stored)
		}
	})
}

// TestAccessKeyAfterABrokenLink makes a key whose COMMIT was applied while its answer was lost.
func TestAccessKeyAfterABrokenLink(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.link.cut("a")
		_, err := b.AddAccessKey(t.Context(), accessKey("LEAKA", account))
		b.must(err)
		all, err := b.AccessKeys(t.Context())
		b.must(err)
		if len(all) != 1 {
			t.Errorf("%d keys", len(all))
		}
	})
}

func TestAccessKeysAreBounded(t *testing.T) {
	b := newBundle(t, "sqlite")
	for i := range leat.MaxAccessKeys {
		_, err := b.AddAccessKey(t.Context(), accessKey(fmt.Sprintf("LEAK%d", i), account))
		b.must(err)
	}
	if _, err := b.AddAccessKey(t.Context(), accessKey("LEAKMORE", account)); leat.KindOf(err) != leat.KindLimitExceeded {
		t.Errorf("one more: %v", err)
	}
}
