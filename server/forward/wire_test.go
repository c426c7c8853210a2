// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// somePuts makes puts of all shapes.
func somePuts(rnd *rand.Rand) []shardstore.Put {
	puts := make([]shardstore.Put, rnd.IntN(40))
	for i := range puts {
		k := leat.ShardKey{Ordinal: rnd.Uint64N(3) * rnd.Uint64()}
		k.Stream[rnd.IntN(2)] = byte(rnd.IntN(2))
		p := put(k, strings.Repeat("ключ", rnd.IntN(70)), strings.Repeat("x", rnd.IntN(3)*rnd.IntN(300)))
		if rnd.IntN(3) == 0 {
			p.Record.ExplicitHash = &leat.HashKey{Hi: rnd.Uint64(), Lo: rnd.Uint64()}
		}
		if rnd.IntN(3) == 0 {
			p.Record.Offset, p.Record.Time = rnd.Uint64(), rnd.Int64()
		}
		p.Record.CRC = p.Record.Checksum()
		puts[i] = p
	}
	return puts
}

func sameRecord(t *testing.T, r *leat.Record, w *internalv1.Record) {
	t.Helper()
	var explicit []byte
	if r.ExplicitHash != nil {
		h := r.ExplicitHash.Bytes()
		explicit = h[:]
	}
	if r.PartitionKey != string(w.GetPartitionKey()) || string(r.Data) != string(w.GetData()) || r.CRC != w.GetChecksum() ||
		r.Offset != w.GetOffset() || r.Time != w.GetTime() || !slices.Equal(explicit, w.GetExplicitHashKey()) {
		t.Fatalf("record %+v is on the wire %v", r, w)
	}
}

// What messages write the generated code reads, and the other way round.
func TestWire(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	id := leat.NewID[leat.SessionID](nil)
	for range 300 {
		puts := somePuts(rnd)
		raw := forward.Outgoing(id, 7, puts)
		var w internalv1.AppendRequest
		if err := proto.Unmarshal(raw, &w); err != nil {
			t.Fatal(err)
		}
		if string(w.GetSession()) != string(id[:]) || len(w.GetRecords()) != len(puts) {
			t.Fatalf("%d records on the wire for %d", len(w.GetRecords()), len(puts))
		}
		for i, r := range w.GetRecords() {
			sameRecord(t, &puts[i].Record, r)
			s := w.GetShards()[r.GetShard()]
			if string(s.GetStream()) != string(puts[i].Shard.Stream[:]) || s.GetOrdinal() != puts[i].Shard.Ordinal || s.GetEpoch() != 7 {
				t.Fatalf("shard %v is on the wire %v", puts[i].Shard, s)
			}
		}
		if raw, err := proto.Marshal(&w); err != nil {
			t.Fatal(err)
		} else if got, back, err := forward.Incoming(raw); err != nil || got != id || len(back) != len(puts) {
			t.Fatalf("read back: %d records, %v", len(back), err)
		} else {
			for i := range back {
				sameRecord(t, &back[i].Record, w.GetRecords()[i])
				if back[i].Shard != puts[i].Shard {
					t.Fatalf("shard %v came as %v", puts[i].Shard, back[i].Shard)
				}
			}
		}

		p := shardstore.Page{Next: rnd.Uint64(), Horizon: rnd.Uint64N(3), Tail: rnd.Uint64(), Ended: rnd.IntN(2) == 0, Behind: time.Duration(rnd.Int64N(9))}
		for i := range puts {
			p.Records = append(p.Records, puts[i].Record)
		}
		var out internalv1.ReadResponse
		if err := proto.Unmarshal(forward.PageOut(p), &out); err != nil {
			t.Fatal(err)
		}
		if out.GetNext() != p.Next || out.GetHorizon() != p.Horizon || out.GetTail() != p.Tail || out.GetEnded() != p.Ended ||
			out.GetBehindNanos() != int64(p.Behind) || len(out.GetRecords()) != len(p.Records) {
			t.Fatalf("page %+v is on the wire %v", p, &out)
		}
		for i, r := range out.GetRecords() {
			sameRecord(t, &p.Records[i], r)
		}
	}
}

// What became of a shard that has ended goes with its last page, whole or not at all.
func TestPageThatEnds(t *testing.T) {
	p := shardstore.Page{Next: 3, Ended: true, Became: &shardstore.Reshard{
		ID: "r", Time: 9,
		Parents:  []shardstore.ReshardParent{{Shard: shard(4), Epoch: 2, Final: 3}, {Shard: shard(5), Epoch: 1}},
		Children: []shardstore.ReshardChild{{Shard: shard(6), Range: leat.HashKeyRange{Start: leat.HashKey{Lo: 1}, End: leat.MaxHashKey}}},
	}}
	raw := forward.PageOut(p)
	if got, err := forward.PageIn(raw); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("%+v, %v came of %+v", got, err, p)
	}
	var out internalv1.ReadResponse
	if err := proto.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*internalv1.Reshard){
		"no parents":       func(r *internalv1.Reshard) { r.Parents = nil },
		"no children":      func(r *internalv1.Reshard) { r.Children = nil },
		"a short hash key": func(r *internalv1.Reshard) { r.Children[0].StartingHashKey = []byte{1} },
		"a short stream":   func(r *internalv1.Reshard) { r.Parents[0].Shard.Stream = []byte{1} },
	} {
		bad := proto.CloneOf(&out)
		spoil(bad.Reshard)
		raw, err := proto.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := forward.PageIn(raw); err == nil {
			t.Errorf("%s: %+v was taken", name, got)
		}
	}
}

// Bytes that are no request are refused, whatever they are.
func FuzzIncoming(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 8 {
		f.Add(forward.Outgoing(leat.SessionID{1}, 3, somePuts(rnd)))
	}
	f.Add([]byte{0x1a, 0x02, 0x38, 0x05}) // a record of a shard that is not there
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, puts, err := forward.Incoming(raw)
		if err != nil {
			return
		}
		if len(puts) > leat.MaxPutRecords {
			t.Fatalf("%d records", len(puts))
		}
		again, back, err := forward.Incoming(forward.Outgoing(id, 1, puts))
		if err != nil || again != id || len(back) != len(puts) {
			t.Fatalf("%d records came back as %d: %v", len(puts), len(back), err)
		}
	})
}

// A request of more records than a put may have is refused before memory is taken for them.
func TestIncomingTooMany(t *testing.T) {
	puts := make([]shardstore.Put, leat.MaxPutRecords+1)
	if _, _, err := forward.Incoming(forward.Outgoing(leat.SessionID{1}, 1, puts)); err == nil {
		t.Error("it was taken")
	}
	r := newRig(t, 1, within)
	if err := r.nodes[0].router.Append(t.Context(), puts); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Errorf("the router said %v", err)
	}
}

// Errors keep what they say, and what may be done about them, on their way to another node.
func TestFaults(t *testing.T) {
	for _, sentinel := range []error{
		shardstore.ErrNotOwned, shardstore.ErrNotLive, shardstore.ErrResharded, shardstore.ErrOverloaded, shardstore.ErrUnknownOutcome,
	} {
		for _, err := range []error{sentinel, fmt.Errorf("more: %w", sentinel), &leat.Error{Kind: leat.KindUnavailable, Message: "m", Err: sentinel}} {
			got := forward.OverWire(err)
			if !errors.Is(got, sentinel) {
				t.Errorf("%v became %v", err, got)
			}
			if leat.KindOf(got) != leat.KindOf(err) {
				t.Errorf("%v became of kind %v", err, leat.KindOf(got))
			}
		}
	}
	if got := forward.OverWire(fmt.Errorf("%w: %w", shardstore.ErrUnknownOutcome, shardstore.ErrNotOwned)); !errors.Is(got, shardstore.ErrUnknownOutcome) || errors.Is(got, shardstore.ErrNotOwned) {
		t.Errorf("an unknown outcome became %v", got)
	}
	over := &shardstore.ReshardedError{Reshard: &shardstore.Reshard{
		ID: "r", Parents: []shardstore.ReshardParent{{Shard: shard(1)}}, Children: []shardstore.ReshardChild{{Shard: shard(2)}},
	}}
	if got := forward.OverWire(over); !reflect.DeepEqual(got, error(over)) {
		t.Errorf("%+v became %+v", over, got)
	}
	// It may have been executed, whatever else is known of it.
	if got := forward.OverWire(fmt.Errorf("%w: %w", shardstore.ErrUnknownOutcome, over)); !errors.Is(got, shardstore.ErrUnknownOutcome) || errors.Is(got, shardstore.ErrResharded) {
		t.Errorf("an unknown outcome of a closed shard became %v", got)
	}
	for _, k := range leat.Kinds() {
		var e *leat.Error
		got := forward.OverWire(&leat.Error{Kind: k, Field: "f", Message: "m", After: time.Second, Err: errors.New("cause")})
		if !errors.As(got, &e) || e.Kind != k || e.Field != "f" || e.Message != "m" || e.After != time.Second || e.Err.Error() != "cause" {
			t.Errorf("kind %s became %#v", k, got)
		}
	}
	if got := forward.OverWire(errors.New("a disk")); leat.KindOf(got) != leat.KindInternal || !strings.Contains(got.Error(), "a disk") {
		t.Errorf("an error without a kind became %v", got)
	}
	if got := forward.Unknown(); !errors.Is(got, shardstore.ErrUnknownOutcome) {
		t.Errorf("what a newer node says became %v", got)
	}
}

// Only who has the cluster's secret is let in, and only for the call and about the time that the token is for.
func TestCredentials(t *testing.T) {
	r := newRig(t, 1, within)
	n, now := r.nodes[0], time.Now().Unix()
	method := forward.Prefix + "Bounds"
	good := r.credentials(secret)
	for name, c := range map[string]struct {
		token string
		code  codes.Code
	}{
		"good":           {good.Sign(method, now), codes.FailedPrecondition}, // of the engine: it has no such session
		"a little old":   {good.Sign(method, now-20), codes.FailedPrecondition},
		"none":           {"", codes.Unauthenticated},
		"another secret": {r.credentials("the secret of another cluster").Sign(method, now), codes.Unauthenticated},
		"another method": {good.Sign(forward.Prefix+"Append", now), codes.Unauthenticated},
		"old":            {good.Sign(method, now-60), codes.Unauthenticated},
		"new":            {good.Sign(method, now+60), codes.Unauthenticated},
		"another time":   {strings.Replace(good.Sign(method, now), fmt.Sprint(now), fmt.Sprint(now+1), 1), codes.Unauthenticated},
		"cut short":      {good.Sign(method, now)[:40], codes.Unauthenticated},
		"no signature":   {fmt.Sprintf("1.%d.", now), codes.Unauthenticated},
		"another form":   {"2" + good.Sign(method, now)[1:], codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := grpc.NewClient("passthrough:///"+n.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			r.must(err)
			defer func() { _ = conn.Close() }() // the test is over
			ctx := t.Context()
			if c.token != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "leat-node", c.token)
			}
			id := make([]byte, 16)
			_, err = internalv1.NewEngineServiceClient(conn).Bounds(ctx, &internalv1.BoundsRequest{Session: id, Shard: &internalv1.Shard{Stream: id}})
			if status.Code(err) != c.code {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
	if _, err := forward.NewCredentials([]byte("short"), leat.SystemClock{}); err == nil {
		t.Error("a short secret was taken")
	}
}

// Where nodes have a secret that the database does not have in clear, the one that stands there makes no node; but while a node
// lives that knows no other, the two understand each other.
func TestSealedCredentials(t *testing.T) {
	var lives atomic.Bool
	method := forward.Prefix + "Bounds"
	former, err := forward.NewCredentials([]byte(secret), leat.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := forward.NewSealedCredentials([]byte("what the database does not tell"), []byte(secret), lives.Load, leat.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	another, err := forward.NewSealedCredentials([]byte("what somebody has made up"), []byte(secret), lives.Load, leat.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	call := func(from, to *forward.Credentials) bool {
		t.Helper()
		ctx := credentials.NewContextWithRequestInfo(t.Context(), credentials.RequestInfo{Method: method})
		tokens, err := from.GetRequestMetadata(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return to.Check(metadata.NewIncomingContext(ctx, metadata.New(tokens)), method) == nil
	}
	for _, is := range []bool{false, true, false} {
		lives.Store(is)
		for name, c := range map[string]struct {
			from, to *forward.Credentials
			taken    bool
		}{
			"beside each other":              {sealed, sealed, true},
			"by a node that has the former":  {former, sealed, is},
			"to a node that has the former":  {sealed, former, true},
			"with another secret beside it":  {another, sealed, is},
			"that have the former both, too": {former, former, true},
		} {
			if got := call(c.from, c.to); got != c.taken {
				t.Errorf("a node with the former secret lives: %v; a call %s is taken: %v", is, name, got)
			}
		}
	}
}

// A node with another secret is refused: its puts are certainly not executed.
func TestAppendRefusedToken(t *testing.T) {
	r := newRig(t, 1, within)
	r.open(shard(0), r.nodes[0])
	stranger, err := forward.NewRouter(forward.Config{
		Local: func() forward.Session { return nil }, Owners: r.owners, Credentials: r.credentials("another secret of theirs"), OwnerWithin: 20 * time.Millisecond,
	})
	r.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- stranger.Run(ctx) }()
	err = stranger.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "1")})
	if leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "not of this cluster") {
		t.Errorf("it ended with %v", err)
	}
	cancel()
	r.must(<-done)
	if err := stranger.Append(t.Context(), []shardstore.Put{put(shard(0), "a", "1")}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("after its end it said %v", err)
	}
}
