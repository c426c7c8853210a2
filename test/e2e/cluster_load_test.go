// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// What a cluster at rest asks of PostgreSQL, and how long a third of its shards are away when a node dies. With
// LEAT_SCALE_SHARDS=5000 this is the measurement of docs/scale.md.
func TestClusterOfManyShards(t *testing.T) {
	t.Parallel()
	shards := 300
	if s := os.Getenv("LEAT_SCALE_SHARDS"); s != "" {
		var err error
		if shards, err = strconv.Atoi(s); err != nil {
			t.Fatalf("LEAT_SCALE_SHARDS: %v", err)
		}
	}
	b := rig.NewBackend(t)
	c := &clusterTest{T: t, Cluster: rig.NewCluster(t, b, 3, "--shard-limits", "off")}
	c.Start(t)
	const aStream = 1000
	for left := shards; left > 0; left -= aStream {
		rig.Must(t, c.Nodes[0].Env(), "stream", "create", fmt.Sprintf("s%d", left), "--shards", strconv.Itoa(min(left, aStream)))
	}
	rig.Must(t, c.Nodes[0].Env(), "stream", "create", "s", "--shards", strconv.Itoa(clusterShards))
	c.AwaitBalance(t, 3, shards/4, 2*time.Minute)
	c.rests(shards + clusterShards)

	c.logStatements()
	before := len(c.postgresLog())
	if rate := c.asked("at rest", shards, c.hold); rate > 50 {
		t.Errorf("at rest that is more than 50; most often:\n%s", oftenest(c.postgresLog()[before:]))
	}
	c.asked("500 records a second over all shards", shards, c.trickle)

	c.owned(1)
	c.Nodes[1].Kill(t)
	took, failed := c.answers([]int{0, 2}, rig.Patience)
	t.Logf("after kill -9 of a node with a third of them its shards answered within %v; %d calls failed", took.Round(10*time.Millisecond), failed)
	rig.Timely(t, took, failOver)
	c.whole()
	c.Stop(t)
	c.Check(t)
}

// rests waits until the balance leaves all as it is, and nothing moves any more.
func (c *clusterTest) rests(shards int) {
	c.Helper()
	rig.Eventually(c, rig.Patience, "no shard moves", func() error {
		nodes, err := c.List(c.Context())
		if err != nil {
			return err
		}
		var counts []int
		for _, n := range nodes {
			if n.GetState() == leatv1.NodeState_NODE_STATE_LIVE {
				counts = append(counts, int(n.GetShardCount()))
			}
		}
		moving, err := c.Nodes[c.Leader(c)].Metric(c.Context(), "leat_cluster_shards_moving")
		if apart := slices.Max(counts) - slices.Min(counts); err != nil || moving > 0 || apart > shards/3/8 {
			return fmt.Errorf("%v move of %v: %w", moving, counts, errors.Join(err, errors.New("not yet")))
		}
		return nil
	})
}

// owned keeps the shards of the stream s that a node owns.
func (c *clusterTest) owned(node int) {
	c.Helper()
	nodes, err := c.List(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	shards, err := c.Shards(c.Context(), node, "s")
	if err != nil {
		c.Fatal(err)
	}
	i := slices.IndexFunc(nodes, func(n *leatv1.Node) bool { return n.GetNodeId() == c.Nodes[node].Name })
	if i >= 0 {
		c.shards = slices.DeleteFunc(shards, func(s *leatv1.Shard) bool { return s.GetOwnerSessionId() != nodes[i].GetSessionId() })
	}
	if len(c.shards) == 0 {
		c.Fatalf("%s owns no shard of the stream", c.Nodes[node].Name)
	}
}

// asked has the cluster do something for a while, and tells what it asks of PostgreSQL and of the object store meanwhile.
func (c *clusterTest) asked(what string, shards int, do func(time.Duration)) (statements float64) {
	c.Helper()
	const while = 10 * time.Second
	requests := c.requests() // a scrape asks PostgreSQL too
	before := c.statements()
	do(while)
	statements = float64(c.statements()-before) / while.Seconds()
	after := c.requests()
	for op, n := range requests {
		after[op] -= n
	}
	var told []string
	for _, op := range slices.Sorted(maps.Keys(after)) {
		told = append(told, fmt.Sprintf("%s %.1f", op, after[op]/while.Seconds()))
	}
	c.Logf("three nodes with %d shards, %s: %.1f statements a second; requests a second to the object store: %s", shards, what, statements, strings.Join(told, ", "))
	return statements
}

// requests counts what the nodes have asked of the object store, by operation.
func (c *clusterTest) requests() map[string]float64 {
	c.Helper()
	all := map[string]float64{}
	for _, n := range c.Nodes {
		for _, op := range []string{"create", "read", "stat", "list", "delete"} {
			count, err := n.Metric(c.Context(), fmt.Sprintf("leat_store_request_duration_seconds_count{op=%q}", op))
			if err != nil {
				c.Fatal(err)
			}
			all[op] += count
		}
	}
	return all
}

// trickle puts small records all over the streams.
func (c *clusterTest) trickle(d time.Duration) {
	c.Helper()
	res, err := c.Client(0).Streams.ListStreams(c.Context(), &leatv1.ListStreamsRequest{})
	if err != nil {
		c.Fatal(err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i, end := 0, time.Now().Add(d); time.Now().Before(end); i++ {
		req := &leatv1.PutRecordsRequest{Stream: res.GetStreams()[i%len(res.GetStreams())].GetName()}
		for k := range 50 {
			req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprint(i, "-", k), Data: make([]byte, 100)})
		}
		if _, err := c.Client(i%3).Records.PutRecords(c.Context(), req); err != nil {
			c.Fatal(err)
		}
		<-tick.C
	}
}

// hold waits.
func (c *clusterTest) hold(d time.Duration) {
	c.Helper()
	select {
	case <-time.After(d):
	case <-c.Context().Done():
		c.FailNow()
	}
}

// logStatements has PostgreSQL log all of them.
func (c *clusterTest) logStatements() {
	c.Helper()
	c.onPostgres(func(conn *pgx.Conn) error {
		for _, sql := range []string{"ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"} {
			if _, err := conn.Exec(c.Context(), sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// statementMarks are what PostgreSQL puts before a statement that it logs.
var statementMarks = [...]string{"LOG:  statement: ", "LOG:  execute "}

// statements counts the statements that PostgreSQL has logged, begins and commits too.
func (c *clusterTest) statements() (n int) {
	c.Helper()
	log := c.postgresLog()
	for _, mark := range statementMarks {
		n += bytes.Count(log, []byte(mark))
	}
	return n
}

// oftenest tells which statements a log has most often.
func oftenest(log []byte) string {
	counts := map[string]int{}
	for line := range strings.Lines(string(log)) {
		for _, mark := range statementMarks {
			if _, sql, ok := strings.Cut(line, mark); ok {
				counts[fmt.Sprintf("%.100s", strings.TrimSpace(sql))]++
			}
		}
	}
	var told strings.Builder
	sorted := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return counts[b] - counts[a] })
	for _, sql := range sorted[:min(20, len(sorted))] {
		fmt.Fprintf(&told, "%6d %s\n", counts[sql], sql)
	}
	return told.String()
}

// postgresLog reads what PostgreSQL has logged.
func (c *clusterTest) postgresLog() []byte {
	c.Helper()
	var dir string
	c.onPostgres(func(conn *pgx.Conn) error {
		return conn.QueryRow(c.Context(), "SELECT current_setting('data_directory')").Scan(&dir)
	})
	log, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "log")) // where pgtest has it written
	if err != nil {
		c.Fatal(err)
	}
	return log
}

func (c *clusterTest) onPostgres(do func(*pgx.Conn) error) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), c.DSN)
	if err != nil {
		c.Fatal(err)
	}
	if err := errors.Join(do(conn), conn.Close(c.Context())); err != nil {
		c.Fatal(err)
	}
}
