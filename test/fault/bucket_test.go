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

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// A bucket that vanishes takes the records with it: no software brings them back. What Leat owes is to say so. Nothing
// more is acknowledged, the node stays and says why it serves nothing, no reader is told that there are no records, a
// start refuses, and leat fsck names what is missing.
func TestBucketVanishes(t *testing.T) {
	t.Parallel()
	b := rig.NewBackend(t)
	n := rig.Serve(t, "node", b, "--pack-every", "1s")
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "1")
	c := n.Dial(t)
	put := func(id ID) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
		defer cancel()
		res, err := c.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: "s", PartitionKey: id.PartitionKey(), Data: id.Data()})
		return res.GetSequenceNumber(), err
	}
	const before = 50
	for i := range uint64(before) {
		if _, err := put(ID{1, i}); err != nil {
			t.Fatal(err)
		}
	}
	rig.Eventually(t, rig.Patience, "some records are in packs", func() error {
		packs, err := n.Metric(t.Context(), "leat_packs_total")
		if err == nil && packs == 0 {
			err = errors.New("not yet")
		}
		return err
	})
	folder := b.S3.Folder(b.Bucket)
	b.S3.Stop(t)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	b.S3.Start(t)

	_, err := put(ID{1, before})
	if k := leat.KindOf(err); k != leat.KindUnknownOutcome && k != leat.KindUnavailable {
		t.Fatalf("a put without a bucket: %v", err)
	}
	rig.Eventually(t, rig.Patience, "the node says what is wrong", func() error {
		err := n.Ready(t.Context())
		if err != nil && strings.Contains(err.Error(), b.Bucket) {
			return nil
		}
		return fmt.Errorf("readyz: %w", errors.Join(errors.New("it does not name the bucket"), err))
	})
	t.Logf("the node says: %v", n.Ready(t.Context()))
	if _, err := put(ID{1, before + 1}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a later put: %v", err)
	}
	if err := readsNothing(t, c); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a read without a bucket: %v", err)
	}
	if !n.Running() {
		t.Fatal("the process ended")
	}
	refusesToStart(t, b, "does not exist")

	// A bucket of the old name: the database knows of records that it does not hold, and nobody may conclude from what
	// is not there how the last session ended.
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, rig.Patience, "the node says that this is another bucket", func() error {
		err := n.Ready(t.Context())
		if err != nil && strings.Contains(err.Error(), "does not hold the records of this database") {
			return nil
		}
		return fmt.Errorf("readyz: %w", errors.Join(errors.New("it does not say so"), err))
	})
	if _, err := put(ID{1, before + 2}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a put to an empty bucket: %v", err)
	}
	if err := readsNothing(t, c); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a read of an empty bucket: %v", err)
	}
	n.Kill(t)
	refusesToStart(t, b, "does not hold the records of this database")
	r := rig.Run(t, b.Env(), "fsck")
	if r.Code != 1 || !strings.Contains(r.Stdout, "missing") {
		t.Errorf("fsck of an empty bucket: exit status %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// refusesToStart checks that another node ends with an error that names the bucket.
func refusesToStart(t *testing.T, b *rig.Backend, why string) {
	t.Helper()
	r := rig.Run(t, b.Env(), "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0")
	if r.Code != 1 || !strings.Contains(r.Stderr, "--s3-bucket "+b.Bucket) || !strings.Contains(r.Stderr, why) {
		t.Errorf("a start ends with exit status %d: %s", r.Code, r.Stderr)
	}
}

// readsNothing reads from the beginning; it fails the test when that answers at all.
func readsNothing(t *testing.T, c *client.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	it, err := c.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "0", Start: start("")})
	if err != nil {
		return err
	}
	res, err := c.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator()})
	if err == nil {
		t.Errorf("a reader is told of %d records, %d ms behind", len(res.GetRecords()), res.GetMillisBehindLatest())
	}
	return err
}
