// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
)

func TestTallyNamesTheFirstFailures(t *testing.T) {
	tally, err := newTally("")
	if err != nil {
		t.Fatal(err)
	}
	tooLong := leat.Invalid("data", "too long")
	lines := rand.Perm(50) // fates come in any order
	for _, i := range lines {
		l := &line{Source: "a", Number: int64(i%25 + 1), Index: int64(i + 1)}
		if i >= 25 {
			l.Source = "b"
		}
		tally.read.Add(1)
		if i%2 == 0 {
			tally.settle(l, client.Placed{ShardID: leat.ShardID(uint64(i % 3))}, nil)
		} else {
			tally.settle(l, client.Placed{}, tooLong)
		}
	}
	var out bytes.Buffer
	c := &connection{Output: formatJSON}
	err = tally.report(t.Context(), c, &terminal{out: &out}, 2*time.Second, nil)
	want := "not every line was put: 50 read, 25 acknowledged, 25 failed; first failures: a line 2 (too long), a line 4 (too long)"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	var s summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.Complete || s.Acked != 25 || s.Failed != 25 || s.Shards != 3 || len(s.Failures) != firstFailures || s.Failures[9].Line != 20 {
		t.Errorf("got %+v", s)
	}
}

func TestTallyIsCompleteOnlyWhenItIs(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		about string
		ctx   context.Context
		spoil func(*tally)
		err   error
		want  string // "" for complete
	}{
		{"all is well", t.Context(), func(*tally) {}, nil, ""},
		{"a line without an answer", t.Context(), func(t *tally) { t.read.Add(1) }, nil, "1 without an answer"},
		{"the input broke", t.Context(), func(*tally) {}, errors.New("disk on fire"), "disk on fire"},
		{"interrupted", canceled, func(*tally) {}, nil, "interrupted before the end"},
		{"the server went away", t.Context(), func(t *tally) {
			t.read.Add(1)
			t.cut.Store(true)
			t.fail(&line{Source: "stdin", Number: 2, Index: 2}, &leat.Error{Kind: leat.KindUnavailable, Message: "nothing answers"})
		}, nil, "stopped before the end of the input"},
	} {
		tally, err := newTally("")
		if err != nil {
			t.Fatal(err)
		}
		tally.read.Add(1)
		tally.settle(&line{Source: "stdin", Number: 1, Index: 1}, client.Placed{ShardID: "s"}, nil)
		tc.spoil(tally)
		err = tally.report(tc.ctx, &connection{}, &terminal{out: &bytes.Buffer{}}, time.Second, tc.err)
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q in it", tc.about, err, tc.want)
		}
	}
}

func TestAckLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acks")
	tally, err := newTally(path)
	if err != nil {
		t.Fatal(err)
	}
	tally.settle(&line{Source: "f", Number: 7}, client.Placed{ShardID: "shardId-1", SequenceNumber: "42"}, nil)
	tally.settle(&line{Source: "f", Number: 8}, client.Placed{}, errors.New("no"))
	if err := tally.close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := `{"source":"f","line":7,"shard_id":"shardId-1","sequence_number":"42"}` + "\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := newTally(t.TempDir()); err == nil {
		t.Error("a folder is taken for a file")
	}
}

func TestErrorsAreOneLineWithARemedy(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{&leat.Error{Kind: leat.KindUnavailable, Op: "Dial", Message: "nothing answers at 127.0.0.1:4568"}, "leat: nothing answers at 127.0.0.1:4568: start a server with `leat dev` or set --endpoint\n"},
		{&leat.Error{Kind: leat.KindNotFound, Op: "PutRecords", Message: "Stream s under account 0 not found."}, "leat: Stream s under account 0 not found: see `leat stream list`, or make it with `leat stream create`\n"},
		{&leat.Error{Kind: leat.KindUnauthenticated, Message: "no token"}, "leat: no token: set --token or LEAT_TOKEN\n"},
		{errors.New("two\nlines"), "leat: two; lines\n"},
	} {
		var b bytes.Buffer
		if code := report(t.Context(), &terminal{err: &b}, tc.err); code != exitFailed || b.String() != tc.want {
			t.Errorf("got %d, %q, want %q", code, b.String(), tc.want)
		}
	}
}
