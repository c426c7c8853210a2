// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// A server that is killed again and again while it delivers, on PostgreSQL and a real bucket, writes each record into one
// object.
func TestDeliveryThroughKills(t *testing.T) {
	b := rig.SharedBackend(t)
	lake := b.S3.Bucket(t)
	n := rig.Serve(t, "node", b)
	n.Start(t)
	cl := n.Dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	_, err := cl.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cl.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: "direct", Config: &leatv1.DeliveryConfig{
		Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1}, Format: &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
		Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP, Naming: &leatv1.DeliveryNaming{Prefix: "direct/"}, S3: &leatv1.DeliveryS3{Bucket: lake},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for round := range 6 {
		data := make([][]byte, 500)
		for i := range data {
			data[i] = fmt.Appendf(nil, `{"round":%d,"i":%d,"pad":"%s"}`, round, i, strings.Repeat("p", 200))
		}
		for { // what is not acked is put again under another name
			res, err := cl.Delivery.PutDeliveryRecords(ctx, &leatv1.PutDeliveryRecordsRequest{Delivery: "direct", Records: data})
			if err == nil && res.GetFailedCount() == 0 {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			for i := range data {
				data[i] = append(data[i], ' ')
			}
		}
		for _, d := range data {
			want[string(d)] = true
		}
		// Killed while it writes, at another moment each time.
		wait := time.NewTimer(900*time.Millisecond + time.Duration(round)*130*time.Millisecond)
		<-wait.C
		n.Kill(t)
		n.Start(t)
	}
	await(ctx, t, func() bool {
		d, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: "direct"})
		if err != nil {
			return false
		}
		done := uint64(0)
		for _, s := range d.GetShards() {
			done += s.GetNext() - s.GetStart()
			if s.GetNext() < s.GetTail() {
				return false
			}
		}
		return done >= uint64(len(want))
	})
	got := gunzipped(t, b, lake, "direct/")
	for line := range want {
		if got[line] != 1 {
			t.Errorf("%.40q is there %d times", line, got[line])
		}
	}
	v, err := cl.Delivery.VerifyDelivery(ctx, &leatv1.VerifyDeliveryRequest{Delivery: "direct", Deep: true})
	if err != nil || !v.GetClean() || v.GetStored() != v.GetRecords() {
		t.Errorf("verify: %v, %v", v, err)
	}
	r := rig.Run(t, []string{"LEAT_ENDPOINT=" + n.GRPC, "LEAT_TOKEN=" + b.Token}, "delivery", "verify", "direct")
	if r.Code != 0 || !strings.Contains(r.Stdout, "clean") {
		t.Errorf("leat delivery verify: %+v", r)
	}
	n.Stop(t)
	b.Check(t)
}

// A server that is given no keys has those of its machine, from the environment here, as a role's; its deliveries have them, too.
func TestDeliveryByTheMachinesCredentials(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	lake := b.S3.Bucket(t)
	n := rig.Serve(t, "node", b)
	n.SetEnv("LEAT_S3_ACCESS_KEY=", "LEAT_S3_SECRET_KEY=", "AWS_ACCESS_KEY_ID="+b.S3.AccessKey, "AWS_SECRET_ACCESS_KEY="+b.S3.SecretKey)
	n.Start(t)
	cl := n.Dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := cl.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: "d", Config: &leatv1.DeliveryConfig{
		Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1}, Format: &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
		Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP, Naming: &leatv1.DeliveryNaming{Prefix: "d/"}, S3: &leatv1.DeliveryS3{Bucket: lake},
	}})
	if err != nil {
		t.Fatal(err)
	}
	await(ctx, t, func() bool {
		res, err := cl.Delivery.PutDeliveryRecords(ctx, &leatv1.PutDeliveryRecordsRequest{Delivery: "d", Records: [][]byte{[]byte("one")}})
		return err == nil && res.GetFailedCount() == 0
	})
	await(ctx, t, func() bool {
		d, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: "d"})
		if err != nil {
			return false
		}
		done := uint64(0)
		for _, s := range d.GetShards() {
			if s.GetReason() != "" {
				t.Fatal(s.GetReason())
			}
			done += s.GetNext() - s.GetStart()
		}
		return done == 1
	})
	if got := gunzipped(t, b, lake, "d/"); got["one"] != 1 {
		t.Errorf("the bucket has %v", got)
	}
	n.Stop(t)
}

func await(ctx context.Context, t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("waited too long")
		}
	}
}

// gunzipped counts the lines of all objects below a prefix.
func gunzipped(t *testing.T, b *rig.Backend, bucket, prefix string) map[string]int {
	t.Helper()
	s3, err := minio.New(b.S3.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(b.S3.AccessKey, b.S3.SecretKey, ""), Region: b.S3.Region})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for o := range s3.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		body, err := s3.GetObject(t.Context(), bucket, o.Key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			out[string(bytes.TrimSuffix(line, []byte("\n")))]++
		}
	}
	return out
}
