// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery/spec"
)

// bounded has quotas for every account.
type bounded struct{ quotas leat.Quotas }

func (*bounded) CreateToken(context.Context, leat.Token) (leat.Token, string, error) {
	return leat.Token{}, "", nil
}
func (*bounded) Changed(context.Context)     {}
func (b *bounded) Quotas(string) leat.Quotas { return b.quotas }

func withQuotas(t *testing.T) (*rig, *bounded) {
	t.Helper()
	b := &bounded{}
	return newRig(t, broker.LimitsOff, func(c *broker.Config) { c.Identities = b }), b
}

// wantQuota wants an error that names a quota.
func (r *rig) wantQuota(err error, kind leat.Kind, quota string) {
	r.t.Helper()
	r.wantKind(err, kind, "")
	if !strings.Contains(err.Error(), "the quota "+quota+" of account "+who.Account) {
		r.t.Errorf("%v does not name the quota %s", err, quota)
	}
}

func TestQuotasOfWhatAnAccountHas(t *testing.T) {
	r, b := withQuotas(t)
	ctx := t.Context()
	r.stream("s", 2)
	b.quotas = leat.Quotas{Streams: 1}
	create := func(req broker.CreateStreamRequest) error {
		req.Stream = "more"
		_, err := r.CreateStream(ctx, who, req)
		return err
	}
	r.wantQuota(create(broker.CreateStreamRequest{Shards: 1}), leat.KindLimitExceeded, "streams")
	b.quotas = leat.Quotas{Shards: 3}
	r.wantKind(create(broker.CreateStreamRequest{Shards: 2}), leat.KindLimitExceeded, "")
	if l, err := r.Limits(ctx, who); err != nil || l.ShardLimit != 3 || l.OpenShards != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	if room := r.ShardRoom(leat.DevAccount); room != 1 {
		t.Errorf("on-demand scaling has room for %d", room)
	}
	b.quotas = leat.Quotas{Retention: 48 * time.Hour}
	r.wantQuota(create(broker.CreateStreamRequest{Shards: 1, Retention: 49 * time.Hour}), leat.KindLimitExceeded, "retention")
	longer, fine := 72*time.Hour, 48*time.Hour
	_, err := r.UpdateStream(ctx, who, broker.UpdateStreamRequest{Stream: "s", Retention: &longer})
	r.wantQuota(err, leat.KindLimitExceeded, "retention")
	_, err = r.UpdateStream(ctx, who, broker.UpdateStreamRequest{Stream: "s", Retention: &fine})
	r.must(err)
	b.quotas = leat.Quotas{Consumers: 1}
	r.consumer("s", "a")
	_, err = r.RegisterConsumer(ctx, who, broker.ConsumerRequest{Stream: "s", Consumer: "b"})
	r.wantQuota(err, leat.KindLimitExceeded, "consumers")
	b.quotas = leat.Quotas{}
	_, err = r.RegisterConsumer(ctx, who, broker.ConsumerRequest{Stream: "s", Consumer: "b"})
	r.must(err)
}

func TestQuotasOfThroughput(t *testing.T) {
	r, b := withQuotas(t)
	ctx := t.Context()
	r.stream("s", 1)
	r.stream("other", 1)
	b.quotas = leat.Quotas{BytesIn: 1000, BytesOut: 1000}
	put := func(stream string, n int) error {
		_, err := r.PutRecords(ctx, who, broker.PutRecordsRequest{Stream: stream, Puts: puts(n, 100, "k")})
		return err
	}
	r.must(put("s", 6))
	r.wantQuota(put("other", 5), leat.KindThroughputExceeded, "bytes_in") // one bound for all streams
	r.must(put("other", 4))
	r.clock.Advance(time.Second)
	r.must(put("s", 10))

	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	if got := r.read(it); len(got.Records) != 16 { // 1,600 bytes: into debt
		t.Fatalf("%d records", len(got.Records))
	}
	_, err := r.GetRecords(ctx, who, broker.GetRecordsRequest{Iterator: it})
	r.wantQuota(err, leat.KindThroughputExceeded, "bytes_out")
	r.clock.Advance(time.Second)
	r.read(it)
}

func TestStoredBytes(t *testing.T) {
	r, b := withQuotas(t)
	d := r.stream("s", 1)
	b.quotas = leat.Quotas{StoredBytes: 100}
	r.put("s", "k", "x") // nothing is registered yet
	r.must(r.insertExtent(d.ID, 100))
	r.LookAtStored(t.Context())
	_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", Data: []byte("x")}})
	r.wantQuota(err, leat.KindLimitExceeded, "stored_bytes")
	b.quotas.StoredBytes = 101
	r.put("s", "k", "x")
	// What the account puts into deliveries directly counts too.
	hidden, err := r.catalog.CreateStream(t.Context(), catalog.NewStream{
		Account: spec.HiddenAccount(who.Account), Name: "hose", Mode: leat.ModeOnDemand, Shards: 1, Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
	})
	r.must(err)
	r.must(r.insertExtent(hidden.ID, 1))
	r.settle()
	r.LookAtStored(t.Context())
	_, err = r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", Data: []byte("x")}})
	r.wantQuota(err, leat.KindLimitExceeded, "stored_bytes")
}

// insertExtent puts bytes into the catalog's index, without an object.
func (r *rig) insertExtent(id leat.StreamID, bytes int64) error {
	return r.db.Tx(r.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`
INSERT INTO extents (stream, ordinal, first_offset, records, epoch, min_time, max_time, object, place, length, index_length, raw, bytes, units, codec, crc, hash, level)
VALUES ($1, 0, 0, 1, 1, 0, 0, 'o', 0, 0, 0, 0, $2, 0, 0, 0, 0, 0)`, id, bytes)
		return err
	})
}
