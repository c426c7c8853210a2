// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore/blob/fault"
)

// forget makes the tables what a rebuild finds: what was asked for from the journal, and the rest from the ledger.
func (r *rig) forget() {
	r.t.Helper()
	write, err := delivery.Ledger(context.Background(), r.blobs)
	r.must(err)
	r.must(r.config.DB.Tx(context.Background(), func(tx *sqldb.Tx) error {
		for _, statement := range []string{
			"DELETE FROM delivery_plans", "DELETE FROM delivery_cursors WHERE ordinal > 1",
			"UPDATE delivery_cursors SET next_at = start_at, at_time = 0, plan = '', last = '', done = 0, epoch = 0, stop_at = CASE WHEN track = '' THEN -1 ELSE stop_at END",
		} {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return write(tx)
	}))
}

// Whatever step a delivery dies after, with the catalog, what the bucket knows is enough for every record to be in one
// object, and for verify to prove it from the first one on.
func TestTheCatalogIsLostAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []delivery.Step{delivery.StepPlanned, delivery.StepNamed, delivery.StepPut, delivery.StepWritten, delivery.StepCommitted} {
		for _, unsteady := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s unsteady=%v", step, unsteady), func(t *testing.T) {
				t.Parallel()
				var dying atomic.Bool
				crashed := make(chan struct{}, 1000)
				r := newRig(t, compile(keys{unsteady: unsteady}), func(c *delivery.Config) {
					c.Ledger = true
					c.Fault = func(s delivery.Step, _ string) error {
						if s != step || !dying.Load() {
							return nil
						}
						crashed <- struct{}{}
						return errors.New("struck")
					}
				})
				r.stream("s", 2)
				var records []string
				for i := range 900 {
					records = append(records, fmt.Sprintf("w%d:%d", i%5, i))
				}
				r.deliver("d", r.toBucket("s", partitioned(100), func(c *spec.Config) {
					c.Buffer.Merged = unsteady
					if unsteady {
						c.Transforms = []spec.Transform{{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "http://transform.example"}}}
					}
				}))
				for i := range 2 {
					r.put("s", records[i*200:(i+1)*200]...)
					r.settled("d", uint64(i+1)*200)
				}
				_, err := r.broker.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: 1})
				r.must(err)
				r.put("s", records[400:600]...)
				r.settled("d", 600)
				dying.Store(true)
				r.put("s", records[600:]...)
				<-crashed
				r.kill()
				dying.Store(false)
				r.forget()
				r.start()
				r.settled("d", 900)
				r.once(r.words("data/"), records)
				r.clean("d", 900)
				r.until("what is kept of transforms is the last plan's", func() bool { // those of shards that have ended are gone
					kept, err := r.blobs.List(t.Context(), "delivery/", "", 10)
					r.must(err)
					return len(kept) <= 1
				})
			})
		}
	}
}

// Records expire before they are delivered, and then the catalog is lost. The plan that was committed before them is known as such,
// also where the delivery died before the ledger had what expired.
func TestTheCatalogIsLostAfterRecordsExpired(t *testing.T) {
	t.Parallel()
	for _, entered := range []bool{true, false} {
		t.Run(fmt.Sprintf("entered=%v", entered), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, compile(keys{unsteady: true}), func(c *delivery.Config) { c.Ledger = true })
			records := r.expire(func() {
				if entered {
					return
				}
				var once sync.Once
				f := fault.New(r.blobs, func(op fault.Op, key string) (did fault.Fault) {
					if op == fault.Create && strings.HasPrefix(key, "deliveries/") {
						once.Do(func() { did.Kind = fault.Refuse })
					}
					return did
				})
				r.config.Blobs = f
			})
			kept, err := r.blobs.List(t.Context(), "delivery/", "", 10)
			r.must(err)
			if len(kept) != 1 { // that of the last plan
				t.Errorf("what is kept of transforms: %v", kept)
			}
			r.kill()
			r.forget()
			r.start()
			r.settled("d", 350)
			r.once(r.words("data/"), records)
			if rep := r.clean("d", 350); rep.Expired != 100 || rep.Pending != 0 {
				t.Errorf("verify: %+v", rep)
			}
		})
	}
}

// A ledger of a version that did not write down which plan was committed before records expired brings a catalog back all the same.
func TestAnOldLedgerAfterRecordsExpired(t *testing.T) {
	t.Parallel()
	r := newRig(t, compile(keys{unsteady: true}), func(c *delivery.Config) { c.Ledger = true })
	records := r.expire(func() {})
	r.kill()
	gone := r.rewriteLedger(func(entry map[string]any) {
		before, _ := entry["Before"].([]any)
		entry["Before"] = slices.DeleteFunc(before, func(p any) bool {
			next := entry["Plan"].(map[string]any)["Parts"].([]any)[0].(map[string]any)["first"]
			return next.(float64) >= 200 && p.(map[string]any)["State"] == "committed"
		})
	})
	if gone == 0 {
		t.Fatal("the ledger has no entry that was changed")
	}
	for range 2 { // the ledger keeps what lies before that
		r.kill()
		r.forget()
		r.start()
		r.settled("d", 150) // from what is known for sure
		r.once(r.words("data/"), records)
		if rep := r.clean("d", 150); rep.Expired != 100 || rep.Pending != 0 {
			t.Errorf("verify: %+v", rep)
		}
	}
}

// expire delivers 200 records, has 100 more expire before they are delivered, and delivers another 50. It returns those that are
// delivered. again is called before the delivery goes on.
func (r *rig) expire(again func()) []string {
	r.t.Helper()
	var records []string
	for i := range 350 {
		records = append(records, fmt.Sprintf("w%d:%d", i%5, i))
	}
	r.stream("s", 1)
	r.deliver("d", r.toBucket("s", partitioned(100), func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "http://transform.example"}}}
	}))
	r.put("s", records[:200]...)
	r.settled("d", 200)
	r.kill()
	r.put("s", records[200:300]...)
	r.later(25 * time.Hour)
	if at := r.horizon("s"); at != 300 {
		r.t.Fatalf("the stream begins at %d", at)
	}
	r.put("s", records[300:]...)
	again()
	r.start()
	r.settled("d", 350)
	return append(records[:200:200], records[300:]...)
}

// words are the lines of keys{unsteady: true}, without their times.
func (r *rig) words(prefix string) map[string]int {
	r.t.Helper()
	got := map[string]int{}
	for line, n := range r.lines(prefix) {
		line, _, _ = strings.Cut(line, " at ")
		got[line] += n
	}
	return got
}

// rewriteLedger changes the entries of the ledger, and returns how many became others.
func (r *rig) rewriteLedger(change func(entry map[string]any)) (changed int) {
	r.t.Helper()
	ctx := context.Background()
	entries, err := r.blobs.List(ctx, "deliveries/", "", 100)
	r.must(err)
	for _, info := range entries {
		text, err := r.blobs.Read(ctx, info.Key, 0, -1)
		r.must(err)
		_, body, _ := bytes.Cut(text, []byte("\n"))
		var entry map[string]any
		r.must(json.Unmarshal(body, &entry))
		was, err := json.Marshal(entry)
		r.must(err)
		change(entry)
		is, err := json.Marshal(entry)
		r.must(err)
		if bytes.Equal(was, is) {
			continue
		}
		changed++
		r.must(r.blobs.Delete(ctx, info.Key))
		r.must(r.blobs.Create(ctx, info.Key, fmt.Appendf(nil, "leat-delivery 1 %08x\n%s", crc32.Checksum(is, crc32.MakeTable(crc32.Castagnoli)), is)))
	}
	return changed
}

// While the ledger cannot be written no object is.
func TestNoObjectBeforeTheLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *delivery.Config) {
		c.Ledger = true
		f := fault.New(c.Blobs, nil)
		f.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse}, fault.Create))
		c.Blobs = f
	})
	r.stream("s", 1)
	r.put("s", "one")
	r.deliver("d", r.toBucket("s"))
	r.waits("d", "ledger")
	if n := len(r.objects("data/")); n != 0 {
		t.Errorf("%d objects are there", n)
	}
	r.kill()
	r.config.Blobs = r.blobs
	r.start()
	r.settled("d", 1)
	r.clean("d", 1)
}

// The journal has what was asked for, whatever was done to delivery streams, and applying it makes the same tables.
func TestTheJournalHasDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 2)
	for _, name := range []string{"a", "b", "gone", "direct"} {
		source := "s"
		if name == "direct" {
			source = ""
		}
		r.deliver(name, r.toBucket(source, func(c *spec.Config) {
			if s3 := r.config.S3; name == "a" {
				c.Destination.S3.Endpoint, c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = s3.Endpoint, r.store.AccessKey, spec.Secret(r.store.SecretKey)
			}
		}))
	}
	change := func(name string, ch spec.Change) {
		t.Helper()
		_, err := r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: name, Change: ch})
		r.must(err)
	}
	r.put("s", numbered("a", 10)...)
	r.settled("b", 10)
	other := r.toBucket("s", func(c *spec.Config) { c.Naming.Prefix = "other/" })
	change("b", spec.Change{Config: &other, SetTags: map[string]string{"team": "blue"}})
	change("b", spec.Change{State: spec.Paused})
	_, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "b", From: time.Now().Add(-time.Hour), Prefix: "again/"})
	r.must(err)
	r.must(r.broker.DeleteDelivery(t.Context(), who, "gone"))
	state := journal.NewState()
	for e, err := range r.journal.Entries(t.Context()) {
		r.must(err)
		r.must(state.Apply(e))
	}
	tables := func() map[string]string {
		var all []journal.Delivery
		r.must(r.config.DB.View(t.Context(), func(tx *sqldb.Tx) (err error) {
			all, err = delivery.Journaled{}.All(tx)
			return err
		}))
		return plain(t, all)
	}
	var journaled []journal.Delivery
	for _, d := range state.Deliveries {
		journaled = append(journaled, *d)
	}
	r.kill()
	want := tables()
	if got := plain(t, journaled); !maps.Equal(got, want) || len(want) != 3 {
		t.Fatalf("the journal has %v\nthe tables %v", got, want)
	}
	r.must(r.config.DB.Tx(t.Context(), func(tx *sqldb.Tx) error {
		for _, d := range journaled {
			for _, again := range []journal.Delivery{{ID: d.ID, Gone: true}, d, d} { // twice does no harm
				if err := (delivery.Journaled{}).Apply(tx, &again); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	if got := tables(); !maps.Equal(got, want) {
		t.Fatalf("applied, the tables are %v\nwant %v", got, want)
	}
}

// plain is deliveries as text, without what is not journaled: how far cursors are, and those that came by themselves.
func plain(t *testing.T, all []journal.Delivery) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range all {
		var cursors []journal.DeliveryCursor
		for _, c := range d.Cursors {
			c.Next, c.Time, c.Done = 0, 0, false
			if d.Head.Name != "direct" {
				cursors = append(cursors, c)
			}
		}
		slices.SortFunc(cursors, func(a, b journal.DeliveryCursor) int {
			return cmp.Or(cmp.Compare(a.Track, b.Track), cmp.Compare(a.Ordinal, b.Ordinal))
		})
		d.Cursors = cursors
		slices.SortFunc(d.Configs, func(a, b journal.DeliveryConfig) int {
			return cmp.Or(cmp.Compare(a.Track, b.Track), cmp.Compare(a.Version, b.Version))
		})
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		out[d.Head.Name] = string(text)
	}
	return out
}
