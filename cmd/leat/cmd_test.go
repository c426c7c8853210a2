// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/internal/s3test"
)

// outcome is what a command line came to.
type outcome struct {
	code     int
	out, err string
}

// leatAt returns a function that carries out command lines against a server.
func leatAt(t *testing.T, endpoint string) func(stdin string, args ...string) outcome {
	t.Helper()
	t.Setenv("LEAT_ENDPOINT", endpoint)
	return func(stdin string, args ...string) outcome {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, &terminal{in: strings.NewReader(stdin), out: &out, err: &errs}, nil)
		return outcome{code, out.String(), errs.String()}
	}
}

// ok fails the test unless the command did what it should, and returns its output.
func (o outcome) ok(t *testing.T) string {
	t.Helper()
	if o.code != 0 || o.err != "" {
		t.Fatalf("exit %d\n%s%s", o.code, o.out, o.err)
	}
	return o.out
}

// refused fails the test unless the command failed with one line that has these words.
func (o outcome) refused(t *testing.T, code int, words ...string) {
	t.Helper()
	if o.code != code || strings.Count(o.err, "\n") != 1 || !strings.HasPrefix(o.err, "leat: ") {
		t.Errorf("exit %d, want %d with one line; got %q", o.code, code, o.err)
	}
	for _, w := range words {
		if !strings.Contains(o.err, w) {
			t.Errorf("%q does not say %q", o.err, w)
		}
	}
}

// objects reads JSON lines.
func objects[T any](t *testing.T, text string) (out []T) {
	t.Helper()
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var v T
		err := dec.Decode(&v)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		out = append(out, v)
	}
}

func TestStreams(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	if got := leatCmd("", "stream", "create", "orders", "--shards", "2", "--retention", "48h").ok(t); got != "stream orders created: ACTIVE, 2 shards\n" {
		t.Errorf("got %q", got)
	}
	leatCmd("", "stream", "create", "clicks", "--on-demand", "--no-wait").ok(t)
	leatCmd("", "stream", "create", "orders", "--shards", "2").refused(t, 1, "orders")
	leatCmd("", "stream", "create", "x", "--shards", "2", "--retention", "90m").refused(t, 1, "24 to 8760")
	leatCmd("", "stream", "create", "x", "--shards", "2", "--on-demand").refused(t, 2, "stream create --help")

	got := objects[streamView](t, leatCmd("", "stream", "describe", "orders", "-o", "json").ok(t))
	if v := got[0]; v.Name != "orders" || v.RetentionHours != 48 || v.Mode != "PROVISIONED" || v.Status != "ACTIVE" || len(v.Shards) != 2 {
		t.Errorf("got %+v", v)
	}
	if got := leatCmd("", "stream", "describe", "orders").ok(t); !strings.Contains(got, "48h (2 days)") || !strings.Contains(got, "shardId-000000000001  open") {
		t.Errorf("got %s", got)
	}
	if got := objects[streamView](t, leatCmd("", "stream", "list", "-o", "json").ok(t)); len(got) != 2 || got[0].Name != "clicks" || got[0].Mode != "ON_DEMAND" {
		t.Errorf("got %+v", got)
	}
	leatCmd("", "stream", "update", "orders").refused(t, 1, "nothing to change")
	leatCmd("", "stream", "update", "orders", "--max-record-bytes", "2097152", "--on-demand").ok(t)
	if got := leatCmd("", "stream", "describe", "orders").ok(t); !strings.Contains(got, "2.0 MiB") || !strings.Contains(got, "ON_DEMAND") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "stream", "delete", "orders").refused(t, 1, "--yes")
	leatCmd("", "stream", "delete", "orders", "--yes").ok(t)
	leatCmd("", "stream", "describe", "orders").refused(t, 1, "orders", "leat stream list")
}

func TestReshardsAndConsumers(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "1").ok(t)
	leatCmd("", "stream", "split", "s", "0").ok(t)
	leatCmd("", "stream", "split", "s", "0").refused(t, 1)
	leatCmd("", "stream", "merge", "s", "1", "2").ok(t)
	leatCmd("", "stream", "scale", "s", "3").ok(t)
	var open int
	for _, v := range objects[shardView](t, leatCmd("", "shard", "list", "s", "-o", "json").ok(t)) {
		if v.state() == "open" {
			open++
		}
		if v.ID == leat.ShardID(3) && !slices.Equal(v.Parents, []string{leat.ShardID(1), leat.ShardID(2)}) {
			t.Errorf("the merged shard has parents %v", v.Parents)
		}
	}
	if all := objects[shardView](t, leatCmd("", "shard", "list", "s", "--open", "-o", "json").ok(t)); open != 3 || len(all) != 3 {
		t.Errorf("%d shards are open, --open lists %d, want 3", open, len(all))
	}
	leatCmd("", "consumer", "register", "s", "c").ok(t)
	leatCmd("", "consumer", "describe", "s", "c").ok(t)
	if got := objects[consumerView](t, leatCmd("", "consumer", "list", "s", "-o", "json").ok(t)); len(got) != 1 || got[0].Name != "c" || got[0].Status != "ACTIVE" {
		t.Errorf("got %+v", got)
	}
	leatCmd("", "stream", "delete", "s", "-y").refused(t, 1)
	leatCmd("", "consumer", "deregister", "s", "c").ok(t)
	leatCmd("", "consumer", "describe", "s", "c").refused(t, 1, "leat consumer list")
}

func TestNodesAndOwners(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "2").ok(t)
	nodes := objects[nodeView](t, leatCmd("", "node", "list", "-o", "json").ok(t))
	if len(nodes) != 1 || nodes[0].Name != "dev" || nodes[0].State != "LIVE" || !nodes[0].Leader || nodes[0].Shards != 2 || nodes[0].Session == "" {
		t.Fatalf("got %+v", nodes)
	}
	for _, v := range objects[shardView](t, leatCmd("", "shard", "list", "s", "-o", "json").ok(t)) {
		if v.Owner != nodes[0].Session || v.Epoch != 1 {
			t.Errorf("got %+v", v)
		}
	}
	for _, about := range []string{"shard list s", "stream describe s"} {
		if got := leatCmd("", strings.Fields(about)...).ok(t); !strings.Contains(got, "  dev  ") || !strings.Contains(got, "OWNER") {
			t.Errorf("%s: %s", about, got)
		}
	}
	leatCmd("", "node", "drain", "nobody").refused(t, 1, "leat node list")
	leatCmd("", "node", "drain", "dev").ok(t)
	if got := leatCmd("", "node", "list").ok(t); !strings.Contains(got, "DRAINING") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "node", "drain", "dev", "--undo").ok(t)
	if got := leatCmd("", "node", "list").ok(t); !strings.Contains(got, "LIVE") || !strings.Contains(got, nodes[0].Session) {
		t.Errorf("got %s", got)
	}
}

func TestTagsPoliciesAndMetrics(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--on-demand", "--warm-throughput", "5", "--tag", "team=red blue", "--tag", "env=a=b").ok(t)
	leatCmd("", "consumer", "register", "s", "c", "--tag", "of=c").ok(t)
	leatCmd("", "stream", "tag", "s", "env=prod", "empty=").ok(t)
	leatCmd("", "stream", "tag", "s", "novalue").refused(t, 1, "NAME=VALUE")
	leatCmd("", "stream", "untag", "s", "empty", "none").ok(t)
	if got := leatCmd("", "stream", "tags", "s").ok(t); got != "TAG   VALUE\nenv   prod\nteam  red blue\n" {
		t.Errorf("got %q", got)
	}
	if got := objects[map[string]string](t, leatCmd("", "stream", "tags", "s", "--consumer", "c", "-o", "json").ok(t)); len(got) != 1 || got[0]["name"] != "of" || got[0]["value"] != "c" {
		t.Errorf("got %v", got)
	}
	if got := objects[map[string]string](t, leatCmd("", "stream", "monitor", "s", "--enable", "ALL", "-o", "json").ok(t)); len(got) != 7 {
		t.Errorf("got %v", got)
	}
	leatCmd("", "stream", "monitor", "s", "--enable", "Nonsense").refused(t, 1, "IncomingBytes")
	leatCmd("", "stream", "monitor", "s", "--disable", "IncomingBytes,OutgoingBytes,OutgoingRecords").ok(t)
	v := objects[streamView](t, leatCmd("", "stream", "describe", "s", "-o", "json").ok(t))[0]
	want := []string{"IncomingRecords", "IteratorAgeMilliseconds", "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded"}
	if !slices.Equal(v.Monitoring, want) || v.WarmThroughput != 5 || v.OpenShards != 5 || v.Tags["team"] != "red blue" || len(v.Tags) != 2 {
		t.Errorf("got %+v", v)
	}
	leatCmd("", "stream", "update", "s", "--warm-throughput", "7").ok(t)
	if got := leatCmd("", "stream", "describe", "s").ok(t); !strings.Contains(got, "7 MiB/s") || !strings.Contains(got, "Tag env") || !strings.Contains(got, "Open shards      7") {
		t.Errorf("got %s", got)
	}

	if got := leatCmd("", "stream", "events", "s"); got.code != 0 || got.out != "" || !strings.Contains(got.err, "was not scaled by its load") {
		t.Errorf("got %+v", got)
	}
	leatCmd("", "stream", "events", "s", "--limit=-1").refused(t, 1, "page_size")
	leatCmd("", "stream", "encrypt", "s", "--key", "alias/mine").ok(t)
	if got := leatCmd("", "stream", "describe", "s").ok(t); !strings.Contains(got, "Encrypted under  alias/mine") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "stream", "decrypt", "s").ok(t)
	if v := objects[streamView](t, leatCmd("", "stream", "describe", "s", "-o", "json").ok(t))[0]; v.EncryptionKey != "" {
		t.Errorf("got %+v", v)
	}

	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:GetRecords","Resource":"*"}}`
	leatCmd(policy, "stream", "policy", "s", "--put", "-").ok(t)
	if got := leatCmd("", "stream", "policy", "s").ok(t); got != policy+"\n" {
		t.Errorf("got %q", got)
	}
	leatCmd("{}", "stream", "policy", "s", "--put", "-").refused(t, 1, "Version")
	leatCmd("", "stream", "policy", "s", "--delete").ok(t)
	leatCmd("", "stream", "policy", "s", "--delete").refused(t, 1, "No resource policy")
}

func TestAccount(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "3").ok(t)
	if got := leatCmd("", "account", "limits", "-o", "json").ok(t); !strings.Contains(got, `"quota":"open_shards","used":3}`) {
		t.Errorf("got %s", got)
	}
	if got := leatCmd("", "account", "settings").ok(t); !strings.Contains(got, "DISABLED") {
		t.Errorf("got %s", got)
	}
	leatCmd("", "account", "settings", "--commit").ok(t)
	got := objects[settingsView](t, leatCmd("", "account", "settings", "--no-commit", "-o", "json").ok(t))
	if got[0].Commitment != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" || got[0].Started == "" || got[0].EarliestEnd == "" {
		t.Errorf("got %+v", got)
	}
}

func TestPutAndGet(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "2").ok(t)
	if got := leatCmd("", "put", "s", "first", "--key", "k").ok(t); !strings.HasPrefix(got, "put to shardId-") {
		t.Errorf("got %q", got)
	}
	put := objects[map[string]string](t, leatCmd("all of\nstdin", "put", "s", "--key", "k", "-o", "json").ok(t))[0]
	if put["partition_key"] != "k" || len(put["sequence_number"]) != 56 {
		t.Errorf("got %v", put)
	}
	if got := leatCmd("", "get", "s").ok(t); got != "first\nall of\nstdin\n" {
		t.Errorf("got %q", got)
	}
	got := objects[recordView](t, leatCmd("", "get", "s", "-o", "json").ok(t))
	if len(got) != 2 || *got[1].Text != "all of\nstdin" || got[1].SequenceNumber != put["sequence_number"] || got[1].PartitionKey != "k" {
		t.Errorf("got %+v", got)
	}
	leatCmd("", "put", "s", "x", "--key", "k", "--explicit-hash-key", "0").ok(t)
	if got := leatCmd("", "get", "s", "--shard", "0", "-v").ok(t); !strings.Contains(got, "shardId-000000000000") || !strings.HasSuffix(got, "  x\n") {
		t.Errorf("got %q", got)
	}
	if got := leatCmd("", "get", "s", "--limit", "1").ok(t); strings.Count(got, "\n") > 2 {
		t.Errorf("got %q", got)
	}
	for _, from := range []string{"1h", "2020-01-01"} {
		if got := leatCmd("", "get", "s", "--from", from, "-o", "json").ok(t); len(objects[recordView](t, got)) != 3 {
			t.Errorf("from %s: got %s", from, got)
		}
	}
	if got := leatCmd("", "get", "s", "--from", "latest").ok(t); got != "" {
		t.Errorf("got %q", got)
	}
	leatCmd("", "get", "s", "--from", "soon").refused(t, 1, "ten minutes ago")
	leatCmd("", "get", "none").refused(t, 1, "none")
	leatCmd("", "put", "none", "x").refused(t, 1, "none")
	leatCmd("", "put", "s", "two", "values").refused(t, 1, "quote")
	leatCmd(strings.Repeat("x", 1<<20+1), "put", "s").refused(t, 1, "--max-record-bytes")
}

func TestPutLines(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "4").ok(t)
	var input strings.Builder
	const n = 5000
	for i := range n {
		fmt.Fprintf(&input, "2026-11-20 13:46:%02d key%d line-%d\n", i%60, i%23, i)
	}
	acks := filepath.Join(t.TempDir(), "acks")
	if got := leatCmd(input.String(), "put", "s", "--lines", "--key-column", "3", "--ack-log", acks).ok(t); !strings.HasPrefix(got, "5,000 records put to 4 shards in ") {
		t.Errorf("got %q", got)
	}
	checkLines(t, leatCmd("", "get", "s", "-o", "json").ok(t), strings.Split(strings.TrimSpace(input.String()), "\n"))
	log, err := os.ReadFile(acks)
	if err != nil || strings.Count(string(log), "\n") != n {
		t.Errorf("the ack log has %d lines, %v", strings.Count(string(log), "\n"), err)
	}

	long := strings.Repeat("x", 1<<20+1)
	bad := leatCmd("a 1\nb\nc 3\n"+long+"\nd 4", "put", "s", "--lines", "--key-column", "2")
	bad.refused(t, 1, "5 read, 3 acknowledged, 2 failed", "stdin line 2 (it has no column 2", "stdin line 4 (1048577 bytes")
	if !strings.HasPrefix(bad.out, "3 records put to ") {
		t.Errorf("got %q", bad.out)
	}
	leatCmd("x", "put", "s", "--lines", "--explicit-hash-key", "0").refused(t, 1, "--lines")
	leatCmd("x", "put", "s", "--lines", "no such file").refused(t, 1, "no such file")
}

// checkLines fails unless the records, as JSON, are the lines: each once, and those of a key in their order. The key is the third
// column.
func checkLines(t *testing.T, got string, lines []string) {
	t.Helper()
	want := map[string][]string{} // by key
	for _, l := range lines {
		key := strings.Fields(l)[2]
		want[key] = append(want[key], l)
	}
	have := map[string][]string{}
	for _, r := range objects[recordView](t, got) {
		have[r.PartitionKey] = append(have[r.PartitionKey], *r.Text)
	}
	for key, lines := range want {
		if !slices.Equal(have[key], lines) {
			t.Errorf("key %s: %d records are not its %d lines in their order", key, len(have[key]), len(lines))
		}
	}
	if len(have) != len(want) {
		t.Errorf("%d keys, want %d", len(have), len(want))
	}
}

// screen is a terminal's output that can be waited for.
type screen struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func newScreen() *screen { return &screen{grown: make(chan struct{}, 1)} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.grown <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

// await returns when the screen shows a text.
func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		shown := s.text.String()
		s.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		select {
		case <-s.grown:
		case <-deadline:
			t.Fatalf("%q never came; got %q", text, shown)
		}
	}
}

func TestTail(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "3").ok(t)
	leatCmd("1\n2\n3\n4\n5\n", "put", "s", "--lines", "--key", "k").ok(t)
	if got := leatCmd("", "tail", "s", "-n", "2").ok(t); got != "4\n5\n" {
		t.Errorf("got %q", got)
	}
	if got := leatCmd("", "tail", "s").ok(t); got != "1\n2\n3\n4\n5\n" {
		t.Errorf("got %q", got)
	}
	for _, args := range [][]string{{"-n", "1"}, {"-n", "0", "--poll"}} {
		ctx, cancel := context.WithCancel(t.Context())
		out := newScreen()
		var errs bytes.Buffer
		done := make(chan int, 1)
		go func() {
			done <- run(ctx, append([]string{"tail", "s", "-f"}, args...), &terminal{in: strings.NewReader(""), out: out, err: &errs}, nil)
		}()
		if args[1] == "1" {
			out.await(t, "5\n")
		}
		// What is put while the reader is on its way to the tail may be missed with -n 0: put until one is seen.
		stop := make(chan struct{})
		var puts sync.WaitGroup
		puts.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					leatCmd("", "put", "s", "again").ok(t)
				}
			}
		})
		out.await(t, "again\n")
		close(stop)
		puts.Wait()
		cancel()
		if code := <-done; code != 0 || errs.Len() > 0 {
			t.Errorf("%v: exit %d, %s", args, code, errs.String())
		}
		leatCmd("5\n", "put", "s", "--lines").ok(t)
	}
	if got := leatCmd("", "consumer", "list", "s", "-o", "json").ok(t); got != "" {
		t.Errorf("consumers are left behind: %s", got)
	}
}

func TestNothingAnswers(t *testing.T) {
	srv := leattest.Start(t)
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	leatCmd := leatAt(t, srv.Endpoint)
	for _, args := range [][]string{{"stream", "list"}, {"put", "s", "x"}, {"get", "s"}, {"tail", "s"}} {
		leatCmd("", args...).refused(t, 1, "nothing answers at "+srv.Endpoint+": start a server with `leat dev` or set --endpoint")
	}
}

func TestCalledWrongly(t *testing.T) {
	leatCmd := leatAt(t, "127.0.0.1:1")
	leatCmd("").refused(t, 2, "leat --help")
	leatCmd("", "put").refused(t, 2, "leat put --help")
	leatCmd("", "stream", "creat").refused(t, 2, "creat")
	leatCmd("", "get", "s", "-o", "yaml").refused(t, 2, "yaml")
	leatCmd("", "put", "s", "--key-column", "1", "--key-json", "a").refused(t, 2, "key")
	leatCmd("", "stream", "list", "--endpoint", "nowhere").refused(t, 1, "host:port")
	if got := leatCmd("", "version").ok(t); !strings.HasPrefix(got, "leat dev (go") {
		t.Errorf("got %q", got)
	}
	if o := leatCmd("", "put", "--help"); o.code != 0 || !strings.Contains(o.out, "--key-column") {
		t.Errorf("got %+v", o)
	}
}

func TestBench(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	o := leatCmd("", "bench", "--for", "30ms", "--rounds", "1", "--read-mib", "1", "--in-flight", "2", "--callers", "1,4", "-o", "json")
	names := map[string]bool{}
	for _, r := range objects[result](t, o.ok(t)) {
		names[r.Name] = true
		if (r.Value < 0 && !strings.HasPrefix(r.Name, "pushed after")) || (r.FloorName != "" && (r.Floor <= 0 || r.Ratio <= 0)) {
			t.Errorf("got %+v", r)
		}
	}
	for _, want := range []string{"put, batches of 500", "single puts, 1 caller, p50", "single puts, 4 callers", "catch-up reads", "put to its subscriber, p50"} {
		if !names[want] {
			t.Errorf("%q is not among %v", want, names)
		}
	}
	if got := leatCmd("", "stream", "list", "-o", "json"); got.out != "" {
		t.Errorf("a stream is left behind: %s", got.out)
	}
	if o := leatCmd("", "bench", "push", "--for", "10ms", "--rounds", "2", "--warm-up", "0s", "--keep"); o.code != 0 { // and says that the stream is kept
		t.Errorf("got %+v", o)
	}
	kept := objects[struct {
		Name string `json:"name"`
	}](t, leatCmd("", "stream", "list", "-o", "json").ok(t))
	if got := leatCmd("", "consumer", "list", kept[0].Name, "-o", "json").ok(t); got != "" {
		t.Errorf("a consumer is left behind: %s", got)
	}
	leatCmd("", "bench", "--batch", "501").refused(t, 1, "from 1 to 500")
	leatCmd("", "bench", "frobnicate").refused(t, 2, "frobnicate")
}

func TestBenchBesideAnObjectStore(t *testing.T) {
	store := s3test.Start(t)
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	args := []string{"bench", "put", "--for", "200ms", "--rounds", "1", "--in-flight", "2", "-o", "json"}
	store3 := []string{"--s3-endpoint", "http://" + store.Endpoint, "--s3-bucket", store.Bucket(t), "--s3-access-key", store.AccessKey, "--s3-secret-key", store.SecretKey}
	var found bool
	for _, r := range objects[result](t, leatCmd("", append(args, store3...)...).ok(t)) {
		found = found || (strings.HasPrefix(r.FloorName, "PUT of 4 MiB") && r.Floor > 0 && r.Ratio > 0)
	}
	if !found {
		t.Error("the object store was not measured")
	}
	leatCmd("", append(args, "--s3-endpoint", "nowhere")...).refused(t, 1, "--s3-bucket")
}

// A shard that throttles does not change the order of a key's records.
func TestLinesKeepOrderUnderLimits(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t, leattest.WithShardLimits()).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "2").ok(t)
	var lines []string
	for i := range 6000 {
		lines = append(lines, fmt.Sprintf("a b key%d %d %s", i%5, i, strings.Repeat("x", (i*i*7919)%400)))
	}
	leatCmd(strings.Join(lines, "\n"), "put", "s", "--lines", "--key-column", "3").ok(t)
	checkLines(t, leatCmd("", "get", "s", "-o", "json").ok(t), lines)
}
