// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

func (r *rig) waits(name, why string) {
	r.t.Helper()
	r.until("the delivery waits: "+why, func() bool {
		d, err := r.broker.DescribeDelivery(r.t.Context(), who, name)
		return err == nil && len(d.Shards) > 0 && strings.Contains(d.Shards[0].Reason, why)
	})
}

// horizon is where the only shard of a stream begins.
func (r *rig) horizon(stream string) uint64 {
	r.t.Helper()
	d, err := r.broker.DescribeStream(r.t.Context(), who, broker.DescribeStreamRequest{Stream: stream})
	r.must(err)
	b, err := r.node.Bounds(r.t.Context(), leat.ShardKey{Stream: d.Stream.ID})
	r.must(err)
	return b.Horizon
}

// A delivery that asks for it has its records kept beyond the stream's retention, and no longer than it asked for.
func TestHoldRetention(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, stream := range []string{"held", "not"} {
		r.stream(stream, 1)
	}
	r.must(r.s3.RemoveBucket(t.Context(), r.bucket))
	hold := func(c *spec.Config) { c.HoldSeconds = int((48 * time.Hour).Seconds()) }
	r.deliver("held", r.toBucket("held", hold))
	r.deliver("not", r.toBucket("not", func(c *spec.Config) { c.Naming.Prefix = "not/" }))
	records := numbered("a", 100)
	for _, stream := range []string{"held", "not"} {
		r.put(stream, records...)
		r.waits(stream, "NoSuchBucket")
	}
	r.later(25 * time.Hour)
	if held, not := r.horizon("held"), r.horizon("not"); held != 0 || not != 100 {
		t.Fatalf("after 25 h: the held stream begins at %d, the other at %d", held, not)
	}
	again := numbered("b", 50)
	r.put("held", again...)
	r.later(23 * time.Hour) // the first are 48 h old, of 24 + 48
	if at := r.horizon("held"); at != 0 {
		t.Fatalf("after 48 h the held stream begins at %d", at)
	}
	r.later(24*time.Hour + time.Minute) // the first are older than 72 h, the others 47 h
	r.until("what is older than the hold goes", func() bool {
		r.must(r.node.Store().Housekeep(t.Context()))
		return r.horizon("held") == 100
	})
	r.must(r.s3.MakeBucket(t.Context(), r.bucket, minio.MakeBucketOptions{}))
	r.settled("held", 150)
	r.once(r.lines("data/"), again)
	if rep := r.clean("held", 150); rep.Stored != 50 || rep.Expired != 100 {
		t.Errorf("verify: %+v", rep)
	}
	r.settled("not", 100)
	if rep := r.clean("not", 100); rep.Expired != 100 {
		t.Errorf("verify: %+v", rep)
	}
}

// A node whose master key does not open the secrets of a delivery keeps what that has not delivered all the same, and says why
// it does not go on. With the key it delivers it.
func TestHoldRetentionWithoutTheMasterKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.stream("free", 1)
	r.must(r.s3.RemoveBucket(t.Context(), r.bucket))
	s3 := r.config.S3
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.HoldSeconds = int((48 * time.Hour).Seconds())
		c.Destination.S3.Endpoint, c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = s3.Endpoint, r.store.AccessKey, spec.Secret(r.store.SecretKey)
	}))
	records := numbered("a", 100)
	r.put("s", records...)
	r.waits("d", "NoSuchBucket")
	r.kill()
	r.must(r.s3.MakeBucket(t.Context(), r.bucket, minio.MakeBucketOptions{}))

	right := r.config.Master
	r.config.Master = masterKeys(t, "z")
	r.start()
	other, err := r.cat.StreamByName(t.Context(), account, "free")
	r.must(err)
	r.until("it knows what is delivered", func() bool {
		_, held := r.engine.Hold(other.ID)
		return !held
	})
	r.later(25 * time.Hour)
	if at := r.horizon("s"); at != 0 {
		t.Fatalf("after 25 h the stream begins at %d", at)
	}
	r.until("the delivery says what is missing", func() (says bool) {
		r.must(r.db.View(t.Context(), func(tx *sqldb.Tx) error {
			var reason string
			err := tx.Row("SELECT reason FROM delivery_cursors").Scan(&reason)
			says = strings.Contains(reason, "wrapped under master key")
			return err
		}))
		return says
	})
	r.kill()

	r.config.Master = right
	r.start()
	r.settled("d", 100)
	r.once(r.lines("data/"), records)
	r.clean("d", 100)
}

// Of a delivery stream that cannot be read at all nobody knows whether it holds retention, so everything is kept.
func TestHoldRetentionOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.stream("free", 1)
	r.deliver("d", r.toBucket("s"))
	s, err := r.cat.StreamByName(t.Context(), account, "s")
	r.must(err)
	other, err := r.cat.StreamByName(t.Context(), account, "free")
	r.must(err)
	r.until("nothing is held", func() bool {
		_, held := r.engine.Hold(s.ID)
		return !held
	})
	r.kill()
	r.must(r.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE delivery_configs SET config = '{'")
		return err
	}))
	r.start()
	r.until("it knows what is delivered", func() bool {
		_, held := r.engine.Hold(other.ID)
		return !held
	})
	if from, held := r.engine.Hold(s.ID); from != 0 || !held {
		t.Errorf("held from %d on, %v", from, held)
	}
}

// blind is the directory of a node that starts: it does not know a stream yet.
type blind struct{ delivery.Directory }

func (blind) Stream(leat.StreamID) (leat.Stream, bool) { return leat.Stream{}, false }

func (blind) Shards(leat.StreamID) []leat.Shard { return nil }

// Of a stream that the directory does not know yet everything is kept for a delivery that holds retention.
func TestHoldRetentionBeforeTheStreamIsKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, stream := range []string{"s", "free"} {
		r.stream(stream, 1)
	}
	r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.HoldSeconds = int((48 * time.Hour).Seconds()) }))
	held, err := r.cat.StreamByName(t.Context(), account, "s")
	r.must(err)
	free, err := r.cat.StreamByName(t.Context(), account, "free")
	r.must(err)
	starts := r.another(func(c *delivery.Config) {
		c.Directory = blind{c.Directory}
		c.Owns = func(leat.ShardKey) (uint64, bool) { return 0, false }
	})
	ctx, stop := context.WithCancel(context.Background())
	var life sync.WaitGroup
	life.Go(func() { _ = starts.Run(ctx) })
	t.Cleanup(func() {
		stop()
		life.Wait()
	})
	r.until("it knows what is delivered", func() bool {
		_, held := starts.Hold(free.ID)
		return !held
	})
	if from, ok := starts.Hold(held.ID); from != 0 || !ok {
		t.Errorf("held from %d on, %v", from, ok)
	}
}

// outage takes four objects, and from when they are written until it is over no more.
type outage struct {
	puts, done atomic.Int64
	begun      chan struct{}
	over       atomic.Bool
}

func (o *outage) RoundTrip(req *http.Request) (*http.Response, error) {
	const first = 4
	if req.Method != http.MethodPut || o.over.Load() {
		return http.DefaultTransport.RoundTrip(req)
	}
	if o.puts.Add(1) > first {
		<-o.begun
		return nil, errors.New("outage: connection reset")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if o.done.Add(1) == first {
		close(o.begun)
	}
	return resp, err
}

// A plan is carried out again when a part of its records has expired, and a part of its objects stands: what is left goes
// where it would have gone, and nothing is there twice.
func TestRecordsExpireBetweenTries(t *testing.T) {
	t.Parallel()
	for _, unsteady := range []bool{false, true} {
		t.Run(fmt.Sprintf("unsteady=%v", unsteady), func(t *testing.T) {
			out := &outage{begun: make(chan struct{})}
			r := newRig(t, compile(keys{unsteady: unsteady}), func(c *delivery.Config) { c.S3.Transport = out })
			r.stream("s", 1)
			var old, young []string
			for i := range 40 {
				old = append(old, fmt.Sprintf("w%d:old %d", i%10, i))
				young = append(young, fmt.Sprintf("w%d:young %d", i%11, i)) // of one partition there is nothing old
			}
			r.put("s", append(old, "poison:1", "drop:1")...)
			r.later(2 * time.Hour)
			r.put("s", young...)
			change := func(c *spec.Config) {
				if unsteady {
					c.Transforms = []spec.Transform{{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "http://transform.example"}}}
				}
			}
			r.deliver("d", r.toBucket("s", partitioned(100), change))
			r.waits("d", "connection reset")
			r.later(23 * time.Hour)
			if at := r.horizon("s"); at != 42 {
				t.Fatalf("the stream begins at %d", at)
			}
			out.over.Store(true)
			r.settled("d", 82)
			got := map[string]int{}
			for line, n := range r.lines("data/") {
				line, _, _ = strings.Cut(line, " at ")
				got[line] += n
			}
			stored := 0
			for _, line := range append(old, young...) {
				if got[line] > 1 {
					t.Errorf("%q is there %d times", line, got[line])
				}
				stored += got[line]
			}
			for _, line := range young {
				if got[line] != 1 {
					t.Errorf("%q is there %d times", line, got[line])
				}
			}
			rep := r.clean("d", 82)
			if rep.Stored != uint64(stored) || stored <= 40 || stored >= 80 || rep.Expired != uint64(82-stored) {
				t.Errorf("%d records are stored; verify: %+v", stored, rep)
			}
		})
	}
}

// A shard with a cursor that the catalog does not have was removed, unless its stream is being resharded: then another node
// may know a child whose record is durable before the catalog is told, and its records are all still to come.
func TestShardThatTheCatalogDoesNotHaveYet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	s, err := r.cat.StreamByName(t.Context(), account, "s")
	r.must(err)
	for _, c := range []struct {
		status leat.StreamStatus
		gone   []uint64
	}{{leat.StreamActive, []uint64{1}}, {leat.StreamUpdating, nil}, {leat.StreamActive, []uint64{1}}} {
		var gone []uint64
		r.until("the status stands while it is asked", func() bool { // the node brings a stream to rest of which nothing is to be done
			r.must(r.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec("UPDATE streams SET status = $2 WHERE id = $1", s.ID, string(c.status))
				return err
			}))
			var err error
			gone, err = r.engine.Gone(t.Context(), &spec.Delivery{Stream: s.ID}, 0, 1)
			r.must(err)
			now, err := r.cat.StreamByID(t.Context(), s.ID)
			r.must(err)
			return now.Status == c.status
		})
		if !slices.Equal(gone, c.gone) {
			t.Errorf("of a stream that is %s: %v, want %v", c.status, gone, c.gone)
		}
	}
}

// While a delivery waits, its shards are split and merged, and retention takes their records and then the shards. It goes
// on with the shard that is left, and says what it lost.
func TestShardsThatAreNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.must(r.s3.RemoveBucket(t.Context(), r.bucket))
	r.deliver("d", r.toBucket("s"))
	r.put("s", numbered("a", 100)...)
	r.waits("d", "NoSuchBucket") // with a plan at its cursor
	_, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "d", From: r.clock.Now().Add(-time.Hour), To: r.clock.Now().Add(time.Hour), Prefix: "again/"})
	r.must(err)
	for i, shards := range []int{2, 1} {
		_, err := r.broker.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: shards})
		r.must(err)
		r.until("it is scaled", func() bool {
			d, err := r.broker.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: "s"})
			return err == nil && d.Stream.Status == leat.StreamActive && d.Stream.OpenShards == shards
		})
		if i == 0 {
			r.put("s", numbered("b", 60)...)
		}
	}
	r.later(25 * time.Hour)
	r.put("s", "fresh")
	r.until("closed shards are forgotten", func() bool {
		_, err := r.cat.ExpireShards(t.Context())
		r.must(err)
		r.broker.Directory().Changed(t.Context())
		s, err := r.cat.StreamByName(t.Context(), account, "s")
		r.must(err)
		return len(r.broker.Directory().Shards(s.ID)) == 1
	})
	r.waits("d", "HEAD data/") // a try that has read no records any more: one before may still put them
	r.must(r.s3.MakeBucket(t.Context(), r.bucket, minio.MakeBucketOptions{}))
	// Of the shards in between, which the delivery never reached, nothing is known.
	var rep spec.Report
	r.until("the last shard is delivered", func() bool {
		rep = r.verify("d")
		return rep.Records == 101
	})
	r.once(r.lines("data/"), []string{"fresh"})
	if !rep.Clean || rep.Expired != 100 || rep.Stored != 1 || rep.Records != 101 {
		t.Errorf("verify: %+v", rep)
	}
	r.until("what was delivered again of a shard that is no more is over", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Backfills) == 1 && d.Backfills[0].Done
	})
	d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
	r.must(err)
	if last := d.Shards[len(d.Shards)-1]; last.Reason != "" || last.Next != 1 {
		t.Errorf("the last shard: %+v", last)
	}
}
