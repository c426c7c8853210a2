// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
)

// tags lists the tags of a resource as name=value.
func (b *bundle) tags(r catalog.Resource) (out []string) {
	b.t.Helper()
	all, err := b.ListTags(b.t.Context(), r, "", leat.MaxTags+1)
	b.must(err)
	for _, t := range all {
		out = append(out, t.Name+"="+t.Value)
	}
	return out
}

// count counts what a table holds of a stream.
func (b *bundle) count(table string, stream leat.StreamID) (n int) {
	b.t.Helper()
	b.must(b.db.View(b.t.Context(), func(tx *sqldb.Tx) error {
		return tx.Row("SELECT count(*) FROM "+table+" WHERE stream = $1", stream).Scan(&n)
	}))
	return n
}

func (b *bundle) consumer(stream leat.StreamID, name string, tags map[string]string) leat.Consumer {
	b.t.Helper()
	c, err := b.RegisterConsumer(b.t.Context(), catalog.NewConsumer{Stream: stream, Name: name, Active: b.clock.now, Tags: tags})
	b.must(err)
	return c
}

func TestTags(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		made := spec("s", 1)
		made.Tags = map[string]string{"b": "1", "B": "2"}
		b.link.cut("a-") // the answer is lost: the tags are not refused as there already
		st, err := b.CreateStream(ctx, made)
		b.must(err)
		b.must(b.ActivateStream(ctx, st.ID))
		c := b.consumer(st.ID, "c", map[string]string{"of": "c"})
		stream, consumer := catalog.Resource{Stream: st.ID}, catalog.Resource{Stream: st.ID, Consumer: "c", Created: c.Created.Unix()}

		b.link.cut("ab-")
		b.must(b.AddTags(ctx, stream, map[string]string{"b": "new", "ä": ""}))
		b.same("tags of the stream", b.tags(stream), "B=2", "b=new", "ä=")
		b.same("tags of the consumer", b.tags(consumer), "of=c")
		page, err := b.ListTags(ctx, stream, "B", 1)
		b.must(err)
		if len(page) != 1 || page[0] != (catalog.Tag{Name: "b", Value: "new"}) {
			t.Errorf("page %v", page)
		}
		b.must(b.RemoveTags(ctx, stream, []string{"B", "none"}))
		b.must(b.RemoveTags(ctx, stream, []string{"B"}))
		b.same("tags left", b.tags(stream), "b=new", "ä=")

		full := map[string]string{}
		for i := range leat.MaxTags - 2 {
			full[fmt.Sprint("n", i)] = "v"
		}
		b.must(b.AddTags(ctx, stream, full))
		b.want(b.AddTags(ctx, stream, map[string]string{"one": "more", "b": "lost"}), leat.KindInvalidArgument, "")
		if all := b.tags(stream); len(all) != leat.MaxTags || !slices.Contains(all, "b=new") {
			t.Errorf("a refused change was made: %v", all)
		}

		wrong := consumer
		wrong.Created++
		for _, r := range []catalog.Resource{{Stream: leat.StreamID{1}}, {Stream: st.ID, Consumer: "none"}, wrong} {
			b.want(b.AddTags(ctx, r, map[string]string{"a": "b"}), leat.KindNotFound, "")
			b.want(b.RemoveTags(ctx, r, []string{"a"}), leat.KindNotFound, "")
			_, err := b.ListTags(ctx, r, "", 1)
			b.want(err, leat.KindNotFound, "")
		}
	})
}

func TestPolicies(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 1)
		b.consumer(st.ID, "c", nil)
		for _, r := range []catalog.Resource{{Stream: st.ID}, {Stream: st.ID, Consumer: "c"}} {
			if p, err := b.Policy(ctx, r); p != "" || err != nil {
				t.Errorf("no policy is %q, %v", p, err)
			}
			b.must(b.PutPolicy(ctx, r, "one"))
			b.must(b.PutPolicy(ctx, r, "two "+r.Consumer))
			if p, err := b.Policy(ctx, r); p != "two "+r.Consumer || err != nil {
				t.Errorf("policy %q, %v", p, err)
			}
		}
		b.link.cut("a-") // the second run finds nothing, and knows that the first one did
		if there, err := b.DeletePolicy(ctx, catalog.Resource{Stream: st.ID}); !there || err != nil {
			t.Errorf("deleted: %v, %v", there, err)
		}
		if there, err := b.DeletePolicy(ctx, catalog.Resource{Stream: st.ID}); there || err != nil {
			t.Errorf("deleted twice: %v, %v", there, err)
		}
		_, err := b.Policy(ctx, catalog.Resource{Stream: st.ID, Consumer: "none"})
		b.want(err, leat.KindNotFound, "")
		b.want(b.PutPolicy(ctx, catalog.Resource{Stream: leat.StreamID{1}}, "p"), leat.KindNotFound, "")
	})
}

// Tags and policies go with what they are about, and do not come back with another one of its name.
func TestResourcesGo(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 2)
		stream, consumer := catalog.Resource{Stream: st.ID}, catalog.Resource{Stream: st.ID, Consumer: "c"}
		b.consumer(st.ID, "c", nil)
		for _, r := range []catalog.Resource{stream, consumer} {
			b.must(b.AddTags(ctx, r, map[string]string{"a": "b"}))
			b.must(b.PutPolicy(ctx, r, "p"))
		}
		b.must(b.DeregisterConsumer(ctx, st.ID, "c", 0))
		b.consumer(st.ID, "c", nil)
		p, err := b.Policy(ctx, consumer)
		b.must(err)
		if len(b.tags(consumer)) != 0 || p != "" || len(b.tags(stream)) != 1 {
			t.Errorf("the new consumer has tags %v and policy %q; the stream %v", b.tags(consumer), p, b.tags(stream))
		}
		_, err = b.SetTargetShards(ctx, st.ID, 3, nil)
		b.must(err)
		b.must(b.AddTags(ctx, consumer, map[string]string{"a": "b"}))
		b.must(b.BeginDelete(ctx, st.ID, true))
		b.want(b.AddTags(ctx, stream, map[string]string{"c": "d"}), leat.KindInUse, "Stream s under account 123456789012 not ACTIVE, instead in state DELETING")
		b.want(b.PutPolicy(ctx, stream, "q"), leat.KindInUse, "")
		b.must(b.RemoveStream(ctx, st.ID))
		for _, table := range []string{"tags", "policies", "scale_calls", "consumers"} {
			if n := b.count(table, st.ID); n != 0 {
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
}

func TestAccountSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		if s, err := b.AccountSettings(ctx, account); err != nil || s != (catalog.AccountSettings{}) {
			t.Errorf("an account begins with %+v, %v", s, err)
		}
		start := time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC)
		b.link.cut("a-")
		_, err := b.UpdateAccountSettings(ctx, account, func(s *catalog.AccountSettings) { s.CommitmentStart = start })
		b.must(err)
		set, err := b.UpdateAccountSettings(ctx, account, func(s *catalog.AccountSettings) { s.CommitmentEnd = s.CommitmentStart.Add(time.Hour) })
		b.must(err)
		got, err := b.AccountSettings(ctx, account)
		b.must(err)
		if want := (catalog.AccountSettings{CommitmentStart: start, CommitmentEnd: start.Add(time.Hour)}); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(set, want) {
			t.Errorf("stored %+v, returned %+v", got, set)
		}
		if s, err := b.AccountSettings(ctx, "999999999999"); err != nil || s != (catalog.AccountSettings{}) {
			t.Errorf("another account has %+v, %v", s, err)
		}
	})
}
