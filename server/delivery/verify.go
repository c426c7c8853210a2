// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

const (
	headsAtOnce = 16
	maxProblems = 100
)

// proof is a verification under way.
type proof struct {
	e       *Engine
	d       *spec.Delivery
	track   string
	deep    bool
	tools   map[uint64]*tools
	mu      sync.Mutex
	report  spec.Report
	keys    map[string]struct{} // of objects that plans name
	pending map[string]bool     // plans that are not committed
	g       *errgroup.Group
	gctx    context.Context //nolint:containedctx // of g
}

// Verify proves from the catalog and the bucket that every record of the delivered ranges is in exactly one object, or in
// the error prefix, or was dropped or had expired: the plans of each shard cover its range without a gap or an overlap
// (D1), what each plan's objects hold adds up to the plan's records, place by place (D2), and each of these objects stands
// in the bucket as it was written (D3). Objects of this delivery that no plan names are problems too. It may run while the
// delivery does. KindUnavailable where a bucket cannot be asked: then nothing is proved.
func (e *Engine) Verify(ctx context.Context, account, name string, o spec.VerifyOptions) (spec.Report, error) {
	d, err := e.tables.one(ctx, account, name)
	if err != nil {
		return spec.Report{}, err
	}
	v := &proof{e: e, d: &d, track: o.Backfill, deep: o.Deep, tools: map[uint64]*tools{}, keys: map[string]struct{}{}, pending: map[string]bool{}}
	defer func() {
		for _, t := range v.tools {
			t.close()
		}
	}()
	// The cursors first: plans that are committed meanwhile go beyond them and are left for the next time.
	all, err := e.tables.cursors(ctx, d.ID)
	if err != nil {
		return v.report, err
	}
	cursors, ok := all[o.Backfill]
	if !ok && o.Backfill != "" {
		return v.report, leat.Errorf(leat.KindNotFound, "delivery stream %s has no backfill %.40s", name, o.Backfill)
	}
	v.g, v.gctx = errgroup.WithContext(ctx)
	v.g.SetLimit(headsAtOnce)
	err = v.ranges(ctx, cursors)
	if werr := v.g.Wait(); err == nil {
		err = werr
	}
	if err == nil {
		err = v.strays(ctx)
	}
	v.report.Clean = err == nil && len(v.report.Problems) == 0
	var store *storeError
	if errors.As(err, &store) && ctx.Err() == nil {
		err = leat.Errorf(leat.KindUnavailable, "Delivery stream %s cannot be verified, since its bucket %s cannot be asked: %w. Check that this node reaches it and that the delivery's credentials may read and list it, then verify again.",
			name, store.bucket, store)
	}
	return v.report, err
}

func (v *proof) problem(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, fmt.Sprintf(format, args...))
	}
}

// ranges checks that committed plans tile what cursors say is delivered.
func (v *proof) ranges(ctx context.Context, cursors []cursor) error {
	start, end := map[uint64]uint64{}, map[uint64]uint64{}
	for _, c := range cursors {
		start[c.ordinal], end[c.ordinal] = c.start, c.next
	}
	parts := map[uint64][]Part{}
	err := v.e.tables.eachPlan(ctx, v.d.ID, v.track, func(p *plan) error {
		if p.state == planned {
			v.pending[p.id] = true
			for _, part := range p.parts {
				v.report.Pending += part.End - part.First
			}
			for i := range p.manifest.Objects {
				v.keys[where(&p.manifest.Objects[i])] = struct{}{}
			}
			return nil
		}
		for i := range p.manifest.Objects {
			v.keys[where(&p.manifest.Objects[i])] = struct{}{}
		}
		if later := p.parts[0]; later.First >= end[later.Shard] {
			return nil // committed since the cursors were read
		}
		if !slices.ContainsFunc(p.parts, func(part Part) bool { return part.End > start[part.Shard] }) {
			return nil // before what a rebuilt catalog can prove
		}
		for _, part := range p.parts {
			if part.End > start[part.Shard] {
				parts[part.Shard] = append(parts[part.Shard], part)
			}
		}
		return v.plan(ctx, p)
	})
	if err != nil {
		return err
	}
	for _, c := range cursors {
		next := c.start
		for _, p := range inOrder(parts[c.ordinal]) {
			switch {
			case p.First > next:
				v.problem("%s: records %d to %d are in no object", leat.ShardID(c.ordinal), next, p.First-1)
			case p.First < next:
				v.problem("%s: records %d to %d are in two plans", leat.ShardID(c.ordinal), p.First, min(next, p.End)-1)
			}
			next = max(next, p.End)
		}
		if next < c.next {
			v.problem("%s: records %d to %d are in no object", leat.ShardID(c.ordinal), next, c.next-1)
		}
		v.report.Ranges = append(v.report.Ranges, spec.VerifiedRange{Shard: c.ordinal, First: c.start, End: c.next})
		v.report.Records += c.next - c.start
	}
	return nil
}

func where(o *Object) string {
	if o.Backup {
		return "b/" + o.Key
	}
	return "d/" + o.Key
}

// plan checks one plan's sums and has its objects looked at.
func (v *proof) plan(ctx context.Context, p *plan) error {
	want, got, kept := tallyOf(p.parts), Tally{}, Tally{}
	m := &p.manifest
	got.plus(m.Dropped)
	got.plus(m.Expired)
	v.mu.Lock()
	r := &v.report
	r.Dropped += m.Dropped.Records
	r.Expired += m.Expired.Records
	for i := range m.Objects {
		o := &m.Objects[i]
		switch o.Role {
		case Data, Sent:
			got.plus(o.Tally)
			r.Objects++
			r.Stored += o.Records
		case Errors:
			got.plus(o.Tally)
			r.Errors++
			r.Failed += o.Records
		case Backup:
			kept.plus(o.Tally)
			r.Backups++
		}
		r.Bytes += o.Bytes
	}
	v.mu.Unlock()
	if got != want {
		v.problem("plan %s (%s): its objects hold %d records of %d, or others", p.id, ranges(p.parts), got.Records, want.Records)
	}
	t, err := v.with(ctx, p.version)
	if err != nil {
		return err
	}
	if whole := want.Records - m.Expired.Records; p.state == committed && t.backup != nil && t.config.Backup.All && kept.Records != whole {
		v.problem("plan %s (%s): the backup holds %d records of %d", p.id, ranges(p.parts), kept.Records, whole)
	}
	for i := range m.Objects {
		if o := m.Objects[i]; o.Role != Sent {
			v.g.Go(func() error { return v.object(v.gctx, t, p, &o) })
		}
	}
	return ctx.Err()
}

func (v *proof) with(ctx context.Context, version uint64) (*tools, error) {
	if t := v.tools[version]; t != nil {
		return t, nil
	}
	c, err := v.e.config(ctx, v.d.ID, v.track, version)
	if err != nil {
		return nil, err
	}
	c.Transforms = nil // nothing is transformed
	t, err := v.e.compile(ctx, v.d.Account, v.d.Name, c)
	if err == nil {
		v.tools[version] = t
	}
	return t, err
}

// object checks that an object stands as it was written.
func (v *proof) object(ctx context.Context, t *tools, p *plan, o *Object) error {
	b := t.bucket
	if o.Backup {
		b = t.backup
	}
	there, meta, err := b.head(ctx, o.Key)
	switch {
	case err != nil:
		return err
	case there == nil:
		v.problem("%s: the object of %s is gone", o.Key, ranges(p.parts))
	case meta.Get(metaDelivery) != v.d.ID || meta.Get(metaPlan) != p.id:
		v.problem("%s: another's object stands there", o.Key)
	case there.Bytes != o.Bytes || there.SHA256 != o.SHA256 || there.Tally != o.Tally || there.Units != o.Units:
		v.problem("%s: the object is not the one that was written", o.Key)
	case v.deep:
		sum, err := b.sum(ctx, o.Key)
		if err != nil {
			return err
		}
		if sum != o.SHA256 {
			v.problem("%s: its bytes are not those that were written", o.Key)
		}
	}
	return nil
}

// strays looks for objects of this delivery that no plan names: records would be there twice.
func (v *proof) strays(ctx context.Context) error {
	for _, t := range v.tools {
		for _, place := range []struct {
			b     *bucket
			namer spec.Namer
			tag   string
		}{{t.bucket, t.namer, "d/"}, {t.backup, t.keepAll, "b/"}} {
			if place.b == nil || place.namer == nil {
				continue
			}
			err := place.b.keys(ctx, place.namer.Root(), func(key string) error {
				if _, ok := v.keys[place.tag+key]; ok {
					return nil
				}
				o, meta, err := place.b.head(ctx, key)
				if err != nil || o == nil || meta.Get(metaDelivery) != v.d.ID {
					return err
				}
				known, err := v.planned(ctx, meta.Get(metaPlan), key)
				if err == nil && !known {
					v.problem("%s: no plan names this object of ours", key)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
