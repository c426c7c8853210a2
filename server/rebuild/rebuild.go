// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// Options is what a rebuild needs.
type Options struct {
	Catalog *catalog.Catalog // empty
	Cluster leat.ClusterID   // whose bucket it is
	Journal *journal.Log
	Driver  wal.Driver
	Blobs   blob.Store
	Clock   leat.Clock
	Rand    io.Reader // nil means crypto/rand
	// Deliveries reads how far deliveries are; nil: there are none.
	Deliveries func(ctx context.Context, blobs blob.Store) (catalog.Delivered, error)
	History    *History // nil: there is no backup
	Logger     *slog.Logger
}

// Report tells what was found.
type Report struct {
	Entries    uint64 // of the journal
	Deliveries int
	Streams    int
	Shards     int
	Packs      int
	Sessions   int // that ever were
	Extents    int
	Pending    int                  // shards of which segments hold records that are in no pack
	Problems   []shardstore.Problem // records that should be there and are not
	Replayed   int                  // entries of the journal that are newer than the backup
	Manifests  int                  // that were read, of sessions that were not over at the backup
}

// epochLeap is how far above the highest epoch that is seen in the bucket epochs begin. An owner that wrote nothing has
// left no trace of its epoch.
const epochLeap = 1 << 20

// Run fills an empty catalog. Nothing in the bucket is lost when it fails: it may be run again.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &run{o: o, shards: map[leat.ShardKey]*found{}, epochs: map[leat.ShardKey]uint64{}}
	for _, step := range []func(context.Context) error{
		o.Catalog.Empty, r.readJournal, r.judgeHistory, r.announce, r.endSessions, r.readPacks, r.readHistory, r.write,
	} {
		if err := step(ctx); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// run is one rebuild.
type run struct {
	o         Options
	state     *journal.State
	closings  []shardstore.Closing
	resharded []leat.ShardKey             // by reshards of which the journal does not have the outcome
	segments  map[leat.SessionID][]uint64 // that stand
	shards    map[leat.ShardKey]*found
	epochs    map[leat.ShardKey]uint64 // the highest seen
	metered   metered
	report    Report
}

func (r *run) readJournal(ctx context.Context) error {
	r.state = journal.NewState()
	for e, err := range r.o.Journal.Entries(ctx) {
		if err != nil {
			return err
		}
		if err := r.state.Apply(e); err != nil {
			return err
		}
	}
	if r.state.N == 0 {
		return leat.Errorf(leat.KindNotFound, "the bucket has no journal, from which streams could be made anew: no server with a journal ever ran on it (is it the right bucket and prefix?)")
	}
	if r.state.Cluster != r.o.Cluster {
		return leat.Errorf(leat.KindCorrupt, "the bucket's journal is of cluster %s, the bucket of %s", r.state.Cluster, r.o.Cluster)
	}
	r.report.Entries = r.state.N
	return nil
}

// announce writes two entries: whoever has an older catalog finds them.
func (r *run) announce(ctx context.Context) error {
	for range 2 {
		e := &journal.Entry{N: r.state.N + 1, Nonce: leat.NewID[leat.SessionID](r.o.Rand), Cluster: r.o.Cluster, At: leat.Micros(r.o.Clock.Now())}
		err := r.o.Journal.Append(ctx, e)
		if errors.Is(err, journal.ErrTaken) {
			return leat.Errorf(leat.KindInUse, "somebody has written to the bucket's journal meanwhile: stop all servers on this bucket, then run leat rebuild again")
		}
		if err != nil {
			return err
		}
		if err := r.state.Apply(e); err != nil {
			return err
		}
	}
	return nil
}

// write chooses every shard's extents and fills the catalog.
func (r *run) write(ctx context.Context) error {
	r.finishReshards()
	out := &catalog.Rebuilt{State: r.state, Sessions: r.closings}
	holds := map[leat.SessionID]bool{}
	now := r.o.Clock.Now()
	if r.o.History != nil {
		out.History = &catalog.RebuiltHistory{
			Write: r.o.History.Write, Usage: r.metered.usage(), Session: leat.NewID[leat.SessionID](r.o.Rand), Resharded: r.resharded,
		}
	}
	for _, k := range r.sortedShards() {
		st := r.state.Streams[k.Stream]
		sh := st.Shards[k.Ordinal]
		f := r.shards[k]
		if f == nil {
			f = &found{}
		}
		f.floor = max(f.floor, sh.Next, sh.Final)
		before := max(leat.Micros(now.Add(-st.Head.Stream.Retention)), leat.Micros(st.Head.Stream.ExpiredBefore))
		f.counted = r.counted(k)
		f.dropExpired(before)
		c := f.cover()
		if out.History != nil {
			out.History.Uncounted = append(out.History.Uncounted, r.uncounted(k, f, &c)...)
		}
		r.judge(k, &sh, &c, before)
		out.Shards = append(out.Shards, catalog.RebuiltShard{
			Key: k, Epoch: max(sh.Epoch, r.epochs[k]) + epochLeap, Horizon: c.horizon, Next: c.next, LastTime: lastTime(&sh, f),
		})
		out.Extents = append(out.Extents, c.extents...)
		for _, s := range c.pending {
			holds[s] = true
			out.Pending = append(out.Pending, catalog.RebuiltPending{Session: s, Shard: k, Epoch: f.epochOf(s)})
		}
	}
	out.Deletes = r.unneeded(holds)
	r.report.Deliveries = len(r.state.Deliveries)
	r.report.Streams, r.report.Shards, r.report.Extents = len(r.state.Streams), len(out.Shards), len(out.Extents)
	r.report.Sessions, r.report.Pending = len(r.closings), len(out.Pending)
	if r.o.Deliveries != nil {
		var err error
		if out.Delivered, err = r.o.Deliveries(ctx, r.o.Blobs); err != nil {
			return err
		}
	}
	if err := r.o.Catalog.Rebuild(ctx, out); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	return nil
}

// judge reports what is missing: records that are kept below the horizon and have not expired, so that those between
// must not be gone, and a closed shard that does not end where it was closed.
func (r *run) judge(k leat.ShardKey, sh *journal.Shard, c *cover, expiredBefore int64) {
	for _, e := range c.unused {
		if e.MaxTime >= expiredBefore && e.End() <= c.horizon {
			r.problem(shardstore.Problem{Shard: k, Object: e.Object, Offset: e.End(), Text: fmt.Sprintf("records up to %d are in no object; those before them were given up too", c.horizon)})
		}
	}
	if !sh.Open() && c.end != sh.Final {
		r.problem(shardstore.Problem{Shard: k, Offset: c.end, Text: fmt.Sprintf("the shard is closed at %d", sh.Final)})
	}
}

func (r *run) problem(p shardstore.Problem) { r.report.Problems = append(r.report.Problems, p) }

func (f *found) epochOf(s leat.SessionID) (epoch uint64) {
	for i := range f.left {
		if f.left[i].session == s {
			epoch = max(epoch, f.left[i].Epoch)
		}
	}
	return epoch
}

func lastTime(sh *journal.Shard, f *found) int64 {
	t := sh.LastTime
	for i := range f.packs {
		t = max(t, f.packs[i].MaxTime)
	}
	for i := range f.stayed {
		t = max(t, f.stayed[i].MaxTime)
	}
	for i := range f.left {
		t = max(t, f.left[i].MaxTime)
	}
	return t
}
