// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/shardstore"
)

// One call's puts reach the owners of their shards, wherever they are, in their order, and each has its own outcome.
func TestAppend(t *testing.T) {
	r := newRig(t, 3, within)
	for i := range uint64(6) {
		r.open(shard(i), r.nodes[i%3])
	}
	closed := r.nodes[1].session.Load()
	closed.closed[shard(4)] = true
	full := &leat.Error{Kind: leat.KindThroughputExceeded, Message: "full", After: time.Second, Err: shardstore.ErrOverloaded}
	r.nodes[2].session.Load().outcome = func(p *shardstore.Put) error {
		if p.Record.PartitionKey == "refused" {
			return full
		}
		return nil
	}
	explicit := leat.HashKey{Hi: 3, Lo: 9}
	var puts []shardstore.Put
	for i := range 60 {
		p := put(shard(uint64(i%6)), fmt.Sprint("key-", i), fmt.Sprint("data-", i))
		if i%7 == 0 {
			p.Record.ExplicitHash = &explicit
		}
		if i == 5 {
			p.Record.PartitionKey = "refused"
		}
		p.Record.CRC = p.Record.Checksum()
		puts = append(puts, p)
	}
	r.must(r.nodes[0].router.Append(t.Context(), puts))
	next := map[leat.ShardKey]uint64{}
	for i := range puts {
		p := &puts[i]
		switch {
		case i == 5:
			var e *leat.Error
			if !errors.As(p.Err, &e) || !errors.Is(p.Err, shardstore.ErrOverloaded) || e.Kind != full.Kind || e.Message != full.Message || e.After != full.After {
				t.Errorf("a refused record: %v", p.Err)
			}
		case p.Shard == shard(4):
			if !errors.Is(p.Err, shardstore.ErrResharded) {
				t.Errorf("a record for a closed shard: %v", p.Err)
			}
		case p.Err != nil || p.Record.Offset != next[p.Shard] || p.Record.Time != int64(1_000_000+next[p.Shard]):
			t.Errorf("record %d: offset %d, time %d, %v", i, p.Record.Offset, p.Record.Time, p.Err)
		default:
			got := r.records(p.Shard)[p.Record.Offset]
			if got.PartitionKey != p.Record.PartitionKey || string(got.Data) != string(p.Record.Data) || got.Checksum() != p.Record.CRC {
				t.Errorf("record %d is not what was put", i)
			}
			next[p.Shard]++
		}
	}
	for i, n := range r.nodes {
		if calls := n.session.Load().appends.Load(); calls != 1 {
			t.Errorf("node %d was asked %d times", i, calls)
		}
	}
}

// An owner that refuses a whole call: what others took stays taken, and alone its error is that of the call.
func TestAppendRefusedWhole(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[0])
	r.open(shard(1), r.nodes[1])
	r.nodes[1].session.Load().refuse = &leat.Error{Kind: leat.KindThroughputExceeded, Message: "full", Err: shardstore.ErrOverloaded}
	puts := []shardstore.Put{put(shard(0), "a", "1"), put(shard(1), "b", "2")}
	r.must(r.nodes[0].router.Append(t.Context(), puts))
	if puts[0].Err != nil || leat.KindOf(puts[1].Err) != leat.KindThroughputExceeded {
		t.Errorf("outcomes %v, %v", puts[0].Err, puts[1].Err)
	}
	if err := r.nodes[0].router.Append(t.Context(), puts[1:]); !errors.Is(err, shardstore.ErrOverloaded) {
		t.Errorf("the call ended with %v", err)
	}
}

// A shard that has moved: its old owner refuses, the put waits until it hears of the new one, and is taken once.
func TestAppendFollowsMove(t *testing.T) {
	for name, refuse := range map[string]error{
		"not owned": nil,
		"not live":  &leat.Error{Kind: leat.KindUnavailable, Message: "no session", Err: shardstore.ErrNotLive},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3, within)
			r.open(shard(0), r.nodes[1])
			r.open(shard(1), r.nodes[2])
			if r.nodes[1].session.Load().refuse = refuse; refuse == nil {
				r.release(shard(0), r.nodes[1])
			}
			done := make(chan []shardstore.Put)
			go func() {
				puts := []shardstore.Put{put(shard(0), "a", "1"), put(shard(1), "b", "2"), put(shard(0), "a", "3")}
				if err := r.nodes[0].router.Append(t.Context(), puts); err != nil {
					t.Error(err)
				}
				done <- puts
			}()
			r.poll("a look for the owner", func() bool { return r.owners.stale.Load() > 2 })
			r.open(shard(0), r.nodes[2])
			puts := <-done
			for i := range puts {
				if puts[i].Err != nil {
					t.Errorf("put %d: %v", i, puts[i].Err)
				}
			}
			if got := r.records(shard(0)); len(got) != 2 || string(got[0].Data) != "1" || string(got[1].Data) != "3" {
				t.Errorf("the shard has %v", got)
			}
			if got := r.records(shard(1)); len(got) != 1 {
				t.Errorf("the other shard has %d records", len(got))
			}
		})
	}
}

// A wrong epoch, and a session that is over, are refused before anything happens.
func TestAppendWrongEpochOrSession(t *testing.T) {
	r := newRig(t, 2, 20*time.Millisecond)
	r.open(shard(0), r.nodes[1])
	s := r.nodes[1].session.Load()
	for name, p := range map[string]place{
		"older epoch": {s.id, 0, r.nodes[1].address}, "newer epoch": {s.id, 2, r.nodes[1].address},
		"another session": {leat.NewID[leat.SessionID](nil), 1, r.nodes[1].address},
	} {
		t.Run(name, func(t *testing.T) {
			r.owners.set(shard(0), p)
			err := r.nodes[0].router.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "1")})
			if leat.KindOf(err) != leat.KindUnavailable || !errors.Is(err, shardstore.ErrNotOwned) {
				t.Errorf("the put ended with %v", err)
			}
			_, err = r.nodes[0].router.Read(t.Context(), shard(0), 0, shardstore.ReadLimits{Records: 1, Bytes: 1})
			if leat.KindOf(err) != leat.KindUnavailable {
				t.Errorf("the read ended with %v", err)
			}
		})
	}
	if s.appends.Load() != 0 || len(r.records(shard(0))) != 0 {
		t.Error("the engine was asked")
	}
}

// An owner that is dead before the put is sent: the put waits for the next owner, however the death looks.
func TestAppendOwnerDead(t *testing.T) {
	for _, warm := range []bool{false, true} {
		t.Run(fmt.Sprint("connected before: ", warm), func(t *testing.T) {
			r := newRig(t, 3, within)
			r.open(shard(0), r.nodes[1])
			if warm {
				r.must(r.nodes[0].router.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "0")}))
			}
			r.nodes[1].grpc.Stop()
			done := make(chan error)
			p := []shardstore.Put{put(shard(0), "a", "1")}
			go func() { done <- r.nodes[0].router.Append(t.Context(), p) }()
			r.poll("a look for the owner", func() bool { return r.owners.stale.Load() > 2 })
			r.open(shard(0), r.nodes[2])
			if err := <-done; err != nil || p[0].Err != nil {
				t.Fatalf("the put ended with %v, %v", err, p[0].Err)
			}
			if n := len(r.records(shard(0))); n != int(p[0].Record.Offset)+1 {
				t.Errorf("%d records, and the last has offset %d", n, p[0].Record.Offset)
			}
		})
	}
}

// An owner that takes connections and says nothing, as one that is stopped: nothing was sent, so the put goes to the next
// owner as soon as there is one.
func TestAppendOwnerMute(t *testing.T) {
	r := newRig(t, 2, within)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	t.Cleanup(func() { _ = l.Close() })
	r.open(shard(0), r.nodes[1])
	r.owners.set(shard(0), place{leat.NewID[leat.SessionID](nil), 1, l.Addr().String()})
	p := []shardstore.Put{put(shard(0), "a", "1")}
	done := make(chan error)
	go func() { done <- r.nodes[0].router.Append(t.Context(), p) }()
	r.poll("a call under way", func() bool { return r.nodes[0].router.Calls() == 1 })
	r.open(shard(0), r.nodes[1])
	if err := <-done; err != nil || p[0].Err != nil || len(r.records(shard(0))) != 1 {
		t.Errorf("the put ended with %v, %v", err, p[0].Err)
	}
}

// Without an owner a put ends in time, with an error that says that it was not executed; what others took stays.
func TestAppendNoOwner(t *testing.T) {
	r := newRig(t, 2, 30*time.Millisecond)
	r.open(shard(0), r.nodes[0])
	puts := []shardstore.Put{put(shard(0), "a", "1"), put(shard(9), "b", "2")}
	r.must(r.nodes[0].router.Append(t.Context(), puts))
	if puts[0].Err != nil || leat.KindOf(puts[1].Err) != leat.KindUnavailable {
		t.Errorf("outcomes %v, %v", puts[0].Err, puts[1].Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.nodes[1].router.Append(ctx, []shardstore.Put{put(shard(9), "b", "2")}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was given up: %v", err)
	}
}

// A put whose connection breaks after it was sent may have been executed: it is not sent again.
func TestAppendCut(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[1])
	s := r.nodes[1].session.Load()
	s.after = func(ctx context.Context) {
		r.nodes[1].road.cut()
		<-ctx.Done()
	}
	p := []shardstore.Put{put(shard(0), "a", "1"), put(shard(0), "a", "2")}
	r.must(r.nodes[0].router.Append(t.Context(), p))
	for i := range p {
		if !errors.Is(p[i].Err, shardstore.ErrUnknownOutcome) || errors.Is(p[i].Err, shardstore.ErrNotOwned) {
			t.Errorf("put %d: %v", i, p[i].Err)
		}
	}
	if s.appends.Load() != 1 || len(r.records(shard(0))) != 2 {
		t.Errorf("%d calls, %d records", s.appends.Load(), len(r.records(shard(0))))
	}
}

// A caller that goes away leaves puts behind that may have been executed.
func TestAppendCanceled(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[1])
	ctx, cancel := context.WithCancel(t.Context())
	r.nodes[1].session.Load().after = func(ctx context.Context) {
		cancel()
		<-ctx.Done()
	}
	p := []shardstore.Put{put(shard(0), "a", "1")}
	r.must(r.nodes[0].router.Append(ctx, p))
	if !errors.Is(p[0].Err, shardstore.ErrUnknownOutcome) {
		t.Errorf("the put ended with %v", p[0].Err)
	}
	r.poll("the end of the call", func() bool { return r.nodes[0].router.Calls() == 0 })
}

// An owner that does not answer any more, as one that is stopped: when the shard has another owner the put ends, with an
// unknown outcome, and is not sent again.
func TestAppendZombie(t *testing.T) {
	r := newRig(t, 3, within)
	r.open(shard(0), r.nodes[1])
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	reached := make(chan struct{})
	r.nodes[1].session.Load().after = func(context.Context) {
		close(reached)
		<-release
	}
	done := make(chan []shardstore.Put)
	go func() {
		p := []shardstore.Put{put(shard(0), "a", "1")}
		if err := r.nodes[0].router.Append(t.Context(), p); err != nil {
			t.Error(err)
		}
		done <- p
	}()
	<-reached
	moved := time.Now()
	r.open(shard(0), r.nodes[2])
	p := <-done
	if !errors.Is(p[0].Err, shardstore.ErrUnknownOutcome) {
		t.Errorf("the put ended with %v", p[0].Err)
	}
	if took := time.Since(moved); took > within {
		t.Errorf("it took %v", took)
	}
	if r.nodes[2].session.Load().appends.Load() != 0 {
		t.Error("it was sent again")
	}
}

// Connections to a session that nobody asks any more are closed.
func TestConnectionsClosed(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[1])
	n := r.nodes[0].router
	r.must(n.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "1")}))
	if n.Tidy(time.Now().Add(forward.IdleFor - time.Second)); n.Peers() != 1 {
		t.Error("closed too early")
	}
	waits := r.waiting(t.Context(), r.nodes[0], shard(0), 1)
	if n.Tidy(time.Now().Add(2 * forward.IdleFor)); n.Peers() != 1 {
		t.Error("closed while a call is under way")
	}
	r.must(n.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "2")}))
	r.must(<-waits)
	if n.Tidy(time.Now().Add(2 * forward.IdleFor)); n.Peers() != 0 {
		t.Error("not closed")
	}
	r.must(n.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "3")}))
}

// A record that is damaged between two nodes is not taken: the log would refuse it and end the process.
func TestAppendDamaged(t *testing.T) {
	r := newRig(t, 2, 20*time.Millisecond)
	r.open(shard(0), r.nodes[1])
	p := put(shard(0), "a", "1")
	p.Record.CRC++
	if err := r.nodes[0].router.Append(t.Context(), []shardstore.Put{p}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("it ended with %v", err)
	}
	if r.nodes[1].session.Load().appends.Load() != 0 {
		t.Error("the engine was given it")
	}
}

// An engine that says neither yes nor no of a record, a fault of its own, does not make anybody acknowledge it, be it this
// node's or another one's.
func TestSilenceIsNoAcknowledgement(t *testing.T) {
	for name, owner := range map[string]int{"here": 0, "there": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3, within)
			r.open(shard(0), r.nodes[owner])
			r.nodes[owner].session.Load().silent = true
			r.open(shard(1), r.nodes[2])
			p := []shardstore.Put{put(shard(0), "a", "1"), put(shard(0), "a", "2"), put(shard(1), "a", "3")}
			r.must(r.nodes[0].router.Append(t.Context(), p))
			for i := range p {
				if unknown := errors.Is(p[i].Err, shardstore.ErrUnknownOutcome); unknown != (i < 2) || !unknown && p[i].Err != nil {
					t.Errorf("put %d: %v", i, p[i].Err)
				}
			}
		})
	}
}

// A panic of this node's session does not leave calls behind that still read the puts: the memory is their caller's.
func TestAppendPanics(t *testing.T) {
	r := newRig(t, 2, within)
	r.open(shard(0), r.nodes[0])
	r.open(shard(1), r.nodes[1])
	reached, release := make(chan struct{}), make(chan struct{})
	r.nodes[1].session.Load().after = func(context.Context) {
		close(reached)
		<-release
	}
	r.nodes[0].session.Load().after = func(context.Context) {
		<-reached
		time.AfterFunc(50*time.Millisecond, func() { close(release) })
		panic("a fault of the engine")
	}
	p := []shardstore.Put{put(shard(1), "a", "1"), put(shard(0), "b", "2")}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_ = r.nodes[0].router.Append(t.Context(), p)
	}()
	select {
	case <-release:
	default:
		t.Error("a call is left behind")
		<-release
	}
	if n := r.nodes[0].router.Calls(); n != 0 || p[0].Err != nil {
		t.Errorf("%d calls are under way; the other node's put ended with %v", n, p[0].Err)
	}
}
