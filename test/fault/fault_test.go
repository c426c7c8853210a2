// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/test/e2e/rig"
)

// One process and one folder: killed, stopped and frozen.
func TestDevUnderFaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir, "--pack-every", "1s")
	n.Start(t)
	w := newWorld(t, []*rig.Node{n}, nil, func() rig.Fsck { return billed(t, rig.VerifyDev(t, dir), rig.CheckDev(t, dir)) })
	w.rotate([]fault{
		{"kill -9 and restart", func(w *world) { n.Kill(t); n.Start(t) }},
		{"kill -9, later restart", func(w *world) { n.Kill(t); w.hold(w.between(0, 2*time.Second)); n.Start(t) }},
		{"kill -9 twice", func(w *world) { n.Kill(t); n.Start(t); n.Kill(t); n.Start(t) }},
		{"kill -9 while it starts", func(w *world) {
			n.Kill(t)
			n.Launch(t)
			w.hold(w.between(0, 300*time.Millisecond))
			n.Kill(t)
			n.Start(t)
		}},
		{"SIGTERM and restart", func(w *world) { n.Stop(t); n.Start(t) }},
		{"frozen", func(w *world) { n.Freeze(t); w.hold(w.between(time.Second, 5*time.Second)); n.Thaw(t) }},
		{"kill -9 while frozen", func(w *world) { n.Freeze(t); w.hold(w.between(0, time.Second)); n.Kill(t); n.Start(t) }},
	})
	w.finish()
}

// billed compares what was billed with what is stored, while nothing has expired: every record once.
func billed(t *testing.T, v rig.Verified, f rig.Fsck) rig.Fsck {
	t.Helper()
	if v.Records != f.Records {
		t.Errorf("%d records are billed, leat fsck counts %d", v.Records, f.Records)
	}
	return f
}

// Two nodes on PostgreSQL and S3, one of which stands by. Nodes, database and object store are killed, stopped and
// frozen.
func TestServeUnderFaults(t *testing.T) {
	t.Parallel()
	b, ledger := newBackend(t)
	b.Alone = true
	args := []string{"--pack-every", "2s", "--shard-limits", "off"}
	nodes := []*rig.Node{rig.Serve(t, "one", b, args...), rig.Serve(t, "two", b, args...)}
	nodes[0].Start(t)
	w := newWorld(t, nodes, ledger, func() rig.Fsck { return billed(t, b.Verify(t), b.Check(t)) })
	nodes[1].Launch(t)
	f := serveFaults{b}
	w.rotate([]fault{
		{"kill -9 of the owner", f.killOwner},
		{"SIGTERM of the owner", f.stopOwner},
		{"zombie", f.zombie},
		{"zombie without PostgreSQL", f.blindZombie},
		{"a short freeze", f.hiccup},
		{"kill -9 of both", f.killBoth},
		{"PostgreSQL stopped", f.postgresStopped},
		{"PostgreSQL crashed", f.postgresCrashed},
		{"S3 stopped", f.s3Stopped},
		{"S3 killed", f.s3Killed},
		{"S3 frozen", f.s3Frozen},
		{"S3 slow", f.s3Slow},
		{"S3 refuses", f.s3Refuses},
		{"S3 loses answers", f.s3Loses},
		{"kill -9 while S3 is away", f.killWithoutS3},
		{"kill -9 while PostgreSQL is away", f.killWithoutPostgres},
	})
	w.finish()
}

// newBackend starts PostgreSQL and an S3 server, which nodes reach by the door of a ledger.
func newBackend(t *testing.T) (*rig.Backend, *Ledger) {
	t.Helper()
	b := rig.NewBackend(t)
	l := NewLedger(t, b.S3.Endpoint)
	b.Door = l.Addr
	return b, l
}

// serveFaults are the faults of nodes on a backend.
type serveFaults struct{ b *rig.Backend }

// killOwner: the other node takes over. The dead one comes back and stands by.
func (f serveFaults) killOwner(w *world) {
	i := w.owner()
	w.nodes[i].Kill(w.t)
	w.takenOver(i)
	w.nodes[i].Launch(w.t)
}

func (f serveFaults) stopOwner(w *world) {
	i := w.owner()
	w.nodes[i].Stop(w.t)
	w.takenOver(i)
	w.nodes[i].Launch(w.t)
}

// zombie: a node is frozen for longer than it takes to be declared dead, is replaced, and goes on with what it was
// doing. From then on it may acknowledge nothing and give nothing to readers; the history would show it.
func (f serveFaults) zombie(w *world) {
	i := w.owner()
	w.nodes[i].Freeze(w.t)
	j := w.takenOver(i)
	w.progress("while the old owner is frozen", 50, rig.Patience)
	w.nodes[i].Thaw(w.t)
	rig.Eventually(w.t, rig.Patience, "the zombie stands by", func() error { return stands(w.t.Context(), w.nodes[i]) })
	if now := w.owner(); now != j {
		w.t.Errorf("%s serves after %s had taken over", w.nodes[now].Name, w.nodes[j].Name)
	}
}

// blindZombie: a zombie that cannot learn from the database that it was replaced. What it tries to write, and its own
// look into the bucket before a read, tell it.
func (f serveFaults) blindZombie(w *world) {
	i := w.owner()
	w.nodes[i].Freeze(w.t)
	w.takenOver(i)
	w.progress("while the old owner is frozen", 50, rig.Patience)
	f.b.PG.Crash(w.t)
	w.nodes[i].Thaw(w.t)
	rig.Eventually(w.t, rig.Patience, "the zombie serves nothing", func() error { return stands(w.t.Context(), w.nodes[i]) })
	w.static("while PostgreSQL is down", 200, rig.Patience)
	f.b.PG.Start(w.t)
}

// hiccup: too short a freeze for anybody to be declared dead.
func (f serveFaults) hiccup(w *world) {
	i := w.owner()
	w.nodes[i].Freeze(w.t)
	w.hold(w.between(200*time.Millisecond, 1500*time.Millisecond))
	w.nodes[i].Thaw(w.t)
}

func (f serveFaults) killBoth(w *world) {
	for _, n := range w.nodes {
		n.Kill(w.t)
	}
	for _, n := range w.nodes {
		n.Launch(w.t)
	}
}

// postgresStopped: puts and tail reads go on, all the same.
func (f serveFaults) postgresStopped(w *world) {
	defer w.rest()()
	w.owner()
	f.b.PG.Stop(w.t)
	w.static("while PostgreSQL is away", 200, rig.Patience)
	w.hold(w.between(0, 3*time.Second))
	w.static("while PostgreSQL is still away", 200, rig.Patience)
	f.b.PG.Start(w.t)
}

func (f serveFaults) postgresCrashed(w *world) {
	defer w.rest()()
	w.owner()
	f.b.PG.Crash(w.t)
	w.static("while PostgreSQL is down", 50, rig.Patience)
	f.b.PG.Start(w.t)
}

// s3Stopped: nothing is acknowledged, and the node stays.
func (f serveFaults) s3Stopped(w *world) {
	i := w.owner()
	f.b.S3.Stop(w.t)
	f.stalls(w, i)
	f.b.S3.Start(w.t)
}

func (f serveFaults) s3Killed(w *world) {
	i := w.owner()
	f.b.S3.Kill(w.t)
	f.stalls(w, i)
	f.b.S3.Start(w.t)
}

func (f serveFaults) s3Frozen(w *world) {
	i := w.owner()
	f.b.S3.Freeze(w.t)
	f.stalls(w, i)
	f.b.S3.Thaw(w.t)
}

// s3Slow: everything goes on, later.
func (f serveFaults) s3Slow(w *world) {
	w.ledger.Set(Weather{Slow: 800 * time.Millisecond})
	w.progress("while S3 is slow", 100, rig.Patience)
	w.ledger.Set(Weather{})
}

// s3Refuses: as if it were away, but it says so.
func (f serveFaults) s3Refuses(w *world) {
	i := w.owner()
	w.ledger.Set(Weather{Close: true})
	f.stalls(w, i)
	w.ledger.Set(Weather{})
}

// s3Loses: what was done is not told. A segment is put again, meets itself, and is recognised (data-plane.md, rule 2).
func (f serveFaults) s3Loses(w *world) {
	w.ledger.Set(Weather{Lose: 0.4})
	w.progress("while S3 loses answers", 100, rig.Patience)
	w.ledger.Set(Weather{})
}

// stalls lets nodes be without an object store for a while. Nothing becomes durable, so nothing may be acknowledged or
// shown that was not durable before: the ledger judges each record by itself, however late its answer comes. A call that
// puts records at several owners is answered when the last of them has answered, or when its time is up.
func (f serveFaults) stalls(w *world, i int) {
	acked := w.load.History.Counts().Acked
	w.hold(w.between(2*time.Second, 5500*time.Millisecond))
	if late := w.load.History.Counts().Acked - acked; late > 0 {
		w.t.Logf("%d acknowledgements came while the object store was away, the latest %v after its record was durable", late, w.load.History.Late().Round(time.Millisecond))
	}
	if !w.nodes[i].Running() {
		w.t.Errorf("%s ended when the object store was away:\n%s", w.nodes[i].Name, w.nodes[i].Log())
	}
}

// killWithoutS3: the death of an owner that can only be settled when the object store is back.
func (f serveFaults) killWithoutS3(w *world) {
	i := w.owner()
	f.b.S3.Kill(w.t)
	w.nodes[i].Kill(w.t)
	w.hold(w.between(2*time.Second, 5*time.Second))
	f.b.S3.Start(w.t)
	w.owner(i)
	w.nodes[i].Launch(w.t)
}

// killWithoutPostgres: the death of an owner that can only be settled when the database is back.
func (f serveFaults) killWithoutPostgres(w *world) {
	defer w.rest()()
	i := w.owner()
	f.b.PG.Crash(w.t)
	w.static("while PostgreSQL is down", 50, rig.Patience)
	w.nodes[i].Kill(w.t)
	w.hold(w.between(0, 3*time.Second))
	f.b.PG.Start(w.t)
	w.owner(i)
	w.nodes[i].Launch(w.t)
}
