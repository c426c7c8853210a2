// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Nothing is delivered into the bucket of Leat's own records: not with the server's credentials nor with others, at none of its
// endpoints, and not by a delivery stream that was made before this was refused.
func TestLeatsOwnBucketIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *delivery.Config) { c.S3.Bucket, c.S3.Doors = "leat-own", []string{"https://other-door.example"} })
	r.stream("s", 1)
	r.deliver("d", r.toBucket("s"))
	for name, x := range map[string]struct {
		field string
		to    spec.S3
	}{
		"the server's credentials": {"destination.s3.bucket", spec.S3{Bucket: "leat-own"}},
		"others":                   {"destination.s3.bucket", spec.S3{Bucket: "leat-own", AccessKey: "ak", SecretKey: "sk"}},
		"its endpoint by name":     {"destination.s3.bucket", spec.S3{Bucket: "leat-own", Endpoint: r.config.S3.Endpoint + "/", AccessKey: "ak", SecretKey: "sk"}},
		"another door":             {"destination.s3.bucket", spec.S3{Bucket: "leat-own", Endpoint: "https://Other-Door.example:443", AccessKey: "ak", SecretKey: "sk"}},
		"the backup":               {"backup.s3.bucket", spec.S3{Bucket: "leat-own"}},
	} {
		c := r.toBucket("s", func(c *spec.Config) {
			if x.field == "backup.s3.bucket" {
				c.Backup = &spec.Backup{S3: x.to, All: true}
			} else {
				c.Destination.S3 = &x.to
			}
		})
		if _, err := r.broker.CreateDelivery(t.Context(), who, broker.CreateDeliveryRequest{Delivery: "e", Config: c}); fieldOf(err) != x.field {
			t.Errorf("%s: created, field %q of %v", name, fieldOf(err), err)
		}
		if _, err := r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: spec.Change{Config: &c}}); fieldOf(err) != x.field {
			t.Errorf("%s: updated, field %q of %v", name, fieldOf(err), err)
		}
	}
	elsewhere := r.toBucket("s", func(c *spec.Config) {
		c.Destination.S3 = &spec.S3{Bucket: "leat-own", Endpoint: "http://127.0.0.1:1", AccessKey: "ak", SecretKey: "sk"}
	})
	r.deliver("elsewhere", elsewhere) // another store's bucket of that name is none of Leat's

	r.kill()
	r.config.S3.Bucket = r.bucket
	r.start()
	r.put("s", "one")
	r.until("it waits and says why", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Shards) == 1 && strings.Contains(d.Shards[0].Reason, "keeps its own records in")
	})
	if n := len(r.objects("")); n > 0 {
		t.Errorf("%d objects were written", n)
	}
}

// What was under way into the bucket of Leat's own records when that was not refused yet is delivered, and can be looked at. What
// comes after it goes to another bucket, once the delivery stream is given one.
func TestWhatWasOnItsWayIntoLeatsOwnBucket(t *testing.T) {
	t.Parallel()
	named := make(chan struct{}, 1000)
	r := newRig(t, func(c *delivery.Config) {
		c.Fault = func(s delivery.Step, _ string) error {
			if s == delivery.StepPut {
				named <- struct{}{}
				return errors.New("struck")
			}
			return nil
		}
	})
	r.stream("s", 1)
	r.deliver("d", r.toBucket("s"))
	r.put("s", "one")
	<-named
	r.kill()

	r.config.S3.Bucket, r.config.Fault = r.bucket, nil
	r.start()
	r.settled("d", 1)
	r.put("s", "two")
	r.waits("d", "keeps its own records in")
	if rep := r.clean("d", 1); rep.Stored != 1 {
		t.Errorf("verify: %+v", rep)
	}
	other := r.toBucket("s")
	other.Destination.S3.Bucket = r.bucket + "-other"
	r.must(r.s3.MakeBucket(t.Context(), other.Destination.S3.Bucket, minio.MakeBucketOptions{}))
	_, err := r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: spec.Change{Config: &other}})
	r.must(err)
	r.settled("d", 2)
	r.once(r.lines("data/"), []string{"one"})
	r.clean("d", 2)
}
