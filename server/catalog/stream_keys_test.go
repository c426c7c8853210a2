// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
)

func newKey(s leat.Stream, wrapped string) catalog.StreamKey {
	return catalog.StreamKey{ID: leat.NewID[leat.KeyID](nil), Stream: s.ID, Wrapped: wrapped}
}

func TestStartAndStopEncryption(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		b.must(b.ActivateStream(ctx, st.ID))
		settle := func() {
			t.Helper()
			_, err := b.NextScaleStep(ctx, st.ID)
			b.must(err)
		}
		same, err := b.StopEncryption(ctx, st.ID)
		b.must(err)
		if same.Status != leat.StreamActive {
			t.Errorf("a stream that was not encrypted is %s", same.Status)
		}
		first, second := newKey(st, "one"), newKey(st, "two")
		got, err := b.StartEncryption(ctx, first, "alias/aws/kinesis")
		b.must(err)
		if got.Status != leat.StreamUpdating || got.EncryptionKey != "alias/aws/kinesis" || got.DataKey != first.ID {
			t.Errorf("started %+v", got)
		}
		_, err = b.StartEncryption(ctx, second, "another")
		b.want(err, leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
		_, err = b.StopEncryption(ctx, st.ID)
		b.want(err, leat.KindInUse, "")
		settle()
		got, err = b.StartEncryption(ctx, second, "another")
		b.must(err)
		settle()
		if got.DataKey != second.ID || got.EncryptionKey != "another" {
			t.Errorf("another key: %+v", got)
		}
		got, err = b.StopEncryption(ctx, st.ID)
		b.must(err)
		if got.Status != leat.StreamUpdating || got.EncryptionKey != "" || !got.DataKey.IsZero() {
			t.Errorf("stopped %+v", got)
		}
		settle()
		got, err = b.StreamByID(ctx, st.ID)
		b.must(err)
		if got.Status != leat.StreamActive || got.EncryptionKey != "" || !got.DataKey.IsZero() {
			t.Errorf("read back %+v", got)
		}
		all, err := b.StreamKeys(ctx)
		b.must(err)
		if len(all) != 2 {
			t.Errorf("keys %+v", all)
		}
		for _, want := range []catalog.StreamKey{first, second} {
			want.Wrapped = journal.KeptApart
			if k, err := b.StreamKey(ctx, want.ID); err != nil || k != want {
				t.Errorf("%+v, %v, want %+v", k, err, want)
			}
		}
		_, err = b.StreamKey(ctx, leat.KeyID{1})
		b.want(err, leat.KindNotFound, "")
	})
}

// A start whose answer is lost makes one key.
func TestStartEncryptionUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for i, plan := range []string{"a-", "b-", "aa-"} {
			st := b.stream(fmt.Sprint("s", i), 1)
			b.must(b.ActivateStream(t.Context(), st.ID))
			k := newKey(st, "w")
			b.link.cut(plan)
			got, err := b.StartEncryption(t.Context(), k, "k")
			b.must(err)
			if got.DataKey != k.ID || got.Status != leat.StreamUpdating {
				t.Errorf("%s: %+v", plan, got)
			}
		}
		all, err := b.StreamKeys(t.Context())
		b.must(err)
		if len(all) != 3 {
			t.Errorf("%d keys", len(all))
		}
	})
}

// While a session of a former version runs, which looks for keys here, they are here.
func TestKeysOfFormerVersions(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		b.must(b.ActivateStream(ctx, st.ID))
		session := b.session()
		b.must(b.db.Tx(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec("UPDATE sessions SET keys_apart = 0 WHERE id = $1", session)
			return err
		}))
		floor := func() (version int) {
			t.Helper()
			b.must(b.db.View(ctx, func(tx *sqldb.Tx) error {
				return tx.Row("SELECT version FROM schema_floor WHERE owner = 'catalog'").Scan(&version)
			}))
			return version
		}
		k := newKey(st, "one")
		_, err := b.StartEncryption(ctx, k, "k")
		b.must(err)
		b.must(b.RewrapStreamKey(ctx, k.ID, "one", "two"))
		b.must(b.RewrapStreamKey(ctx, k.ID, "one", "three")) // somebody was faster
		if got, err := b.StreamKey(ctx, k.ID); err != nil || got.Wrapped != "two" || got.Apart() {
			t.Errorf("%+v, %v", got, err)
		}
		if moved, err := b.KeepApart(ctx, k.ID); err != nil || moved {
			t.Errorf("moved while it is needed: %v, %v", moved, err)
		}
		// The last of them ended, and may be needed again for a day.
		b.must(b.db.Tx(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec("UPDATE sessions SET state = 'closed', closed = $2 WHERE id = $1", session, b.clock.Now())
			return err
		}))
		b.clock.advance(23 * time.Hour)
		if moved, err := b.KeepApart(ctx, k.ID); err != nil || moved {
			t.Errorf("moved while one may go back: %v, %v", moved, err)
		}
		if v := floor(); v != 0 {
			t.Errorf("programs below version %d are refused already", v)
		}
		b.clock.advance(2 * time.Hour)
		for _, want := range []struct {
			id    leat.KeyID
			moved bool
		}{{k.ID, true}, {k.ID, true}, {leat.KeyID{9}, false}} {
			b.link.cut("a-")
			if moved, err := b.KeepApart(ctx, want.id); err != nil || moved != want.moved {
				t.Errorf("moved: %v, %v", moved, err)
			}
		}
		if got, err := b.StreamKey(ctx, k.ID); err != nil || !got.Apart() {
			t.Errorf("%+v, %v", got, err)
		}
		if v := floor(); v != 12 {
			t.Errorf("programs below version %d are refused, want 12: they would not find the keys", v)
		}
		b.must(b.RewrapStreamKey(ctx, k.ID, "two", "four")) // by a node that was late
		if got, err := b.StreamKey(ctx, k.ID); err != nil || !got.Apart() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A stream's keys are destroyed when nothing else of it is left, and its row goes after them.
func TestRemoveDestroysKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		var destroyed []leat.StreamID
		var fail error
		cat := catalog.New(b.db, catalog.Options{Clock: b.clock, RemoveBatch: 3, DestroyKeys: func(_ context.Context, s leat.Stream) error {
			if shards, err := b.Shards(ctx, s.ID); err != nil || len(shards) > 0 || s.Status != leat.StreamDeleting || s.Name != "s" {
				t.Errorf("destroyed with %d shards: %+v, %v", len(shards), s, err)
			}
			destroyed = append(destroyed, s.ID)
			return fail
		}})
		st, other := b.stream("s", 2), b.stream("other", 1)
		for _, s := range []leat.Stream{st, other} {
			b.must(b.ActivateStream(ctx, s.ID))
		}
		k, kept := newKey(st, "one"), newKey(other, "kept")
		_, err := b.StartEncryption(ctx, k, "k")
		b.must(err)
		_, err = b.StartEncryption(ctx, kept, "k")
		b.must(err)
		b.want(cat.RemoveStream(ctx, st.ID), leat.KindInUse, "")
		if len(destroyed) != 0 {
			t.Error("keys of a stream were destroyed that is not deleted")
		}
		b.must(b.BeginDelete(ctx, st.ID, false))
		fail = leat.Errorf(leat.KindUnavailable, "the bucket is away")
		for range 2 {
			if err := cat.RemoveStream(ctx, st.ID); leat.KindOf(err) != leat.KindUnavailable {
				t.Errorf("removed: %v", err)
			}
			if _, err := b.StreamKey(ctx, k.ID); err != nil {
				t.Errorf("the key's name went before the key: %v", err)
			}
			if s, err := b.StreamByID(ctx, st.ID); err != nil || s.Status != leat.StreamDeleting {
				t.Errorf("%+v, %v", s, err)
			}
		}
		fail = nil
		b.must(cat.RemoveStream(ctx, st.ID))
		b.must(cat.RemoveStream(ctx, st.ID))
		if len(destroyed) != 3 {
			t.Errorf("asked %d times to destroy", len(destroyed))
		}
		kept.Wrapped = journal.KeptApart
		if all, err := b.StreamKeys(ctx); err != nil || len(all) != 1 || all[0] != kept {
			t.Errorf("after the stream is gone: %+v, %v", all, err)
		}
	})
}
