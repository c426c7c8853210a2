// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

const (
	bucketSamples = 10
	slowCreate    = 150 * time.Millisecond
	cleanWithin   = 30 * time.Second
)

// bucket checks the object store. What it writes is under doctor/<random>/ and is removed.
func bucket(ctx context.Context, endpoints []s3.Options, report func(Finding)) {
	var stores []blob.Store
	var names []string
	for _, o := range endpoints {
		s, err := s3.Open(o)
		if err == nil {
			defer s.Close()
			err = s.CheckBucket(ctx)
		}
		if err != nil {
			report(Finding{"bucket", Bad, err.Error(), "a server does not start without its bucket", "see the text; from this machine, with these keys"})
			return
		}
		stores, names = append(stores, s), append(names, s.Endpoint())
		report(Finding{Check: "bucket", Grade: OK, Found: fmt.Sprintf("%s at %s can be listed", o.Bucket, s.Endpoint())})
		switch note, err := s.CheckLifecycle(ctx); {
		case err != nil:
			report(Finding{"bucket lifecycle", Bad, err.Error(), "objects that Leat needs would be gone: records, and fences that keep dead nodes out", "remove the rule, or limit it to another prefix"})
		case note != "":
			report(Finding{"bucket lifecycle", Warn, note, "a rule that expires objects would lose records, and could not be looked for", "allow s3:GetLifecycleConfiguration, or make sure by hand that no rule touches Leat's prefix"})
		default:
			report(Finding{Check: "bucket lifecycle", Grade: OK, Found: "no rule touches Leat's objects"})
		}
		if chain := certificates(ctx, s.Endpoint(), withSystems(o.CA), "--s3-ca-file"); chain != nil {
			report(*chain)
		}
	}
	prefix := "doctor/" + rand.Text() + "/"
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWithin)
		defer cancel()
		if err := empty(clean, stores[0], prefix); err != nil {
			report(Finding{"bucket clean-up", Warn, err.Error(), "objects under " + prefix + " are left over, and harmless", "remove them; allow s3:DeleteObject"})
		}
	}()
	began := time.Now()
	switch err := blob.ProveConditionalCreate(ctx, stores, prefix, blob.GateOptions{Names: names}); {
	case errors.Is(err, blob.ErrUnsafe):
		report(Finding{"bucket conditional PUT", Bad, err.Error(), "two nodes could write the same segment of a log: records would be lost or doubled. Leat refuses this store", "use a store that keeps If-None-Match: AWS S3, MinIO, Ceph from Squid on"})
		return
	case err != nil:
		report(Finding{"bucket conditional PUT", Bad, err.Error(), "it could not be proved, and a server proves it at its first start", "allow s3:PutObject and s3:GetObject, and try again"})
		return
	}
	report(Finding{Check: "bucket conditional PUT", Grade: OK, Found: fmt.Sprintf("one winner in each of 20 races of 32, in %s", short(time.Since(began)))})
	report(consistent(ctx, stores, prefix))
	speed(ctx, stores[0], prefix, report)
}

// consistent writes, reads, lists and deletes through all endpoints: each must see at once what another has done.
func consistent(ctx context.Context, stores []blob.Store, prefix string) Finding {
	broken := func(format string, args ...any) Finding {
		return Finding{"bucket consistency", Bad, fmt.Sprintf(format, args...), "Leat counts on reading and listing what was just written; without it a take-over could miss acknowledged records", "use a store with strong consistency, and one bucket behind all endpoints"}
	}
	for i := range bucketSamples {
		key, body := fmt.Sprintf("%sconsistency/%d", prefix, i), []byte(rand.Text())
		writer, reader := stores[i%len(stores)], stores[(i+1)%len(stores)]
		if err := writer.Create(ctx, key, body); err != nil {
			return broken("create: %v", err)
		}
		if got, err := reader.Read(ctx, key, 0, -1); err != nil || !bytes.Equal(got, body) {
			return broken("what was just written is read as %d bytes, not as it was (%v)", len(got), err)
		}
		listed, err := reader.List(ctx, prefix+"consistency/", "", 0)
		if err != nil || !slices.ContainsFunc(listed, func(i blob.Info) bool { return i.Key == key }) {
			return broken("what was just written is not in a listing (%v)", err)
		}
		if err := writer.Delete(ctx, key); err != nil {
			return broken("delete: %v", err)
		}
		if _, err := reader.Read(ctx, key, 0, -1); !errors.Is(err, blob.ErrNotFound) {
			return broken("what was just deleted is still read (%v)", err)
		}
	}
	return Finding{Check: "bucket consistency", Grade: OK, Found: fmt.Sprintf("%d objects were read, listed and gone at once", bucketSamples)}
}

// speed times small requests, and compares the clocks.
func speed(ctx context.Context, s blob.Store, prefix string, report func(Finding)) {
	body := make([]byte, 64<<10)
	creates, err := measure(bucketSamples, func(i int) error {
		return s.Create(ctx, fmt.Sprintf("%sspeed/%d", prefix, i), body)
	})
	if err != nil {
		report(Finding{"bucket PUT latency", Bad, err.Error(), "a put is as slow as one PUT, and fails when it fails", "look at the store"})
		return
	}
	report(latency("bucket PUT latency", creates, slowCreate, "a put is acknowledged after one such PUT: producers would wait as long", "put the nodes into the bucket's region, with a gateway endpoint and no proxy between"))
	reads, err := measure(bucketSamples, func(i int) error {
		_, err := s.Read(ctx, fmt.Sprintf("%sspeed/%d", prefix, i), 0, -1)
		return err
	})
	if err == nil {
		report(latency("bucket GET latency", reads, slowCreate, "readers of the past wait as long for each window", "the same"))
	}
	key := prefix + "clock"
	began := time.Now()
	if s.Create(ctx, key, []byte("x")) != nil {
		return
	}
	took := time.Since(began)
	if info, err := s.Stat(ctx, key); err == nil {
		const second = time.Second // the store tells whole seconds
		report(skew("bucket clock", "the bucket", began.Add(took/2).Sub(info.Modified.Add(second/2)), took/2+second))
	}
}

// empty deletes everything under a prefix.
func empty(ctx context.Context, s blob.Store, prefix string) error {
	for info, err := range blob.All(ctx, s, prefix) {
		if err != nil {
			return err
		}
		if err := s.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}
