// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/masterkey"
)

// masterKeys has a fixed key for each letter.
func masterKeys(t *testing.T, of string) *masterkey.Ring {
	t.Helper()
	var lines []string
	for _, c := range of {
		lines = append(lines, masterkey.Generate(strings.NewReader(strings.Repeat(string(c), masterkey.KeyBytes))))
	}
	r, err := masterkey.Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Of nodes that start at once all have the same secret, which stands in the database wrapped alone, and follows the master key.
func TestNodeSecret(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		stands := func() (wrapped string) {
			t.Helper()
			b.must(b.db.View(ctx, func(tx *sqldb.Tx) error { return tx.Row("SELECT node_secret FROM cluster").Scan(&wrapped) }))
			return wrapped
		}
		secret := func(keys string, alone bool) []byte {
			t.Helper()
			s, err := b.NodeSecret(ctx, masterKeys(t, keys), alone)
			b.must(err)
			return s
		}
		var none *masterkey.Ring
		if s, err := b.NodeSecret(ctx, none, false); err != nil || s != nil || stands() != "" {
			t.Errorf("without a master key: %x, %v, %q", s, err, stands())
		}
		const nodes = 4
		made := make(chan []byte, nodes)
		for range nodes {
			node := openBundle(t, b.cfg)
			go func() {
				s, err := node.NodeSecret(ctx, masterKeys(t, "a"), false)
				if err != nil {
					t.Error(err)
				}
				made <- s
			}()
		}
		first := <-made
		for range nodes - 1 {
			if s := <-made; !bytes.Equal(s, first) {
				t.Error("two nodes have two secrets")
			}
		}
		info, err := b.Cluster(ctx)
		b.must(err)
		if len(first) != len(info.Secret) || bytes.Equal(first, info.Secret[:]) || strings.Contains(stands(), hex.EncodeToString(first)) {
			t.Errorf("the secret has %d bytes, and stands as %s", len(first), stands())
		}

		for keys, under := range map[string]string{"ab": "a", "ba": "b"} {
			if !bytes.Equal(secret(keys, false), first) || !masterKeys(t, under).Current(stands()) {
				t.Errorf("with keys %s it stands as %s", keys, stands())
			}
		}
		secret("ba", false)
		for about, master := range map[string]*masterkey.Ring{"with another master key": masterKeys(t, "a"), "without a master key": none} {
			was := stands()
			if _, err := b.NodeSecret(ctx, master, false); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "--master-key-file") || !strings.Contains(err.Error(), "docs/encryption.md") || stands() != was {
				t.Errorf("%s: %v", about, err)
			}
		}
		if s := secret("z", true); bytes.Equal(s, first) || !bytes.Equal(s, secret("z", false)) {
			t.Error("who has the catalog alone has no new secret")
		}

		state := journal.NewState()
		state.Cluster = info.ID
		b.must(b.Rebuild(ctx, &catalog.Rebuilt{State: state}))
		if stands() != "" {
			t.Error("a rebuilt catalog has the former secret")
		}
		if bytes.Equal(secret("b", false), first) {
			t.Error("a rebuilt catalog has no new secret")
		}
	})
}
