// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// The streams of a run, and the consumer that is pushed to.
const (
	mainStream = "load"
	tailStream = "tail"
	consumerOf = "pushed"
)

// world is a cluster under load.
type world struct {
	t      *testing.T
	nodes  []*rig.Node
	check  func() rig.Fsck // no node may run
	ledger *Ledger         // nil where records are in a folder, or nothing goes wrong
	shared bool            // nodes share the shards
	random *rand.Rand
	seed   uint64

	probes Targets // to ask nodes how they do
	load   *Load
	tail   *Tail
	shards *Resharder
	began  time.Time
	faults []string
	sown   uint64        // records of each key of everywhere
	slow   time.Duration // the longest time from a fault's end to records that were acknowledged and read again
	over   time.Duration // the longest time from an owner's end to the other node's service

	stopPuts, stopAll context.CancelFunc
	puts, all         sync.WaitGroup
}

// seedOf returns the run's seed and prints it.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("LEAT_FAULT_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("LEAT_FAULT_SEED: %v", err)
		}
	}
	t.Logf("LEAT_FAULT_SEED=%d", seed)
	return seed
}

// runFor is how long faults go on: at least once round them all.
func runFor(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("LEAT_FAULT_FOR")
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("LEAT_FAULT_FOR: %v", err)
	}
	return d
}

// newWorld starts the load on nodes, the first of which serves, once tune has changed what it wants to.
func newWorld(t *testing.T, nodes []*rig.Node, ledger *Ledger, check func() rig.Fsck, tune ...func(*world)) *world {
	t.Helper()
	seed := seedOf(t)
	w := &world{t: t, nodes: nodes, ledger: ledger, check: check, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), began: time.Now()}
	rig.Must(t, nodes[0].Env(), "stream", "create", mainStream, "--shards", "3")
	rig.Must(t, nodes[0].Env(), "stream", "create", tailStream, "--shards", "1")
	rig.Must(t, nodes[0].Env(), "consumer", "register", mainStream, consumerOf)
	w.probes = w.targets()
	w.load = NewLoad(mainStream, consumerOf, w.targets(), seed)
	w.tail = &Tail{Stream: tailStream, Targets: w.targets(), History: NewHistory(), Seed: seed, Key: 1000, Every: max(15*time.Millisecond, runFor(t)/2000)}
	w.load.History.Ledger, w.tail.History.Ledger = ledger, ledger
	w.shards = &Resharder{Stream: mainStream, Targets: w.targets(), History: w.load.History, Seed: seed, Every: 2 * time.Second}
	for _, f := range tune {
		f(w)
	}

	reading, stopAll := context.WithCancel(context.Background())
	putting, stopPuts := context.WithCancel(reading)
	w.stopPuts, w.stopAll = stopPuts, stopAll
	w.puts.Go(func() { w.tail.Run(putting) })
	w.puts.Go(func() { w.shards.Run(putting) })
	w.all.Go(func() { w.load.Run(putting, reading) })
	t.Cleanup(func() {
		stopAll()
		w.puts.Wait()
		w.all.Wait()
	})
	return w
}

// targets dials every node.
func (w *world) targets() (out Targets) {
	w.t.Helper()
	for _, n := range w.nodes {
		out = append(out, n.Dial(w.t))
	}
	return out
}

// hold lets a fault last.
func (w *world) hold(d time.Duration) {
	w.t.Helper()
	select {
	case <-time.After(d):
	case <-w.t.Context().Done():
		w.t.FailNow()
	}
}

// between returns a duration by chance.
func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.random.Int64N(int64(to-from)))
}

// owner waits for a node that serves, other than some, and returns its number.
func (w *world) owner(but ...int) int {
	w.t.Helper()
	at := -1
	rig.Eventually(w.t, rig.Patience, "a node serves", func() error {
		var errs []error
		for i, n := range w.nodes {
			if slices.Contains(but, i) || !n.Running() {
				continue
			}
			err := n.Ready(w.t.Context())
			if err == nil {
				at = i
				return nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", n.Name, err))
		}
		return errors.Join(append(errs, errors.New("nobody does"))...)
	})
	return at
}

// takenOver waits until another node than i serves. It is called when i has just ended.
func (w *world) takenOver(i int) int {
	w.t.Helper()
	began := time.Now()
	j := w.owner(i)
	took := time.Since(began)
	w.over = max(w.over, took)
	w.t.Logf("%6.1fs %s serves in the place of %s after %v", time.Since(w.began).Seconds(), w.nodes[j].Name, w.nodes[i].Name, took.Round(10*time.Millisecond))
	return j
}

// acked waits until n more records have been acknowledged.
func (w *world) acked(what string, n uint64, within time.Duration) {
	w.t.Helper()
	from := w.load.History.Counts().Acked
	rig.Eventually(w.t, within, what+": records are acknowledged", func() error {
		if now := w.load.History.Counts().Acked; now < from+n {
			return fmt.Errorf("%d of %d", now-from, n)
		}
		return nil
	})
}

// rest waits until nothing moves: no stream changes, and every shard has had its owner for a while. What is promised
// without PostgreSQL is promised from there; a shard that is just being handed over waits for it (data-plane.md, rule
// 15). Nothing is resharded until the returned function is called. Nodes with some numbers are not asked.
func (w *world) rest(but ...int) (goOn func()) {
	w.t.Helper()
	if !w.shared {
		return func() {}
	}
	goOn = w.shards.Hold()
	rests := false
	defer func() {
		if !rests {
			goOn() // or the test, which fails, would wait for the resharder for ever
		}
	}()
	const still = 3 * time.Second
	var last map[string]string
	var since time.Time
	const patience = 5 * rig.Patience // a long run has a thousand shards, most of them closed, and a node that comes back gets its part
	rig.Eventually(w.t, patience, "nothing moves", func() error {
		now, err := w.owners(but...)
		if err != nil {
			return err
		}
		if !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		if d := time.Since(since); d < still {
			return fmt.Errorf("it has been so for %v", d)
		}
		return nil
	})
	rests = true
	return goOn
}

// owners returns the owner of each shard, closed ones too, when all that are open have one and no stream changes.
func (w *world) owners(but ...int) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), callWithin)
	defer cancel()
	at := slices.IndexFunc(w.nodes, func(n *rig.Node) bool {
		return n.Running() && !slices.Contains(but, slices.Index(w.nodes, n))
	})
	if at < 0 {
		return nil, errors.New("no node runs")
	}
	all := map[string]string{}
	for _, stream := range []string{mainStream, tailStream} {
		s, err := w.probes[at].Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: stream})
		if err != nil {
			return nil, err
		}
		if st := s.GetStream().GetStatus(); st != leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return nil, fmt.Errorf("stream %s is %s", stream, st)
		}
		res, err := w.probes[at].Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards})
		if err != nil {
			return nil, err
		}
		for _, shard := range res.GetShards() {
			if shard.GetOwnerSessionId() == "" && shard.GetCloseTime() == nil {
				return nil, fmt.Errorf("%s of %s has no owner", shard.GetShardId(), stream)
			}
			all[stream+"/"+shard.GetShardId()] = shard.GetOwnerSessionId()
		}
	}
	return all, nil
}

// split splits an open shard of the load that a session owns.
func (w *world) split(session string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), rig.Patience)
	defer cancel()
	shards := w.probes[0].Shards
	res, err := shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: mainStream, PageSize: leat.MaxListShards})
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(res.GetShards(), func(s *leatv1.Shard) bool { return s.GetCloseTime() == nil && s.GetOwnerSessionId() == session })
	if i < 0 {
		w.t.Fatalf("session %s owns no open shard", session)
	}
	if _, err := shards.SplitShard(ctx, &leatv1.SplitShardRequest{Stream: mainStream, ShardId: res.GetShards()[i].GetShardId()}); err != nil {
		w.t.Fatal(err)
	}
	w.shards.Done.Add(1)
}

// everywhere waits until every node that runs has taken records for the whole hash space.
func (w *world) everywhere(what string) {
	w.t.Helper()
	const keys = 24
	for i, n := range w.nodes {
		if !n.Running() {
			continue
		}
		node := Targets{w.load.Targets[i]}.pick(w.random)
		rig.Eventually(w.t, rig.Patience, what+": "+n.Name+" takes records for all shards", func() error {
			ids := make([]ID, keys)
			for k := range ids {
				ids[k] = ID{Key: 100 + keys*i + k, N: w.sown}
			}
			w.sown++
			if !w.load.put(node, ids) {
				return errors.New("not all were taken")
			}
			return nil
		})
	}
}

// progress waits until n more records have been acknowledged and every consumer has read what was acknowledged by then.
func (w *world) progress(what string, n uint64, within time.Duration) {
	w.t.Helper()
	w.acked(what, n, within)
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	if err := w.load.CaughtUp(ctx); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// static waits until n more records have been acknowledged without PostgreSQL. Readers keep up too, unless shards move
// between nodes: a reader that is behind the last move needs the index of packs, which is in PostgreSQL.
func (w *world) static(what string, n uint64, within time.Duration) {
	w.t.Helper()
	if !w.shared {
		w.progress(what, n, within)
		return
	}
	w.acked(what, n, within)
}

// quiet is the time after a fault: everything works again, and nothing was broken.
func (w *world) quiet(fault string) {
	w.t.Helper()
	began := time.Now()
	w.owner()
	w.progress("after "+fault, 50, rig.Patience)
	took := time.Since(began)
	w.progress("in the quiet after "+fault, 400, rig.Patience)
	w.slow = max(w.slow, took)
	c := w.load.History.Counts()
	w.up()
	w.t.Logf("%6.1fs %-28s works again after %v; %d acknowledged, %d refused, %d unknown, %d read", time.Since(w.began).Seconds(), fault, took.Round(10*time.Millisecond), c.Acked, c.Refused, c.Unknown, c.Reads)
	w.sound()
}

// up waits until every process has come up, whether it serves or not: one that is still starting ends when the next fault
// takes away what it starts on.
func (w *world) up() {
	w.t.Helper()
	for _, n := range w.nodes {
		if !n.Running() {
			continue
		}
		rig.Eventually(w.t, rig.Patience, n.Name+" is up", func() error {
			err := n.Ready(w.t.Context())
			var not *rig.NotReady
			if errors.As(err, &not) {
				return nil
			}
			return err
		})
	}
}

// sound stops the test when a promise was broken.
func (w *world) sound() {
	w.t.Helper()
	broken := append(w.load.History.Broken(), w.tail.History.Broken()...)
	if w.ledger != nil {
		broken = append(broken, w.ledger.Problems()...)
	}
	if len(broken) > 0 {
		w.t.Fatalf("%d promises were broken:\n%s", len(broken), strings.Join(broken, "\n"))
	}
}

// fault is something that goes wrong, and is right again at its end.
type fault struct {
	name string
	do   func(w *world)
}

// rotate goes through the faults in an order of chance, again and again until the time is over.
func (w *world) rotate(faults []fault) {
	w.t.Helper()
	only := os.Getenv("LEAT_FAULT_ONLY")
	faults = slices.DeleteFunc(faults, func(f fault) bool { return !strings.Contains(f.name, only) })
	if len(faults) == 0 {
		w.t.Fatalf("no fault has %q in its name", only)
	}
	w.progress("before any fault", 100, rig.Patience)
	w.up()
	for end := time.Now().Add(runFor(w.t)); ; {
		w.random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		for _, f := range faults {
			f.do(w)
			w.faults = append(w.faults, f.name)
			w.quiet(f.name)
		}
		if !time.Now().Before(end) {
			return
		}
	}
}

// finish stops the load and compares everything with what is in the streams: as the serving node reads them, and as a
// node does that begins anew.
func (w *world) finish() {
	t := w.t
	t.Helper()
	w.stopPuts()
	w.puts.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	if err := w.load.CaughtUp(ctx); err != nil {
		t.Errorf("at the end: %v", err)
	}
	w.stopAll()
	w.all.Wait()

	w.sound()
	last := w.owner()
	load, tail := readBack(t, w.nodes[last], mainStream), readBack(t, w.nodes[last], tailStream)
	w.judge("by the serving node", load, tail)
	w.stopNodes(last)
	w.whole(load, tail)
	w.nodes[0].Start(t)
	again, tailAgain := readBack(t, w.nodes[0], mainStream), readBack(t, w.nodes[0], tailStream)
	v := w.judge("by a node that began anew", again, tailAgain)
	w.nodes[0].Stop(t)
	w.whole(again, tailAgain)

	var log []Seen
	for _, l := range tail {
		log = l
	}
	calls, err := w.tail.Linearizable(log)
	if err != nil {
		t.Error(err)
	}
	w.report(v, calls)
}

// whole checks that storage agrees with itself and holds what was read from it.
func (w *world) whole(load, tail Final) {
	w.t.Helper()
	if f := w.check(); f.Records != load.Records()+tail.Records() || f.Open != 0 {
		w.t.Errorf("leat fsck counts %d records, %d were read back; %d sessions are open", f.Records, load.Records()+tail.Records(), f.Open)
	}
}

// stopNodes stops the standbys, then the node that serves, so that nobody takes over.
func (w *world) stopNodes(last int) {
	w.t.Helper()
	for i, n := range w.nodes {
		if i != last && n.Running() {
			n.Stop(w.t)
		}
	}
	w.nodes[last].Stop(w.t)
}

// judge checks both streams.
func (w *world) judge(how string, load, tail Final) Verdict {
	w.t.Helper()
	v, tv := w.load.History.Check(load), w.tail.History.Check(tail)
	for _, b := range append(v.Broken, tv.Broken...) {
		w.t.Errorf("read back %s: %s", how, b)
	}
	v.Records += tv.Records
	v.Found += tv.Found
	v.Lost += tv.Lost
	return v
}

// readBack reads a whole stream.
func readBack(t *testing.T, n *rig.Node, stream string) Final {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*rig.Patience)
	defer cancel()
	r, err := client.NewReader(n.Dial(t), stream, client.TrimHorizon(), client.ReaderOptions{ToPresent: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	final := Final{}
	for {
		rec, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return final
		}
		if err != nil {
			t.Fatalf("read back %s: %v", stream, err)
		}
		if err := final.Add(rec.ShardID, rec.SequenceNumber, rec.PartitionKey, rec.Data, rec.Arrival); err != nil {
			t.Fatalf("read back %s: %v", stream, err)
		}
	}
}

// report says what the run did, and appends it to LEAT_FAULT_REPORT.
func (w *world) report(v Verdict, calls int) {
	t := w.t
	t.Helper()
	c, tc := w.load.History.Counts(), w.tail.History.Counts()
	row := fmt.Sprintf("| %s | %d | %s | %d | %d | %d | %d | %d (%d there) | %d | %d | %s | %s | %d | %d |", t.Name(), w.seed, time.Since(w.began).Round(time.Second),
		len(w.faults), w.shards.Done.Load(), c.Acked+tc.Acked, c.Refused+tc.Refused, c.Unknown+tc.Unknown, v.Found, c.Reads+tc.Reads, calls,
		w.over.Round(100*time.Millisecond), w.slow.Round(100*time.Millisecond), v.Lost, len(v.Broken))
	t.Log("| run | seed | time | faults | reshards | acked | refused | unknown | reads checked | calls linearized | slowest take-over | slowest recovery | lost | broken promises |")
	t.Log(row)
	if c.Acked == 0 || c.Reads < c.Acked || w.shards.Done.Load() == 0 || calls == 0 {
		t.Error("the load did too little for the run to say anything")
	}
	name := os.Getenv("LEAT_FAULT_REPORT")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintln(f, row)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Error(err)
	}
}

// stands tells whether a node has no session, as /readyz says.
func stands(ctx context.Context, n *rig.Node) error {
	err := n.Ready(ctx)
	var not *rig.NotReady
	if errors.As(err, &not) {
		return nil
	}
	return errors.Join(errors.New("it does not say that it stands by"), err)
}
