// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// Records that stayed in segments of the log instead of being packed are found by a rebuild, together with what lies
// between them in packs and after them in the log of a server that was killed.
func TestRebuildFindsWhatStayedInSegments(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	args := []string{"--shard-limits", "off", "--pack-every", "1s"}
	one := rig.Serve(t, "one", b, args...)
	one.Start(t)
	rig.Must(t, one.Env(), "stream", "create", "wide", "--shards", "1")
	var want [][]byte
	put := func(n *rig.Node, size int) {
		t.Helper()
		data := make([]byte, size)
		_, _ = rand.Read(data) // never fails
		_, err := n.Dial(t).Records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "wide", PartitionKey: "k", Data: data})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, data)
	}
	check := func(n *rig.Node) {
		t.Helper()
		got := getJSON(t, n, "wide")
		if len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i].Data, want[i]) {
				t.Errorf("record %d is another one", i)
			}
		}
	}
	for _, size := range []int{100, 600_000, 100, 700_000, 100} {
		put(one, size)
	}
	rig.Eventually(t, rig.Patience, "all is registered, and the large ones where they are", func() error {
		if kept, all := extentsOf(t, b.DSN); kept != 2 || all != 5 {
			return errors.New("not yet")
		}
		return nil
	})
	one.Kill(t) // what stayed lies below the trim that its closing tells
	one.Start(t)
	put(one, 500_000)
	put(one, 100)
	one.Kill(t)

	fresh := *b
	fresh.DSN = b.PG.Database(t)
	t.Log(strings.TrimSpace(rig.Must(t, fresh.Env(), "rebuild")))
	if kept, _ := extentsOf(t, fresh.DSN); kept != 2 {
		t.Errorf("%d extents are in segments after the rebuild, want the 2 that stayed; the last one is adopted", kept)
	}
	two := rig.Serve(t, "two", &fresh, args...)
	two.Start(t)
	check(two)
	put(two, 100)
	check(two)
	two.Stop(t)
	fresh.Check(t)
}

// extentsOf counts the extents in a catalog, and those that are in segments.
func extentsOf(t *testing.T, dsn string) (kept, all int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	err = conn.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE object LIKE 'wal/%'), count(*) FROM extents").Scan(&kept, &all)
	if err != nil {
		t.Fatal(err)
	}
	return kept, all
}
