// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"context"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// A plan that is carried out again after some of its records have expired cannot make the same objects again. So that none
// of its records is lost or doubled all the same, outputs go to the objects that the first try named for them, and those
// that the first try wrote are taken over as they stand.

// Mark is the place of an output in its plan.
type Mark struct {
	At  uint64 `json:"at"`            // its record's place among the plan's records
	Sub uint64 `json:"sub,omitempty"` // its place among the outputs of that record
}

func (m Mark) compare(o Mark) int { return cmp.Or(cmp.Compare(m.At, o.At), cmp.Compare(m.Sub, o.Sub)) }

// marks returns the places of all outputs.
func (j *job) marks() []Mark {
	all := make([]Mark, len(j.outputs))
	subs := map[int]uint64{}
	for i := range j.outputs {
		source := j.outputs[i].Source
		r := &j.records[source]
		all[i] = Mark{At: j.placeOf(r), Sub: subs[source]}
		if i+1 < len(j.outputs) && j.outputs[i+1].Source == source || subs[source] > 0 {
			subs[source]++
		}
	}
	return all
}

// placeOf is a record's place among the plan's records, expired ones too.
func (j *job) placeOf(r *spec.Record) (at uint64) {
	for _, p := range j.p.parts {
		if p.Shard == r.Shard {
			return at + r.Offset - p.First
		}
		at += p.End - p.First
	}
	return at
}

// begun tells whether an earlier try may have written objects that this one cannot make, since records have expired.
func (j *job) begun() bool {
	return j.p.manifest.Partial && uint64(len(j.records)) < tallyOf(j.p.parts).Records
}

// regroup is group for a plan that was begun.
func (j *job) regroup() error {
	named, drafts := map[string]*Object{}, map[string]*draft{}
	for i := range j.p.manifest.Objects {
		o := &j.p.manifest.Objects[i]
		named[o.Key] = o
	}
	marks := j.marks()
	for i := range j.outputs {
		o := &j.outputs[i]
		tuple := ""
		if j.t.config.Partitioning != nil {
			tuple = partitionOf(o)
		}
		key, why := j.namedFor(o, tuple, marks[i], named)
		if key == "" {
			j.refuse(i, why.Code, why.Message)
			continue
		}
		d := drafts[key]
		if d == nil {
			d = &draft{Object: Object{Key: key, Begin: named[key].Begin, End: named[key].End}, bucket: j.t.bucket}
			drafts[key] = d
			j.objects = append(j.objects, d)
		}
		d.outputs = append(d.outputs, i)
	}
	j.keepNames()
	return nil
}

// keepNames keeps the names of earlier tries in the plan to which this one has nothing to write: their objects may stand.
func (j *job) keepNames() {
	named := map[string]bool{}
	for _, d := range j.objects {
		named[d.Key] = true
	}
	for i := range j.p.manifest.Objects {
		if o := &j.p.manifest.Objects[i]; !named[o.Key] {
			j.objects = append(j.objects, &draft{Object: Object{Key: o.Key, Begin: o.Begin, End: o.End}, bucket: j.t.bucket})
		}
	}
}

// namedFor finds the object that the first try put an output into; none when it was refused.
func (j *job) namedFor(o *spec.Output, tuple string, at Mark, named map[string]*Object) (string, *spec.Unfit) {
	for part := 0; ; part++ {
		key, err := j.key(o, tuple, part)
		if err != nil {
			return "", &spec.Unfit{Code: codeNaming, Message: err.Error()}
		}
		n := named[key]
		if n == nil {
			return "", tooMany(j.t.config.Partitioning)
		}
		if n.End == nil || at.compare(*n.End) <= 0 {
			return key, nil
		}
	}
}

// standing takes over what an earlier try wrote and this one put nothing to. What stands in the error prefix stays as it is, so failures
// of its kind count as it says: they may be others, where another version wrote it.
func (j *job) standing(ctx context.Context) error {
	for _, d := range j.objects {
		if d.Units > 0 {
			continue
		}
		if err := j.adopt(ctx, d); err != nil {
			return err
		}
	}
	for _, kind := range errorTypes {
		key, err := j.t.namer.Key(j.keyOf("errors "+string(kind), kind, nil, 0))
		if err != nil {
			return err
		}
		d := &draft{Object: Object{Role: Errors, Key: key}}
		d.bucket, d.Backup = j.t.errorBucket()
		for i := range j.failed {
			if f := &j.failed[i]; f.Type == kind && f.stands {
				d.add(j.records[f.Source].Shard, j.records[f.Source].Offset)
			}
		}
		if err := j.adopt(ctx, d); err != nil {
			return err
		}
		if d.Units > 0 {
			j.objects = append(j.objects, d)
			j.failed = slices.DeleteFunc(j.failed, func(f failure) bool { return f.Type == kind })
		}
	}
	if j.t.backup == nil || !j.t.config.Backup.All || len(j.records) > 0 {
		return nil // nobody else needs it, or it is put
	}
	key, err := j.t.keepAll.Key(j.keyOf("backup", "", nil, 0))
	if err != nil {
		return err
	}
	d := &draft{Object: Object{Role: Backup, Key: key, Backup: true}, bucket: j.t.backup}
	j.objects = append(j.objects, d)
	return j.adopt(ctx, d)
}

// adopt makes a draft the object of its plan that stands there, if one does.
func (j *job) adopt(ctx context.Context, d *draft) error {
	if d.bucket == nil {
		return nil
	}
	there, meta, err := d.bucket.head(ctx, d.Key)
	if err != nil || there == nil || meta.Get(metaPlan) != j.p.id {
		return err
	}
	there.Role, there.Backup = d.Role, d.Backup
	d.Object, d.other = *there, there.Tally != d.Tally
	return nil
}

// settleExpired says what of a plan has expired: what is neither in an object, whoever wrote it, nor dropped. That all or none of what expired is
// missing is proved by the places, too: as many other records may be.
func (j *job) settleExpired(m *Manifest) error {
	all := m.Expired
	m.Expired = j.missing(m)
	switch lacks := m.Expired; {
	case lacks.Records > all.Records, lacks.Records == all.Records && lacks != all, lacks.Records == 0 && lacks.Hash != 0:
		return leat.Errorf(leat.KindInternal, "of plan %s %d records have expired and its objects lack %d, which are not those: nothing is committed", j.p.id, all.Records, lacks.Records)
	}
	return nil
}

// counts returns how many records of each part are there. What has expired is a part's beginning.
func (j *job) counts() []uint64 {
	n := make([]uint64, len(j.p.parts))
	at := 0
	for i := range j.records {
		for j.p.parts[at].Shard != j.records[i].Shard {
			at++
		}
		n[at]++
	}
	return n
}

// relocate turns the sources of an outcome that was kept when counts records of each part were there into those of now.
// What has expired meanwhile is left out.
func (j *job) relocate(r *spec.Result, was []uint64) error {
	now := j.counts()
	if was == nil { // kept by an older version: nothing had expired
		for _, p := range j.p.parts {
			was = append(was, p.End-p.First)
		}
	}
	total := uint64(0)
	for _, n := range was {
		total += n
	}
	to := make([]int, 0, total) // -1: it has expired
	base := 0
	for i, n := range was {
		if n < now[i] {
			return leat.Errorf(leat.KindCorrupt, "what is kept of the transforms of plan %s is of fewer records than there are", j.p.id)
		}
		for range n - now[i] {
			to = append(to, -1)
		}
		for range now[i] {
			to = append(to, base)
			base++
		}
	}
	source := func(s int) (int, error) {
		if s < 0 || s >= len(to) {
			return 0, leat.Errorf(leat.KindCorrupt, "what is kept of the transforms of plan %s is of other records", j.p.id)
		}
		return to[s], nil
	}
	return moveSources(r, source)
}

func moveSources(r *spec.Result, source func(int) (int, error)) error {
	outputs, failed, dropped := r.Outputs[:0], r.Failed[:0], r.Dropped[:0]
	for _, o := range r.Outputs {
		s, err := source(o.Source)
		if err != nil {
			return err
		}
		if o.Source = s; s >= 0 {
			outputs = append(outputs, o)
		}
	}
	for _, f := range r.Failed {
		s, err := source(f.Source)
		if err != nil {
			return err
		}
		if f.Source = s; s >= 0 {
			failed = append(failed, f)
		}
	}
	for _, d := range r.Dropped {
		s, err := source(d)
		if err != nil {
			return err
		}
		if s >= 0 {
			dropped = append(dropped, s)
		}
	}
	r.Outputs, r.Failed, r.Dropped = outputs, failed, dropped
	return nil
}
