// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// roomy is an engine that has room for plans and nothing else.
func roomy(memory int64) *Engine {
	return &Engine{cfg: Config{Memory: memory, Clock: leat.SystemClock{}}, work: semaphore.NewWeighted(memory), again: semaphore.NewWeighted(memory / 2), beyond: semaphore.NewWeighted(memory), alone: semaphore.NewWeighted(1)}
}

func (e *Engine) mustRoom(t *testing.T, account string, size int64) *room {
	t.Helper()
	patience, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := e.room(patience, account, size, 0, false)
	if err != nil {
		t.Fatalf("there is no room for a plan of account %s: %v", account, err)
	}
	return r
}

// A plan that is larger than its account's share takes all of the share, and of the node what it is.
func TestRoomIsWhatAPlanTakes(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	a := e.mustRoom(t, "a", 20<<20)
	if !e.work.TryAcquire(24<<20) || e.work.TryAcquire(1) {
		t.Error("40 MiB of 64 are taken otherwise")
	}
	e.work.Release(24 << 20)
	if a.of.work.TryAcquire(1) {
		t.Error("the account has something left")
	}
	b := e.mustRoom(t, "b", 4<<20)
	if !b.of.work.TryAcquire(8 << 20) {
		t.Error("an account has not what is left of its share")
	}
	b.of.work.Release(8 << 20)
	b.free()
	a.free()
	parquet, err := e.room(t.Context(), "a", 8<<20, 16<<20, false)
	if err != nil || !e.work.TryAcquire(32<<20) || e.work.TryAcquire(1) || parquet.left() != 8<<20 {
		t.Fatalf("with columns: %v", err)
	}
	e.work.Release(32 << 20)
	parquet.free()
	huge := e.mustRoom(t, "a", 1<<30)
	huge.free()
	if !e.work.TryAcquire(64 << 20) {
		t.Error("something is kept")
	}
}

// Plans that failed leave half of the bytes to those that did not, however many accounts they are of, and hold up none of those
// while they wait for each other.
func TestRoomOfPlansThatFailed(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	over, cancel := context.WithCancel(t.Context())
	for _, account := range []string{"a", "b"} {
		if _, err := e.room(over, account, 8<<20, 0, true); err != nil {
			t.Fatal(err)
		}
	}
	third := make(chan error)
	go func() {
		_, err := e.room(over, "c", 8<<20, 0, true)
		third <- err
	}()
	for e.again.TryAcquire(0) { // until somebody waits there
		runtime.Gosched()
	}
	one := e.mustRoom(t, "d", 8<<20)
	e.mustRoom(t, "e", 8<<20)
	one.free()
	cancel()
	if err := <-third; err == nil {
		t.Error("plans that failed have more than half")
	}
}

// One that failed has no more than half either, however large it is.
func TestRoomOfALargePlanThatFailed(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	r, err := e.room(t.Context(), "a", 1<<30, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if !e.work.TryAcquire(32 << 20) {
		t.Fatal("it has more than half")
	}
	e.work.Release(32 << 20)
	r.free()
	if !e.work.TryAcquire(64<<20) || !e.again.TryAcquire(32<<20) {
		t.Error("something is kept")
	}
}

// Plans that become larger share what there is for that, by accounts; one at a time goes beyond, so that no two wait for each
// other.
func TestRoomForMore(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	var all []*room
	for _, account := range []string{"a", "a", "b"} {
		all = append(all, e.mustRoom(t, account, 4<<20))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel() // whoever has to wait fails
	more := func(i int, waits bool) {
		t.Helper()
		if err := all[i].more(over); (err != nil) != waits {
			t.Errorf("plan %d: %v", i, err)
		}
	}
	more(0, false)
	more(0, false)
	if got := all[0].left(); got != 16<<20 {
		t.Errorf("%d bytes are left", got)
	}
	more(1, false) // the last four of the account's share
	more(1, true)
	more(2, false)
	if err := all[0].more(t.Context()); err != nil || all[0].left() != math.MaxInt64 {
		t.Errorf("alone: %v, %d", err, all[0].left())
	}
	more(1, true)
	all[0].free()
	if err := all[1].more(t.Context()); err != nil {
		t.Error(err)
	}
	all[1].free()
	all[2].free()
	if !e.work.TryAcquire(64<<20) || !e.beyond.TryAcquire(64<<20) || !e.alone.TryAcquire(1) {
		t.Error("something is kept")
	}
}

// An account's plans wait for each other before they wait for another account's.
func TestAccountsTakeTurnsToGoFurther(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	first := e.further(t, "a")
	more := func(r *room, waits func() bool) <-chan error {
		got := make(chan error, 1)
		go func() { got <- r.more(t.Context()) }()
		for !waits() {
			runtime.Gosched()
		}
		return got
	}
	second, other := e.mustRoom(t, "a", 4<<20), e.mustRoom(t, "b", 4<<20)
	late := more(second, func() bool { return !first.of.alone.TryAcquire(0) || e.waiting.Load() == 1 })
	theirs := more(other, func() bool { return !e.alone.TryAcquire(0) })
	first.free()
	select {
	case err := <-theirs:
		if err != nil {
			t.Fatal(err)
		}
	case err := <-late:
		t.Fatalf("the account goes on before another one's turn: %v", err)
	}
	other.free()
	if err := <-late; err != nil {
		t.Fatal(err)
	}
}

// doubles writes what it gets twice, and refuses what begins with "no".
type doubles struct{ w io.Writer }

func (d doubles) Add(b []byte) error {
	if strings.HasPrefix(string(b), "no") {
		return &spec.Unfit{}
	}
	_, err := d.w.Write(append(b[:len(b):len(b)], b...))
	return err
}

func (doubles) Close() error { return nil }

// An object that is larger than there was room for is made again, once there is: as if it had been at first.
func TestEncodeWithMoreRoom(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	j := &job{
		t: &tools{encode: func(w io.Writer) (spec.Encoder, error) { return doubles{w}, nil }}, p: &plan{}, room: e.mustRoom(t, "a", 1<<20),
		records: []spec.Record{{Offset: 1}, {Offset: 2}}, stands: []bool{true, true},
		outputs: []spec.Output{{Source: 0, Data: []byte("no")}, {Source: 1, Data: make([]byte, 1<<20)}},
	}
	d := &draft{outputs: []int{0, 1}}
	if err := j.encode(t.Context(), d); err != nil || len(d.body) != 2<<20 || d.Units != 1 || d.Records != 1 || len(j.failed) != 1 {
		t.Errorf("%v: %d bytes, %d units, %d records, %d failed", err, len(d.body), d.Units, d.Records, len(j.failed))
	}
	if left := j.room.left(); left != 0 || j.room.alone {
		t.Errorf("%d bytes are left, alone %v", left, j.room.alone)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	e.alone.TryAcquire(1)
	j.outputs[1].Data = make([]byte, 8<<20)
	if err := j.encode(over, &draft{outputs: []int{0, 1}}); !errors.Is(err, context.Canceled) {
		t.Errorf("without room: %v", err)
	}
}

// Parts count though there is next to nothing in them: those of a range may be millions.
func TestBoundCountsParts(t *testing.T) {
	t.Parallel()
	var r spec.Result
	for i := range 12 {
		r.Outputs = append(r.Outputs, spec.Output{Source: i / 6, Data: []byte("x")})
	}
	left := int64(1000)
	bound(&r, &left)
	if len(r.Outputs) != 6 || len(r.Failed) != 1 || r.Failed[0].Source != 1 || left < 400 || left > 500 {
		t.Errorf("%d outputs, %d failed, %d bytes left", len(r.Outputs), len(r.Failed), left)
	}
}

// away is a network on which nothing answers.
type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the bucket is away")
}

// A plan of which a put has failed does not wait for its turn to go further.
func TestAPutThatFailedEndsTheWaitForRoom(t *testing.T) {
	t.Parallel()
	e := roomy(64 << 20)
	e.beyond.TryAcquire(e.cfg.Memory)
	e.alone.TryAcquire(1)
	b, err := S3{Transport: away{}}.open(&spec.S3{Bucket: "bucket", Endpoint: "http://s3.example", Region: "r", AccessKey: "a", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	j := &job{
		e: e, delivery: &spec.Delivery{}, p: &plan{}, room: e.mustRoom(t, "a", 1<<20), records: make([]spec.Record, 2), stands: []bool{true, true},
		t:       &tools{encode: func(w io.Writer) (spec.Encoder, error) { return doubles{w}, nil }, bucket: b},
		outputs: []spec.Output{{Source: 0, Data: []byte("small")}, {Source: 1, Data: make([]byte, 8<<20)}},
		objects: []*draft{{Object: Object{Key: "a"}, bucket: b, outputs: []int{0}}, {Object: Object{Key: "b"}, bucket: b, outputs: []int{1}}},
	}
	patience, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := j.write(patience); err == nil || patience.Err() != nil || !strings.Contains(err.Error(), "the bucket is away") {
		t.Errorf("written: %v", err)
	}
}

// A plan that is read again takes what it says, and one of an older version no more than so many records may have.
func TestRoomOfAPlanThatIsReadAgain(t *testing.T) {
	t.Parallel()
	w := &worker{e: roomy(512 << 20)}
	c := &tools{config: spec.Config{Buffer: spec.Buffer{Bytes: 1 << 20}, Partitioning: &spec.Partitioning{}}}
	for _, p := range []struct {
		parts []Part
		want  int64
	}{
		{[]Part{{End: 3, Bytes: 1000}, {Shard: 1, First: 5, End: 6, Bytes: 10}}, 1010 + 4*recordOverhead},
		{[]Part{{End: 3}}, 3 * (leat.MaxRecordBytes + recordOverhead)},
		{[]Part{{End: 1000, Bytes: 1000}, {Shard: 1, End: 1000}}, 128<<20 + 2000*recordOverhead},
	} {
		if got := w.size(&plan{parts: p.parts}, c); got != p.want {
			t.Errorf("%+v: %d bytes, want %d", p.parts, got, p.want)
		}
	}
}
