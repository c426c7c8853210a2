// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

func TestDevDrainsAmidAScale(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir)
	drainAmidScale(t, n)
	rig.CheckDev(t, dir)
}

func TestServeDrainsAmidAScale(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	drainAmidScale(t, rig.Serve(t, "node", b))
	b.Check(t)
}

// SIGTERM while a stream is being scaled: the process ends in order, and the next one goes on with it.
func drainAmidScale(t *testing.T, n *rig.Node) {
	t.Helper()
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	c := n.Dial(t)
	const most = 40
	for shards := 10; shards <= most; shards += 10 {
		rig.Must(t, n.Env(), "put", "s", "before", "--key", strconv.Itoa(shards))
		rig.Must(t, n.Env(), "stream", "scale", "s", strconv.Itoa(shards), "--no-wait")
		rig.Eventually(t, rig.Patience, "the scale has begun", func() error {
			res, err := c.Streams.DescribeStreamSummary(t.Context(), &leatv1.DescribeStreamSummaryRequest{Stream: "s"})
			if err == nil && res.GetStream().GetOpenShardCount() <= int32(max(1, shards-10)) {
				err = errors.New("not yet")
			}
			return err
		})
		n.Stop(t)
		n.Start(t)
		if strings.Contains(n.Log(), "recovered a session") {
			t.Fatal("a start after SIGTERM had something to recover")
		}
		rig.Eventually(t, rig.Patience, "the stream is scaled", func() error {
			got := objects(t, rig.Must(t, n.Env(), "stream", "describe", "s", "-o", "json"))[0]
			if got["status"] != "ACTIVE" || got["open_shard_count"] != float64(shards) {
				return fmt.Errorf("%v, %v shards", got["status"], got["open_shard_count"])
			}
			return nil
		})
	}
	if got := getJSON(t, n, "s"); len(got) != most/10 {
		t.Errorf("%d records, want %d", len(got), most/10)
	}
	n.Stop(t)
}
