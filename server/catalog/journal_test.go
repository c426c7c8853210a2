// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

// journaled is a bundle whose catalog has a journal.
type journaled struct {
	*bundle
	bucket *fault.Store
	log    *journal.Log
	begun  bool // whether sessions have left something in the bucket
}

func withJournal(b *bundle) *journaled {
	b.t.Helper()
	j := &journaled{bundle: b, bucket: fault.New(mem.New(nil), nil)}
	j.log = journal.New(j.bucket, func(context.Context, leat.SessionID) (bool, error) { return j.begun, nil })
	b.Catalog = catalog.New(b.db, catalog.Options{Clock: b.clock, RemoveBatch: 3, Journal: j.log})
	_, err := b.Cluster(b.t.Context())
	b.must(err)
	return j
}

// folded is what the journal comes to, without what it does not keep up to date.
func (j *journaled) folded() *journal.State {
	j.t.Helper()
	s := journal.NewState()
	for e, err := range j.log.Entries(j.t.Context()) {
		j.must(err)
		j.must(s.Apply(e))
	}
	return s
}

// plain is a state as text: without what changes with every owner and every pack, for which there are other sources.
func (j *journaled) plain(s *journal.State) string {
	j.t.Helper()
	for _, st := range s.Streams {
		st.Head.Stream.Version = 0
		for i := range st.Head.Intents { // an intent that was given up need not be
			st.Head.Intents[i].State = ""
		}
		for o, sh := range st.Shards {
			sh.Next, sh.LastTime, sh.Epoch, sh.Owner, sh.Horizon = 0, 0, 0, leat.SessionID{}, 0
			st.Shards[o] = sh
		}
	}
	for account, a := range s.Accounts {
		if len(a.Settings) == 0 && len(a.AccessKeys) == 0 {
			delete(s.Accounts, account)
		}
	}
	for id, o := range s.Sessions {
		o.Below = 0
		s.Sessions[id] = o
	}
	b, err := json.MarshalIndent(s, "", " ")
	j.must(err)
	return string(b)
}

// agrees checks that the journal has what the catalog has, and that a second fold of the state changes nothing.
func (j *journaled) agrees() {
	j.t.Helper()
	e, err := j.Entire(j.t.Context())
	j.must(err)
	want := journal.NewState()
	j.must(want.Apply(e))
	if got, want := j.plain(j.folded()), j.plain(want); got != want {
		j.t.Fatalf("the journal and the catalog differ\njournal %s\ncatalog %s", got, want)
	}
}

// Whatever commits, answers or writes to the bucket are lost, the journal has what the catalog has once it has caught
// up, and what was told as done, or as certainly not done, is so.
func TestJournalHasWhatTheCatalogHas(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onBoth(t, func(t *testing.T, b *bundle) {
		r := rand.New(rand.NewPCG(seed, 1))
		j := withJournal(b)
		w := &walk{journaled: j, r: r, want: map[string]bool{}}
		for step := range 300 {
			w.step(step)
			if step%50 == 49 {
				j.bucket.SetHook(nil)
				j.bucket.ReleaseAll(t.Context())
				j.link.cut("")
				j.must(j.CatchUp(t.Context()))
				j.agrees()
			}
		}
		w.check()
		if w.unknown == 0 || w.refused == 0 {
			t.Errorf("%d unknown outcomes, %d refusals: the faults did not come through", w.unknown, w.refused)
		}
	})
}

// walk changes a catalog at random under faults.
type walk struct {
	*journaled
	r                *rand.Rand
	names            int
	streams          []leat.Stream
	want             map[string]bool // tags of the first stream that must be there, or must not
	unknown, refused int
}

func (w *walk) step(i int) {
	ctx := w.t.Context()
	w.clock.advance(time.Millisecond)
	if len(w.streams) == 0 {
		w.streams = append(w.streams, w.stream("first", 2))
	}
	w.faults()
	s := w.streams[w.r.IntN(len(w.streams))]
	var err error
	switch w.r.IntN(13) {
	case 0:
		w.names++
		var made leat.Stream
		if made, err = w.CreateStream(ctx, spec(fmt.Sprintf("s%d", w.names), 1+w.r.IntN(3))); err == nil {
			w.streams = append(w.streams, made)
		}
	case 1:
		err = w.ActivateStream(ctx, s.ID)
	case 2, 3:
		tag := fmt.Sprintf("t%d", i)
		err = w.AddTags(ctx, catalog.Resource{Stream: w.streams[0].ID}, map[string]string{tag: "v"})
		w.told(tag, err)
		if err == nil && i%2 == 0 { // there is room for 50
			err = w.RemoveTags(ctx, catalog.Resource{Stream: w.streams[0].ID}, []string{tag})
			delete(w.want, tag)
		}
	case 4:
		_, err = w.RegisterConsumer(ctx, catalog.NewConsumer{Stream: s.ID, Name: fmt.Sprintf("c%d", i%7), Active: w.clock.Now()})
	case 5:
		err = w.DeregisterConsumer(ctx, s.ID, fmt.Sprintf("c%d", i%7), 0)
	case 6:
		_, err = w.BeginReshard(ctx, s.ID, catalog.Split(0, leat.HashKey{Hi: 1 << 60}))
	case 7:
		err = w.finish(ctx, s.ID)
	case 8:
		_, err = w.AddAccessKey(ctx, catalog.StoredKey{AccessKey: leat.AccessKey{ID: fmt.Sprintf("K%d", i), Account: account, Active: true}, Wrapped: fmt.Sprint(i)})
	case 9:
		_, err = w.PutRole(ctx, leat.Role{Account: account, Name: fmt.Sprintf("r%d", i%5), Policy: fmt.Sprint(i)})
	case 10:
		err = w.DeleteRole(ctx, account, fmt.Sprintf("r%d", i%5))
	case 11:
		_, err = w.AddToken(ctx, catalog.StoredToken{Token: leat.Token{ID: fmt.Sprintf("T%d", i), Account: account, Active: true}, Hash: fmt.Sprint(i)})
	case 12:
		_, err = w.UpdateAccount(ctx, otherAccount, func(a *leat.Account) error {
			a.Name, a.Quotas.Shards = fmt.Sprint(i), int64(i)
			return nil
		})
	}
	switch leat.KindOf(err) {
	case leat.KindUnknownOutcome:
		w.unknown++
	case leat.KindUnavailable:
		w.refused++
	case leat.KindCorrupt, leat.KindInternal:
		if err != nil {
			w.t.Fatalf("step %d: %v", i, err)
		}
	}
}

// faults chooses what goes wrong in the next step.
func (w *walk) faults() {
	w.bucket.SetHook(nil)
	switch w.r.IntN(8) {
	case 0:
		w.link.cut("a")
	case 1:
		w.link.cut("b")
	case 2:
		w.link.cut("bbb")
	case 3:
		w.bucket.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse}, fault.Stat))
	case 4:
		w.bucket.SetHook(fault.Always(fault.Fault{Kind: fault.LoseAnswer}, fault.Create))
	case 5:
		w.bucket.SetHook(fault.Always(fault.Fault{Kind: fault.Late}, fault.Create))
	case 6:
		w.bucket.ReleaseAll(w.t.Context())
	}
}

func (w *walk) told(tag string, err error) {
	if err == nil {
		w.want[tag] = true
	} else if leat.KindOf(err) == leat.KindUnavailable {
		w.want[tag] = false
	}
}

// finish carries a stream's reshards out.
func (w *walk) finish(ctx context.Context, id leat.StreamID) error {
	pending, err := w.PendingReshards(ctx, id)
	for _, p := range pending {
		p.Time = leat.Micros(w.clock.Now())
		if err = w.FinishReshard(ctx, p); err != nil {
			return err
		}
	}
	return err
}

func (w *walk) check() {
	w.t.Helper()
	has := map[string]bool{}
	for _, tag := range w.folded().Streams[w.streams[0].ID].Head.Tags {
		has[tag.Name] = true
	}
	for tag, want := range w.want {
		if has[tag] != want {
			w.t.Errorf("tag %s: in the journal %v, told %v", tag, has[tag], want)
		}
	}
}

// While the bucket is away nothing of the control plane changes, and callers are told so.
func TestJournalBucketAway(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		j := withJournal(b)
		s := j.stream("s", 1)
		j.bucket.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse}))
		_, err := j.CreateStream(t.Context(), spec("other", 1))
		j.want(err, leat.KindUnavailable, "nothing was changed: the object store, which keeps a journal of all changes, does not answer: retry")
		if _, err := j.StreamByName(t.Context(), account, "other"); leat.KindOf(err) != leat.KindNotFound {
			t.Errorf("the stream: %v", err)
		}
		session := leat.NewID[leat.SessionID](nil)
		if err := j.OpenSession(t.Context(), catalog.Session{ID: session, Node: "n"}); leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("a session was opened: %v", err)
		}
		j.bucket.SetHook(nil)
		_, err = j.CreateStream(t.Context(), spec("other", 1))
		j.must(err)
		j.must(j.BeginDelete(t.Context(), s.ID, false))
		j.must(j.RemoveStream(t.Context(), s.ID))
		j.agrees()
	})
}

// A catalog that has forgotten its newest change takes it in from the bucket. One that has forgotten more, or a session
// that has left something in the bucket, is refused, also by its next change.
func TestJournalOlderCatalog(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		j := withJournal(b)
		s := j.stream("s", 2)
		j.must(j.SetBack(ctx, 1))
		j.must(j.CatchUp(ctx))
		j.agrees()
		j.must(j.SetBack(ctx, 1))
		j.must(j.AddTags(ctx, catalog.Resource{Stream: s.ID}, map[string]string{"a": "b"}))
		j.agrees()

		j.session()
		j.must(j.SetBack(ctx, 1))
		j.must(j.CatchUp(ctx)) // it is in the catalog: not forgotten

		j.must(j.SetBack(ctx, 2))
		for _, err := range []error{
			j.CatchUp(ctx),
			j.AddTags(ctx, catalog.Resource{Stream: s.ID}, map[string]string{"c": "d"}),
			j.OpenSession(ctx, catalog.Session{ID: leat.NewID[leat.SessionID](nil), Node: "n"}),
		} {
			if leat.KindOf(err) != leat.KindCorrupt {
				t.Errorf("an older catalog: %v", err)
			}
		}
	})
}

// A catalog that was set back to before a session was recovered is refused, though nothing else has changed: others may have its shards.
func TestJournalKnowsOfRecoveries(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		j := withJournal(b)
		j.stream("s", 2)
		clean, dead := j.session(), j.session()
		j.take(dead)
		before := j.folded().N
		j.must(j.CloseSession(ctx, shardstore.Closing{Session: clean}, true))
		if n := j.folded().N; n != before {
			t.Errorf("closing a session in order made %d entries", n-before)
		}
		j.fence(dead, 0)
		j.agrees()
		j.must(j.SetBack(ctx, int(j.folded().N-before)))
		if err := j.CatchUp(ctx); leat.KindOf(err) != leat.KindCorrupt {
			t.Errorf("a catalog of before the recovery: %v", err)
		}
	})
}

// An older program writes entries without what it does not know. The next one of a newer program has the whole state, and those
// after it have changes alone.
func TestJournalAfterAnOlderProgram(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		j := withJournal(b)
		s := j.stream("s", 2)
		full := func(tag string) bool {
			t.Helper()
			j.must(j.AddTags(ctx, catalog.Resource{Stream: s.ID}, map[string]string{tag: "x"}))
			e, err := j.log.Read(ctx, j.folded().N)
			j.must(err)
			return e.Full
		}
		if full("a") {
			t.Error("an entry after one of the same program is full")
		}
		j.must(j.AppendAsOlder(ctx))
		if !full("b") || full("c") {
			t.Error("want one full entry after one of an older program")
		}
		j.must(j.AppendAsNewer(ctx))
		if full("d") || full("e") {
			t.Error("an older program writes full entries after those of a newer one")
		}
		j.agrees()
	})
}

// A session whose opening was journaled and not committed: if it left anything in the bucket, it was committed once.
func TestJournalForgottenSession(t *testing.T) {
	for _, begun := range []bool{false, true} {
		t.Run(fmt.Sprint(begun), func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *bundle) {
				j := withJournal(b)
				j.stream("s", 1)
				j.begun = begun
				j.link.cut("bbbbbbbbbbbbbbbb") // the database takes nothing
				err := j.OpenSession(t.Context(), catalog.Session{ID: leat.NewID[leat.SessionID](nil), Node: "n"})
				if err == nil {
					t.Fatal("the session was opened")
				}
				j.link.cut("")
				if err := j.CatchUp(t.Context()); begun != (leat.KindOf(err) == leat.KindCorrupt && err != nil) {
					t.Errorf("a session that has begun %v: %v", begun, err)
				}
			})
		})
	}
}

// Before objects go, the journal says below which segment logs are packed, and where shards end that have nothing left.
func TestJournalMarksDeletions(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		j := withJournal(b)
		s := j.stream("s", 1)
		k := leat.ShardKey{Stream: s.ID}
		owner := j.session()
		j.take(owner)
		j.register(pack(owner, 0, 0, 3, extent(k, 1, 0, 5, "")))
		if keys, err := j.DueDeletions(ctx, 1, 10); err != nil || len(keys) > 0 {
			t.Errorf("deletions that are not due: %v %v", keys, err)
		}
		before := j.folded().N
		keys, err := j.DueDeletions(ctx, 2000, 10)
		j.must(err)
		j.same("due", keys, segment(owner, 0), segment(owner, 1), segment(owner, 2))
		st := j.folded()
		if st.N != before+2 || st.Sessions[owner].Below != 3 {
			t.Errorf("entry %d after %d; the session is packed below %d", st.N, before, st.Sessions[owner].Below)
		}
		j.must(j.Deleted(ctx, keys))
		j.must(j.AdvanceHorizon(ctx, k, 1, 5, 1000))
		if keys, err = j.DueDeletions(ctx, 2000, 10); err != nil || len(keys) != 1 {
			t.Errorf("the pack: %v %v", keys, err)
		}
		if end := j.folded().Streams[s.ID].Shards[0].Next; end != 5 {
			t.Errorf("the journal has %d as the end of an empty shard", end)
		}
		j.bucket.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse}))
		if _, err = j.DueDeletions(ctx, 2000, 10); leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("deletions without a journal: %v", err)
		}
	})
}

// A catalog that was found to be older than its sessions is refused from then on, though the journal has nothing that it
// does not know: by its own next change, and by whoever starts.
func TestJournalDisownedCatalog(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		j := withJournal(b)
		s := j.stream("s", 2)
		j.must(j.CatchUp(ctx))
		for range 2 { // by two nodes
			j.must(j.Disown(ctx))
			for _, err := range []error{j.CatchUp(ctx), j.AddTags(ctx, catalog.Resource{Stream: s.ID}, map[string]string{"a": "b"})} {
				if leat.KindOf(err) != leat.KindCorrupt || !strings.Contains(err.Error(), "leat rebuild") {
					t.Errorf("a disowned catalog: %v", err)
				}
			}
		}
		j.folded() // what a rebuild reads
	})
}
