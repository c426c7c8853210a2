// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/masterkey"
)

func masterKeys(t *testing.T, of ...string) *masterkey.Ring {
	t.Helper()
	var lines []string
	for _, c := range of {
		lines = append(lines, masterkey.Generate(strings.NewReader(strings.Repeat(c, 64))))
	}
	m, err := masterkey.Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// When the master key is replaced, the secrets of every configuration follow: present and former ones, those of backfills, in the
// tables and in the journal. Then the old key is needed no more.
func TestSecretsFollowTheMasterKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	s3 := r.config.S3
	own := func(prefix string) spec.Config {
		return r.toBucket("s", func(c *spec.Config) {
			c.Naming.Prefix = prefix
			c.Destination.S3.Endpoint, c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = s3.Endpoint, r.store.AccessKey, spec.Secret(r.store.SecretKey)
		})
	}
	r.deliver("d", own("first/"))
	r.put("s", "one")
	r.settled("d", 1)
	second := own("second/")
	_, err := r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: spec.Change{Config: &second}})
	r.must(err)
	_, err = r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "d", From: time.Now().Add(-time.Hour), Prefix: "again/"})
	r.must(err)
	r.kill()
	r.config.S3 = delivery.S3{} // there is no other way to the bucket

	old, both, fresh := masterKeys(t, "k"), masterKeys(t, "n", "k"), masterKeys(t, "n")
	secrets := func(where string, is *masterkey.Ring) (n int) {
		t.Helper()
		state := journal.NewState()
		for e, err := range r.journal.Entries(t.Context()) {
			r.must(err)
			r.must(state.Apply(e))
		}
		var all []journal.Delivery
		r.must(r.config.DB.View(t.Context(), func(tx *sqldb.Tx) (err error) {
			all, err = delivery.Journaled{}.All(tx)
			return err
		}))
		for _, d := range all {
			for _, c := range d.Configs {
				n++
				if !is.Current(c.Secrets) {
					t.Errorf("%s: configuration %d of track %q is wrapped under another master key: %.40s", where, c.Version, c.Track, c.Secrets)
				}
				if j := state.Deliveries[d.ID].Configs; len(j) != len(d.Configs) || !hasConfig(j, c) {
					t.Errorf("%s: the journal has other secrets than the table", where)
				}
			}
		}
		return n
	}
	if n := secrets("before", old); n != 3 {
		t.Fatalf("%d configurations have secrets, want 3: two of the delivery and its backfill's", n)
	}
	r.config.Master = both
	r.start()
	r.must(r.engine.Rewrap(t.Context()))
	r.must(r.engine.Rewrap(t.Context())) // nothing is left to do
	secrets("after", fresh)
	r.kill()

	r.config.Master = fresh
	r.start()
	r.must(r.engine.Rewrap(t.Context()))
	r.put("s", "two")
	r.settled("d", 2)
	delivered := r.lines("first/")
	maps.Copy(delivered, r.lines("second/"))
	r.once(delivered, []string{"one", "two"})
	r.until("the backfill is done", func() bool { return len(r.lines("again/")) == 2 || len(r.lines("again/")) == 1 })
	r.kill()

	// With a key that opens nothing the server starts all the same, and changes nothing.
	r.config.Master = masterKeys(t, "z")
	r.start()
	r.must(r.engine.Rewrap(t.Context()))
	secrets("under a wrong key", fresh)
}

func hasConfig(all []journal.DeliveryConfig, c journal.DeliveryConfig) bool {
	for _, o := range all {
		if o.Track == c.Track && o.Version == c.Version {
			return o.Secrets == c.Secrets
		}
	}
	return false
}
