// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// The database is dropped some time after a backup. A restore has what was acknowledged and made since, from the bucket, and what
// only the backup knows; every record is there once, at its place, and is billed once.
func TestRestore(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--shard-limits", "off", "--pack-every", "1s", "--master-key-file", keys}
	one := rig.Serve(t, "one", b, args...)
	one.Start(t)
	env := one.Env()
	must := func(args ...string) string { return rig.Must(t, env, args...) }

	// Before the backup.
	must("stream", "create", "logs", "--shards", "3")
	must("stream", "create", "gone", "--shards", "1")
	must("put", "gone", "deleted after the backup", "--key", "k")
	must("stream", "create", "vault", "--shards", "1")
	must("stream", "encrypt", "vault", "--key", "alias/mine")
	must("put", "vault", "sealed", "--key", "k")
	must("key", "create", "ops")
	must("token", "create", "ci")
	must("billing", "budget", "set", "all", "--amount", "500")
	must("billing", "credit", "12.50", "sorry for Tuesday")
	lines := realInput(t)
	acks := filepath.Join(t.TempDir(), "acks")
	p := startPut(t, one, lines, 3, "put", "logs", "--lines", "--key-column", "3", "--ack-log", acks)
	awaitAcked(t, one, len(lines)/10)
	file := filepath.Join(t.TempDir(), "leat.backup")
	told := rig.Must(t, b.Env(), "backup", "--to", file) + rig.Must(t, b.Env(), "backup")
	t.Log(told)

	// After it. Some of what is registered now has its manifest in the bucket, some only in the database.
	p.next(t)
	must("stream", "create", "late", "--shards", "1")
	must("put", "late", "of a stream that the backup does not know", "--key", "k")
	must("stream", "split", "logs", "shardId-000000000000")
	must("stream", "tag", "logs", "team=blue")
	must("stream", "update", "logs", "--retention", "48h")
	must("stream", "delete", "gone", "--yes")
	must("key", "create", "later")
	wide := make([]byte, 700_000)
	_, _ = rand.Read(wide) // never fails
	putWide := func(n *rig.Node) {
		t.Helper()
		if _, err := n.Dial(t).Records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "late", PartitionKey: "k", Data: wide}); err != nil {
			t.Fatal(err)
		}
	}
	putWide(one) // stays in its segment
	awaitRows(t, b.DSN, "manifests are in the bucket", "SELECT count(*) FROM manifests", func(n int) bool { return n == 0 })
	p.next(t)
	if r := p.Wait(t); r.Code != 0 {
		t.Fatalf("leat put: exit status %d: %s", r.Code, r.Stderr)
	}
	awaitRows(t, b.DSN, "packs are registered", "SELECT count(*) FROM manifests", func(n int) bool { return n >= 2 })
	must("stream", "merge", "logs", "shardId-000000000001", "shardId-000000000002")
	must("put", "logs", "the last one", "--key", "k")
	putWide(one)
	one.Kill(t)
	drop(t, b.DSN)

	// What must not be restored, or not there.
	fresh := *b
	fresh.DSN = b.PG.Database(t)
	refuseRestores(t, &fresh, file)
	for _, source := range []string{file, "latest"} {
		out := rig.Must(t, fresh.Env(), "restore", source, "--verify")
		for _, want := range []string{"is whole", "belongs to this bucket, whose journal has gone on by", "the database is empty"} {
			if !strings.Contains(out, want) {
				t.Errorf("leat restore --verify does not say %q:\n%s", want, out)
			}
		}
	}
	if out := rig.Must(t, fresh.Env(), "backup", "list", "-o", "json"); len(objects(t, out)) != 1 || objects(t, out)[0]["whole"] != true {
		t.Errorf("the bucket has the backups\n%s", out)
	}

	t.Log(rig.Must(t, fresh.Env(), "restore", "latest", "--master-key-file", keys))
	refused(t, rig.Run(t, fresh.Env(), "restore", file), 1, "not empty", "restore into an empty one")
	fresh.Verify(t)

	two := rig.Serve(t, "two", &fresh, args...)
	two.Start(t)
	env = two.Env()
	got := getJSON(t, two, "logs")
	checkAcked(t, lines, got, acks)
	if len(got) != len(lines)+1 || !slices.ContainsFunc(got, func(r record) bool { return string(r.Data) == "the last one" }) {
		t.Errorf("%d records, want the %d lines and one more", len(got), len(lines))
	}
	late := getJSON(t, two, "late")
	if len(late) != 3 || !bytes.Equal(late[1].Data, wide) || !bytes.Equal(late[2].Data, wide) {
		t.Errorf("the late stream has %d records", len(late))
	}
	if sealed := getJSON(t, two, "vault"); len(sealed) != 1 || string(sealed[0].Data) != "sealed" {
		t.Errorf("the encrypted stream has %v", sealed)
	}
	for what, want := range map[string][]string{
		must("stream", "list"):             {"logs", "vault", "late"},
		must("stream", "describe", "logs"): {"48h", "shardId-000000000005"},
		must("stream", "tags", "logs"):     {"team", "blue"},
		must("key", "list"):                {"ops", "later"},
		must("token", "list"):              {"ci"},
		must("billing", "budget", "list"):  {"all", "500"},
		must("billing", "invoice", "show"): {"sorry for Tuesday"},
		must("audit", "list", "--changes"): {"CreateStream", "stream/vault", "PutBudget"},
	} {
		for _, w := range want {
			if !strings.Contains(what, w) {
				t.Errorf("after the restore %q is missing in:\n%s", w, what)
			}
		}
	}
	if out := must("stream", "list"); strings.Contains(out, "gone") {
		t.Errorf("a deleted stream is back:\n%s", out)
	}
	must("put", "logs", "after the restore", "--key", "k")
	must("stream", "scale", "logs", "2")
	putWide(two)
	two.Stop(t)
	f := fresh.Check(t)
	if v, want := fresh.Verify(t), f.Records+1; v.Records != want {
		t.Errorf("%d records are billed, %d are stored and one was of a stream that is deleted", v.Records, f.Records)
	}
}

// refuseRestores tries what cannot be restored; the database stays empty.
func refuseRestores(t *testing.T, b *rig.Backend, file string) {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(body []byte) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "spoilt")
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	flipped := bytes.Clone(whole)
	flipped[len(whole)/2] ^= 4
	other := *b
	other.Bucket = b.S3.Bucket(t)
	stranger := rig.SharedBackend(t)
	n := rig.Serve(t, "stranger", stranger)
	n.Start(t)
	n.Stop(t)
	wrong := *b
	wrong.Bucket = stranger.Bucket
	for what, c := range map[string]struct {
		b      *rig.Backend
		source string
		says   []string
	}{
		"cut short":          {b, write(whole[:len(whole)-1]), []string{"cut short"}},
		"cut in half":        {b, write(whole[:len(whole)/2]), []string{"cut short"}},
		"a flipped bit":      {b, write(flipped), []string{"does not match its checksum"}},
		"no backup at all":   {b, write([]byte("PGDMP")), []string{"no backup of Leat"}},
		"an empty bucket":    {&other, file, []string{"holds no records of Leat", "s3-bucket"}},
		"another bucket":     {&wrong, file, []string{"the backup is of cluster", "s3-bucket"}},
		"a name":             {b, "20010101T000000Z", []string{"neither a file nor a whole backup", "leat backup list"}},
		"no backup in there": {&wrong, "latest", []string{"holds no backup"}},
	} {
		for _, more := range [][]string{nil, {"--verify"}} {
			r := rig.Run(t, c.b.Env(), append([]string{"restore", c.source}, more...)...)
			if t.Logf("%s: %s", what, strings.TrimSpace(r.Stderr)); r.Code != 1 {
				t.Errorf("%s: exit status %d", what, r.Code)
			}
			for _, says := range c.says {
				if !strings.Contains(r.Stderr, says) {
					t.Errorf("%s: the error does not say %q", what, says)
				}
			}
		}
	}
	refused(t, rig.Run(t, stranger.Env(), "restore", file, "--verify"), 1, "the backup is of cluster")
	refused(t, rig.Run(t, nil, "restore", file), 1, "--postgres")
	refused(t, rig.Run(t, []string{"LEAT_POSTGRES=" + b.DSN}, "restore", file), 1, "s3-endpoint")
	refused(t, rig.Run(t, b.Env(), "backup", "--to", file), 1, "file that does not exist")
	refused(t, rig.Run(t, b.Env(), "backup"), 1, "no tables of Leat")
}

// drop drops a database, whoever is connected.
func drop(t *testing.T, dsn string) {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := c.Database
	c.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		t.Fatal(err)
	}
}

// count runs a query for one number.
func count(t *testing.T, dsn, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func awaitRows(t *testing.T, dsn, what, query string, enough func(n int) bool) {
	t.Helper()
	rig.Eventually(t, rig.Patience, what, func() error {
		if n := count(t, dsn, query); !enough(n) {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

// A delivery whose last range the backup knows as committed is neither carried out nor counted once more.
func TestRestoreCountsDeliveriesOnce(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	lake := b.S3.Bucket(t)
	args := []string{"--shard-limits", "off", "--pack-every", "1s"}
	one := rig.Serve(t, "one", b, args...)
	one.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	rig.Must(t, one.Env(), "stream", "create", "s", "--shards", "2")
	_, err := one.Dial(t).Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: "d", Config: &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{Stream: "s"}, Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1},
		Format:      &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
		Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP, Naming: &leatv1.DeliveryNaming{Prefix: "d/"}, S3: &leatv1.DeliveryS3{Bucket: lake},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	put := func(n *rig.Node, what string) {
		t.Helper()
		req := leatv1.PutRecordsRequest{Stream: "s"}
		for i := range 300 {
			line := fmt.Sprintf("%s %d", what, i)
			want[line] = true
			req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: line, Data: []byte(line)})
		}
		if res, err := n.Dial(t).Records.PutRecords(ctx, &req); err != nil || res.GetFailedRecordCount() > 0 {
			t.Fatalf("put: %v, %v", res, err)
		}
	}
	const delivered = "SELECT COALESCE(SUM(delivery_records), 0)::BIGINT FROM billing_counts"
	put(one, "before")
	awaitRows(t, b.DSN, "all is delivered", delivered, func(n int) bool { return n == 300 })
	rig.Must(t, b.Env(), "backup")
	one.Kill(t)

	fresh := *b
	fresh.DSN = b.PG.Database(t)
	rig.Must(t, fresh.Env(), "restore", "latest")
	if n := count(t, fresh.DSN, "SELECT count(*) FROM delivery_plans WHERE state = 'planned'"); n != 0 {
		t.Errorf("%d ranges are to be delivered once more", n)
	}
	two := rig.Serve(t, "two", &fresh, args...)
	two.Start(t)
	put(two, "after")
	awaitRows(t, fresh.DSN, "all is delivered", delivered, func(n int) bool { return n >= 600 })
	v, err := two.Dial(t).Delivery.VerifyDelivery(ctx, &leatv1.VerifyDeliveryRequest{Delivery: "d", Deep: true})
	if err != nil || !v.GetClean() || v.GetStored() != 600 {
		t.Errorf("verify: %v, %v", v, err)
	}
	two.Stop(t)
	if n := count(t, fresh.DSN, delivered); n != 600 {
		t.Errorf("%d records are billed as delivered, want 600", n)
	}
	got := gunzipped(t, b, lake, "d/")
	for line := range want {
		if got[line] != 1 {
			t.Errorf("%q is there %d times", line, got[line])
		}
	}
	fresh.Check(t)
}

// Backups in the bucket: the newest are kept. One of a database that is too old to serve with is good for a restore.
func TestBackups(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "node", b, "--pack-every", "1s")
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	rig.Must(t, n.Env(), "put", "s", "before", "--key", "k")
	for range 3 {
		rig.Eventually(t, rig.Patience, "a backup in a second of its own", func() error {
			if r := rig.Run(t, b.Env(), "backup", "--keep", "2"); r.Code != 0 {
				return errors.New(r.Stderr)
			}
			return nil
		})
	}
	if all := objects(t, rig.Must(t, b.Env(), "backup", "list", "-o", "json")); len(all) != 2 {
		t.Errorf("%d backups are kept, want 2: %v", len(all), all)
	}
	refused(t, rig.Run(t, b.Env(), "backup", "--keep=-1"), 1, "--keep -1")
	refused(t, rig.Run(t, b.Env(), "backup", "--keep", "2", "--to", filepath.Join(t.TempDir(), "x")), 1, "leave it out with --to")

	dump := b.PG.Dump(t, b.DSN)
	rig.Must(t, n.Env(), "stream", "create", "since", "--shards", "1")
	rig.Must(t, n.Env(), "put", "since", "after the dump", "--key", "k")
	n.Kill(t)
	stale := *b
	stale.DSN = b.PG.Restore(t, dump)
	file := filepath.Join(t.TempDir(), "stale")
	if out := rig.Must(t, stale.Env(), "backup", "--to", file); !strings.Contains(out, "older than the bucket") {
		t.Errorf("a backup of an old database says\n%s", out)
	}
	fresh := *b
	fresh.DSN = b.PG.Database(t)
	rig.Must(t, fresh.Env(), "restore", file)
	two := rig.Serve(t, "two", &fresh)
	two.Start(t)
	if got := getJSON(t, two, "since"); len(got) != 1 || string(got[0].Data) != "after the dump" {
		t.Errorf("the stream has %v", got)
	}
	two.Stop(t)
	if v, f := fresh.Verify(t), fresh.Check(t); v.Records != 2 || f.Records != 2 {
		t.Errorf("%d records are billed, %d stored, want 2", v.Records, f.Records)
	}
}
