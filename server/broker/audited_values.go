// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery/spec"
)

// What the audit log is told of things that change. Each value names its members one by one, so that a secret that is added
// to a thing is not in the log.

type fields = map[string]any

func ofStream(s *leat.Stream, shards int) any {
	f := fields{"mode": s.Mode, "shards": shards, "retention_hours": int(s.Retention / time.Hour), "max_record_bytes": s.MaxRecordBytes}
	if s.WarmThroughput > 0 {
		f["warm_throughput_mibps"] = s.WarmThroughput
	}
	if s.EncryptionKey != "" {
		f["encryption_key"] = s.EncryptionKey // its name
	}
	return f
}

func ofAccount(a *leat.Account) any {
	return fields{"id": a.ID, "name": a.Name, "labels": a.Labels, "state": a.State, "quotas": a.Quotas}
}

func ofRole(r *leat.Role) any {
	return fields{"description": r.Description, "policy": r.Policy, "tags": r.Tags}
}

func ofKey(k *leat.AccessKey) any {
	return fields{"id": k.ID, "name": k.Name, "role": k.Role, "active": k.Active}
}

func ofToken(t *leat.Token) any {
	f := fields{"id": t.ID, "name": t.Name, "role": t.Role}
	if !t.Expires.IsZero() {
		f["expires"] = t.Expires.UTC()
	}
	return f
}

func ofDelivery(d *spec.Delivery) any {
	c := &d.Config
	f := fields{"state": d.State, "version": d.Version, "prefix": c.Naming.Prefix, "format": c.Format.Kind, "compression": c.Compression, "tags": d.Tags}
	if !c.Source.Direct() {
		f["source"] = c.Source.Stream
	}
	if s := c.Destination.S3; s != nil {
		f["bucket"], f["endpoint"], f["access_key"] = s.Bucket, spec.WithoutQuery(s.Endpoint), s.AccessKey
	}
	if h := c.Destination.HTTP; h != nil {
		f["url"] = spec.WithoutQuery(h.URL)
	}
	if c.Backup != nil {
		f["backup_bucket"] = c.Backup.S3.Bucket
	}
	steps := []spec.TransformKind{}
	for i := range c.Transforms {
		steps = append(steps, c.Transforms[i].Kind)
	}
	f["transforms"] = steps
	return f
}

// tagsOf are all tags that something has now; nil where they cannot be read, or nobody asks.
func (b *Broker) tagsOf(ctx context.Context, r catalog.Resource) any {
	if !watched(ctx) {
		return nil
	}
	all, err := b.catalog.ListTags(ctx, r, "", leat.MaxTags+1)
	if err != nil {
		return nil
	}
	f := map[string]string{}
	for _, t := range all {
		f[t.Name] = t.Value
	}
	return fields{"tags": f}
}

// policyOf is the policy that something has now; nil where there is none.
func (b *Broker) policyOf(ctx context.Context, r catalog.Resource) any {
	if !watched(ctx) {
		return nil
	}
	text, err := b.catalog.Policy(ctx, r)
	if err != nil || text == "" {
		return nil
	}
	return fields{"policy": text}
}

// roleOf is a role as it is now; nil where there is none.
func (b *Broker) roleOf(ctx context.Context, account, name string) any {
	if !watched(ctx) {
		return nil
	}
	r, err := b.catalog.Role(ctx, account, name)
	if err != nil {
		return nil
	}
	return ofRole(&r)
}

// deliveryOf is a delivery stream as it is now; nil where there is none.
func (b *Broker) deliveryOf(ctx context.Context, account, name string) any {
	if !watched(ctx) {
		return nil
	}
	d, err := b.deliveries.Describe(ctx, account, name)
	if err != nil {
		return nil
	}
	return ofDelivery(&d.Delivery)
}

// watched tells whether a call leaves a trail.
func watched(ctx context.Context) bool {
	_, ok := ctx.Value(trailKey{}).(*trail)
	return ok
}
