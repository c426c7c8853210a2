// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

	const rest = 10 * time.Second
	before := c.statements(true)
	c.hold(rest)
	asked := c.statements(false) - before
	rate := float64(asked) / rest.Seconds()
	t.Logf("three nodes with %d shards at rest: %.1f statements a second", shards, rate)
	if rate > 50 {
		t.Errorf("that is more than 50")
	}

	c.owned(1)
	c.Nodes[1].Kill(t)
	took, failed := c.answers([]int{0, 2}, rig.Patience)
	t.Logf("after kill -9 of a node with a third of them its shards answered within %v; %d calls failed", took.Round(10*time.Millisecond), failed)
	rig.Timely(t, took, failOver)
	c.whole()
	c.Stop(t)
	c.Check(t)
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

// hold waits.
func (c *clusterTest) hold(d time.Duration) {
	c.Helper()
	select {
	case <-time.After(d):
	case <-c.Context().Done():
		c.FailNow()
	}
}

// statements counts the statements that PostgreSQL has logged, begins and commits too. begin makes it log them all.
func (c *clusterTest) statements(begin bool) (n int) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), c.DSN)
	if err != nil {
		c.Fatal(err)
	}
	defer func() {
		if err := conn.Close(c.Context()); err != nil {
			c.Error(err)
		}
	}()
	if begin {
		for _, sql := range []string{"ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"} {
			if _, err := conn.Exec(c.Context(), sql); err != nil {
				c.Fatal(err)
			}
		}
	}
	var dir string
	if err := conn.QueryRow(c.Context(), "SELECT current_setting('data_directory')").Scan(&dir); err != nil {
		c.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "log")) // where pgtest has it written
	if err != nil {
		c.Fatal(err)
	}
	for _, mark := range []string{"LOG:  statement: ", "LOG:  execute "} {
		n += bytes.Count(log, []byte(mark))
	}
	return n
}
