// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// Without the token nobody gets anything but health.
func TestServeAsksForTheToken(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "node", b)
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	for about, token := range map[string]string{"no token": "", "a wrong token": "token-that-is-not-the-one"} {
		t.Run(about, func(t *testing.T) {
			c, err := client.Dial(n.GRPC, client.WithToken(token))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Streams.ListStreams(t.Context(), &leatv1.ListStreamsRequest{})
			if leat.KindOf(err) != leat.KindUnauthenticated {
				t.Errorf("gRPC answers %v", err)
			}
			if err := putOne(t.Context(), c, "s", "k", nil); leat.KindOf(err) != leat.KindUnauthenticated {
				t.Errorf("gRPC takes a put: %v", err)
			}
			if code, body := rest(t, n, http.MethodGet, "/v1/streams", token, ""); code != http.StatusUnauthorized || !strings.Contains(body, "UNAUTHENTICATED") {
				t.Errorf("REST answers %d: %s", code, body)
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if code, body := rest(t, n, http.MethodGet, path, token, ""); code != http.StatusOK {
					t.Errorf("%s answers %d: %s", path, code, body)
				}
			}
			refused(t, rig.Run(t, []string{"LEAT_ENDPOINT=" + n.GRPC, "LEAT_TOKEN=" + token}, "stream", "list"), 1, "--token", "LEAT_TOKEN")
		})
	}
	if code, body := rest(t, n, http.MethodGet, "/v1/streams", n.Token, ""); code != http.StatusOK || !strings.Contains(body, `"s"`) {
		t.Errorf("with the token REST answers %d: %s", code, body)
	}
	if got := getJSON(t, n, "s"); len(got) != 0 {
		t.Errorf("%d records were put without the token", len(got))
	}
	if strings.Contains(n.Log(), n.Token) || strings.Contains(n.Log(), b.S3.SecretKey) {
		t.Error("the log shows a secret")
	}
	n.Stop(t)
	b.Check(t)
}

// With --share-shards=false a second node serves nothing while the first one lives, takes over when that is killed, with every acknowledged
// record, and hands over at once on SIGTERM.
func TestServeStandsByAndTakesOver(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	b.Alone = true
	one, two := rig.Serve(t, "one", b, "--shard-limits", "off"), rig.Serve(t, "two", b, "--shard-limits", "off")
	one.Start(t)
	rig.Must(t, one.Env(), "stream", "create", "logs", "--shards", "4")
	two.Launch(t)
	awaitStandBy(t, two, "one")
	refusesAll(t, two)

	lines := realInput(t)
	acks := filepath.Join(t.TempDir(), "acks")
	p := startPut(t, one, lines, 2, "put", "logs", "--lines", "--key-column", "3", "--ack-log", acks)
	awaitAcked(t, one, len(lines)/10)
	refusesAll(t, two)
	one.Kill(t)
	killed := time.Now()
	two.Await(t)
	t.Logf("the second node serves %v after kill -9 of the first", time.Since(killed).Round(10*time.Millisecond))
	p.next(t)
	p.Signal(t, syscall.SIGINT)
	if r := p.Wait(t); r.Code != 1 || !strings.Contains(r.Stderr, "not every line was put") || !strings.Contains(r.Stderr, "interrupted") {
		t.Errorf("an interrupted put ended with exit status %d: %s", r.Code, r.Stderr)
	}
	checkAcked(t, lines, getJSON(t, two, "logs"), acks)

	one.Launch(t)
	awaitStandBy(t, one, "two")
	rig.Must(t, two.Env(), "put", "logs", "before the hand-over", "--key", "k")
	two.Stop(t)
	stopped := time.Now()
	one.Await(t)
	t.Logf("the first node serves %v after SIGTERM of the second", time.Since(stopped).Round(10*time.Millisecond))
	if n := strings.Count(one.Log(), "recovered a session"); n != 0 {
		t.Errorf("a hand-over by SIGTERM left %d sessions to recover", n)
	}
	got := getJSON(t, one, "logs")
	checkAcked(t, lines, got, acks)
	if !slices.ContainsFunc(got, func(r record) bool { return string(r.Data) == "before the hand-over" }) {
		t.Error("the last record before the hand-over is not there")
	}
	rig.Must(t, one.Env(), "put", "logs", "after the hand-over", "--key", "k")
	one.Stop(t)
	b.Check(t)
}

// leat put ends by itself, and says so, when the server stays away for longer than it tries again.
func TestPutGivesUp(t *testing.T) {
	t.Parallel()
	n := rig.Dev(t, "dev", filepath.Join(t.TempDir(), "data"))
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "logs", "--shards", "4")
	p := startPut(t, n, realInput(t), 2, "put", "logs", "--lines", "--key-column", "3", "--retry-for", "1s")
	awaitAcked(t, n, 1000)
	n.Kill(t)
	killed := time.Now()
	p.next(t)
	if r := p.Wait(t); r.Code != 1 || !strings.Contains(r.Stderr, "not every line was put") {
		t.Errorf("put to a dead server ended with exit status %d: %s", r.Code, r.Stderr)
	}
	took := time.Since(killed)
	t.Logf("put gave up %v after the server's death", took.Round(10*time.Millisecond))
	if took > 20*time.Second {
		t.Errorf("put gave up after %v", took)
	}
}

// awaitStandBy waits until a node says that it stands by for another one.
func awaitStandBy(t *testing.T, n *rig.Node, leader string) {
	t.Helper()
	rig.Eventually(t, rig.Patience, "the node stands by", func() error {
		err := n.Ready(t.Context())
		var not *rig.NotReady
		if !errors.As(err, &not) {
			return fmt.Errorf("readyz: %w", errors.Join(err, errors.New("it is no 503")))
		}
		if said := strings.Join(not.Reasons(), "; "); not.Code != http.StatusServiceUnavailable || !strings.Contains(said, "stands by") || !strings.Contains(said, leader) {
			return not
		}
		return nil
	})
}

// refusesAll checks that a node that stands by answers puts and reads with Unavailable, and says why.
func refusesAll(t *testing.T, n *rig.Node) {
	t.Helper()
	c := n.Dial(t)
	put := putOne(t.Context(), c, "logs", "k", []byte("never"))
	_, read := c.Records.GetShardIterator(t.Context(), &leatv1.GetShardIteratorRequest{Stream: "logs", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST}})
	for what, err := range map[string]error{"a put": put, "an iterator": read} {
		if leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "stands by") {
			t.Errorf("a node that stands by answers %s with %v", what, err)
		}
	}
	code, body := rest(t, n, http.MethodPost, "/v1/streams/logs/records", n.Token, `{"partition_key":"k"}`)
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "stands by") {
		t.Errorf("a node that stands by answers REST with %d: %s", code, body)
	}
}

// checkAcked checks that what the ack log names is in the stream, at its place, once.
func checkAcked(t *testing.T, lines []string, got []record, file string) {
	t.Helper()
	at := map[string]string{}
	for _, r := range got {
		if _, twice := at[r.ShardID+r.SequenceNumber]; twice {
			t.Errorf("%s %s was read twice", r.ShardID, r.SequenceNumber)
		}
		at[r.ShardID+r.SequenceNumber] = string(r.Data)
	}
	acks := readAcks(t, file)
	for _, ack := range acks {
		if data, ok := at[ack.ShardID+ack.SequenceNumber]; !ok || data != lines[ack.Line-1] {
			t.Fatalf("line %d was acknowledged at %s %s, where there is %q (%v)", ack.Line, ack.ShardID, ack.SequenceNumber, data, ok)
		}
	}
	t.Logf("%d acknowledged lines are among %d records", len(acks), len(got))
	if len(acks) == 0 {
		t.Error("no line was acknowledged")
	}
}

// ack is a line of --ack-log.
type ack struct {
	Line           int    `json:"line"`
	ShardID        string `json:"shard_id"`
	SequenceNumber string `json:"sequence_number"`
}

func readAcks(t *testing.T, file string) (out []ack) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for d.More() {
		var a ack
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// A node that is pointed at another bucket than the one that holds the database's records refuses to start, before it
// decides from what is not there how a session has ended. Back on the right bucket nothing is lost.
func TestServeRefusesAnotherBucket(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "node", b)
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	rig.Must(t, n.Env(), "put", "s", "acknowledged", "--key", "k")
	n.Kill(t)
	other := *b
	other.Bucket = b.S3.Bucket(t)
	r := rig.Run(t, other.Env(), "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0")
	refused(t, r, 1, "--s3-bucket", other.Bucket)
	n.Start(t)
	if got := getJSON(t, n, "s"); len(got) != 1 {
		t.Errorf("LOST: %d records are there, want 1", len(got))
	}
	n.Stop(t)
	b.Check(t)
}
