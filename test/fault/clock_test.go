// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// The processes of these tests have clocks of their own.
func TestMain(m *testing.M) {
	rig.LinkerFlags = "-X github.com/leatstream/leat.wrongClocks=yes"
	os.Exit(m.Run())
}

// setClock gives the processes of a node that start from now on a clock that is ahead by some time, and too fast by some
// parts per million.
func setClock(n *rig.Node, ahead time.Duration, fast int) {
	n.SetEnv(fmt.Sprint("LEATTEST_CLOCK_OFFSET=", ahead), fmt.Sprint("LEATTEST_CLOCK_DRIFT=", fast))
}

// usualClocks are what nodes have all the time: they disagree by most of a second, which is what rule 19 allows beside
// the database's, and run apart. So the time of a shard's next record is often before that of its last by the next
// owner's clock.
func (f clusterFaults) usualClocks() {
	for i, n := range f.c.Nodes {
		side := i - 1
		setClock(n, time.Duration(side)*450*time.Millisecond, side*100)
	}
}

// changesNothing: what a node with a wrong clock is asked to change, it refuses, or the streams would have its times.
func (f clusterFaults) changesNothing(w *world, i int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), callWithin)
	defer cancel()
	_, err := f.c.Client(i).Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "never", ShardCount: 1})
	if leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "clock") {
		w.t.Fatalf("CreateStream of a node whose clock is wrong: %v", err)
	}
}

// wrongClock: a node comes up with a clock that is wrong by minutes. It serves nothing until that is right again, since
// its records would have wrong times; the others serve its shards.
func (f clusterFaults) wrongClock(w *world) {
	w.t.Helper()
	i := f.victim(w)
	n := f.c.Nodes[i]
	n.Kill(w.t)
	off := w.between(2*time.Second, 20*time.Minute)
	if w.random.IntN(2) == 0 {
		off = -off
	}
	setClock(n, off, 0)
	n.Launch(w.t)
	rig.Eventually(w.t, rig.Patience, "a node whose clock is wrong serves nothing, and says why", func() error {
		err := n.Ready(w.t.Context())
		var not *rig.NotReady
		if errors.As(err, &not) && strings.Contains(not.Body, "clock is wrong") {
			return nil
		}
		return errors.Join(errors.New("it does not say so"), err)
	})
	w.served(i)
	w.progress("while a clock is wrong", 200, rig.Patience)
	f.changesNothing(w, i)
	if err := stands(w.t.Context(), n); err != nil {
		w.t.Fatalf("a node whose clock is wrong by %v serves: %v", off, err)
	}
	n.Kill(w.t)
	f.usualClocks()
	f.launch(w, i)
}
