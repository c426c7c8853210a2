// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/test/e2e/rig"
)

// zcat -f /var/log/dpkg.log* | leat put logs --lines --key-column 3, with kill -9 of the server in the middle: every
// line is there once, in the order of its key.
func TestRealInputOnAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir, "--pack-every", "1s")
	putThroughKills(t, n)
	n.Stop(t)
	rig.CheckDev(t, dir)
}

func TestRealInputOnPostgresAndS3(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "serve", b, "--pack-every", "1s", "--shard-limits", "off")
	putThroughKills(t, n)
	n.Stop(t)
	b.Check(t)
}

// kills is how often the server is killed while one put goes on.
const kills = 2

func putThroughKills(t *testing.T, n *rig.Node) {
	lines := realInput(t)
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "logs", "--shards", "4")
	acks := filepath.Join(t.TempDir(), "acks")
	p := startPut(t, n, lines, kills+1, "put", "logs", "--lines", "--key-column", "3", "--ack-log", acks, "-o", "json", "--in-flight", "16")
	for range kills {
		acked := awaitAcked(t, n, len(lines)/(4*kills))
		n.Kill(t)
		t.Logf("killed with kill -9 after %.0f records of this session", acked)
		p.next(t)
		t.Logf("serves again after %v", n.Start(t).Round(time.Millisecond))
	}
	res := p.Wait(t)
	if res.Code != 0 {
		t.Fatalf("put ended with exit status %d: %s", res.Code, res.Stderr)
	}
	var sum struct {
		Acked    int  `json:"acked"`
		Shards   int  `json:"shards"`
		Complete bool `json:"complete"`
	}
	if err := json.Unmarshal([]byte(res.Stdout), &sum); err != nil || !sum.Complete || sum.Acked != len(lines) {
		t.Fatalf("put says %s (%v), want %d acked and complete", res.Stdout, err, len(lines))
	}
	t.Logf("put %d records to %d shards", sum.Acked, sum.Shards)
	got := getJSON(t, n, "logs")
	checkKeys(t, lines, got)
	checkAcks(t, lines, got, acks)
}

// put is a running leat put that is fed in parts.
type put struct {
	*rig.Running
	gates chan chan struct{}
}

// next lets one more part of the input in, as soon as the parts before it have been read.
func (p *put) next(t *testing.T) {
	t.Helper()
	select {
	case gate := <-p.gates:
		close(gate)
	case <-time.After(rig.Patience):
		t.Fatal("leat put does not read its input")
	}
}

// startPut feeds lines to leat put: the first part at once, the others as next lets them in. A server that is killed
// before that dies in the middle, whatever the speed of the machine.
func startPut(t *testing.T, n *rig.Node, lines []string, parts int, args ...string) *put {
	t.Helper()
	r, w := io.Pipe()
	p := &put{gates: make(chan chan struct{})}
	p.Running = rig.Begin(t, rig.Command{Args: args, Env: n.Env(), Stdin: r, Limit: 2 * time.Minute})
	var feeder sync.WaitGroup
	t.Cleanup(func() {
		_ = w.Close() // a test that failed lets the command end
		feeder.Wait()
	})
	feeder.Go(func() {
		defer w.Close()
		size := (len(lines) + parts - 1) / parts
		for i := 0; i < len(lines); i += size {
			if i > 0 {
				gate := make(chan struct{})
				select {
				case p.gates <- gate:
					<-gate
				case <-t.Context().Done():
					return
				}
			}
			if _, err := io.WriteString(w, strings.Join(lines[i:min(i+size, len(lines))], "\n")+"\n"); err != nil {
				return // the command has ended; its exit status tells
			}
		}
	})
	return p
}

// awaitAcked waits until the open session has acknowledged n records.
func awaitAcked(t *testing.T, node *rig.Node, n int) (acked float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	rig.Eventually(t, rig.Patience, fmt.Sprintf("%d records acknowledged", n), func() (err error) {
		if acked, err = node.Metric(ctx, "leat_records_acked_total"); err == nil && acked < float64(n) {
			err = fmt.Errorf("%.0f so far", acked)
		}
		return err
	})
	return acked
}

// record is one line of leat get -o json.
type record struct {
	ShardID        string    `json:"shard_id"`
	SequenceNumber string    `json:"sequence_number"`
	PartitionKey   string    `json:"partition_key"`
	Arrival        time.Time `json:"approximate_arrival"`
	Data           []byte    `json:"data"`
}

func getJSON(t *testing.T, n *rig.Node, stream string) (out []record) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(rig.Must(t, n.Env(), "get", stream, "-o", "json")))
	for d.More() {
		var r record
		if err := d.Decode(&r); err != nil {
			t.Fatalf("leat get -o json: record %d: %v", len(out), err)
		}
		out = append(out, r)
	}
	return out
}

// checkKeys checks that the stream holds of each key exactly its lines, in their order, and that order within shards is
// told truly.
func checkKeys(t *testing.T, lines []string, got []record) {
	t.Helper()
	want, have := map[string][]string{}, map[string][]string{}
	for _, line := range lines {
		want[column3(line)] = append(want[column3(line)], line)
	}
	last := map[string]record{}
	for _, r := range got {
		have[r.PartitionKey] = append(have[r.PartitionKey], string(r.Data))
		if before := last[r.ShardID]; r.SequenceNumber <= before.SequenceNumber || r.Arrival.Before(before.Arrival) {
			t.Errorf("%s: %s (%v) comes after %s (%v)", r.ShardID, r.SequenceNumber, r.Arrival, before.SequenceNumber, before.Arrival)
		}
		last[r.ShardID] = r
	}
	for key, w := range want {
		h := have[key]
		if !slices.Equal(w, h) {
			i := 0
			for i < min(len(w), len(h)) && w[i] == h[i] {
				i++
			}
			t.Errorf("key %s: %d lines in the stream, %d in the input; they differ from line %d on", key, len(h), len(w), i)
		}
	}
	if len(got) != len(lines) {
		t.Errorf("%d records in the stream, %d lines in the input", len(got), len(lines))
	}
}

// checkAcks checks that every line was acknowledged, and is where its acknowledgement says.
func checkAcks(t *testing.T, lines []string, got []record, file string) {
	t.Helper()
	checkAcked(t, lines, got, file)
	if n := len(readAcks(t, file)); n != len(lines) {
		t.Errorf("%d acknowledgements for %d lines", n, len(lines))
	}
}
