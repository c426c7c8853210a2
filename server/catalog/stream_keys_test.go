// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
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

func TestRewrapAndRemoveStreamKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st, other := b.stream("s", 1), b.stream("other", 1)
		for _, s := range []leat.Stream{st, other} {
			b.must(b.ActivateStream(ctx, s.ID))
		}
		k, kept := newKey(st, "one"), newKey(other, "kept")
		_, err := b.StartEncryption(ctx, k, "k")
		b.must(err)
		_, err = b.StartEncryption(ctx, kept, "k")
		b.must(err)
		b.must(b.RewrapStreamKey(ctx, k.ID, "one", "two"))
		b.must(b.RewrapStreamKey(ctx, k.ID, "one", "three")) // somebody was faster
		if got, err := b.StreamKey(ctx, k.ID); err != nil || got.Wrapped != "two" {
			t.Errorf("%+v, %v", got, err)
		}
		b.must(b.BeginDelete(ctx, st.ID, false))
		if _, err := b.StreamKey(ctx, k.ID); err != nil {
			t.Errorf("the key went before its stream: %v", err)
		}
		b.must(b.RemoveStream(ctx, st.ID))
		all, err := b.StreamKeys(ctx)
		b.must(err)
		if len(all) != 1 || all[0] != kept {
			t.Errorf("after the stream is gone: %+v", all)
		}
	})
}
