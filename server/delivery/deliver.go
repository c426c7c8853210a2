// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/delivery/transform"
)

// putsAtOnce is how many objects of one plan are on their way at a time.
const putsAtOnce = 8

// job is one plan while it is carried out: steps 3 to 5 of the protocol.
type job struct {
	e        *Engine
	delivery *spec.Delivery
	t        *tools
	p        *plan
	again    bool // somebody may have begun with it, with another bound of retries
	room     *room
	records  []spec.Record // all that could be read of the plan's parts, in order
	outputs  []spec.Output
	stands   []bool // of outputs: it is the one place where its record counts
	failed   []failure
	dropped  Tally
	objects  []*draft
	sent     map[string]*sent // requests to an endpoint, by their ids
	entered  *bool            // its worker has entered it in the ledger
}

// draft is an object before it is written.
type draft struct {
	Object
	bucket  *bucket
	outputs []int // indexes into the job's
	body    []byte
	other   bool // it stood already, and has other records
}

// run makes the plan's objects and fills in its manifest.
func (j *job) run(ctx context.Context) error {
	if err := j.transform(ctx); err != nil {
		return err
	}
	switch {
	case j.t.endpoint != nil:
	case j.begun():
		if err := j.regroup(); err != nil {
			return err
		}
	default:
		if err := j.group(); err != nil {
			return err
		}
		j.keepNames()
	}
	if err := j.planned(ctx); err != nil {
		return err
	}
	m := Manifest{Dropped: j.dropped, Expired: j.expired()}
	if j.t.endpoint != nil {
		sent, err := j.send(ctx)
		if err != nil {
			return err
		}
		m.Objects = append(m.Objects, sent...)
	} else if err := j.write(ctx); err != nil {
		return err
	}
	if j.p.manifest.Partial || m.Expired.Records > 0 { // an earlier try may have written what this one cannot, or refuses
		if err := j.standing(ctx); err != nil {
			return err
		}
	}
	if err := j.unrefuse(&m); err != nil {
		return err
	}
	if err := j.writeErrors(ctx); err != nil {
		return err
	}
	if err := j.writeBackup(ctx); err != nil {
		return err
	}
	for _, d := range j.objects {
		if d.Units > 0 || d.Records > 0 {
			d.Begin, d.End = nil, nil
			m.Objects = append(m.Objects, d.Object)
		}
	}
	if m.Expired.Records > 0 { // an object that was written before they expired has them
		if err := j.settleExpired(&m); err != nil {
			return err
		}
	}
	if err := j.covers(&m); err != nil {
		return err
	}
	j.p.manifest = m
	return nil
}

// missing is what of the plan is neither in an object nor dropped.
func (j *job) missing(m *Manifest) Tally {
	t, there := tallyOf(j.p.parts), m.Dropped
	for i := range m.Objects {
		if m.Objects[i].Role != Backup {
			there.plus(m.Objects[i].Tally)
		}
	}
	return Tally{t.Records - there.Records, t.Hash - there.Hash}
}

// covers is invariant D2: every record of the plan is somewhere, once.
func (j *job) covers(m *Manifest) error {
	want, got := tallyOf(j.p.parts), m.Dropped
	got.plus(m.Expired)
	for i := range m.Objects {
		if m.Objects[i].Role != Backup {
			got.plus(m.Objects[i].Tally)
		}
	}
	if want != got {
		return j.uncovered(want, got)
	}
	return nil
}

// transform runs the pipeline over the records. What cannot be repeated is kept first.
func (j *job) transform(ctx context.Context) (err error) {
	var r spec.Result
	switch {
	case j.t.pipeline == nil:
		r.Outputs = make([]spec.Output, len(j.records))
		for i := range j.records {
			r.Outputs[i] = spec.Output{Source: i, Data: j.records[i].Data}
		}
	case j.t.repeatable:
		r, err = j.apply(ctx)
	default:
		r, err = j.staged(ctx)
	}
	if err != nil {
		return err
	}
	return j.assign(&r)
}

// The records that a pipeline gets at once, at most. A few bytes may become transform.MaxOutputBytes, so steps that make more
// of a record get few at once; those that ask endpoints get more, for the sake of the number of requests.
const (
	batchRecords  = 2000
	batchGrowing  = 8
	batchAndAsked = 100
	batchBytes    = 4 << 20
)

// batchOf is how many records a configuration's pipeline gets at once.
func batchOf(c *spec.Config) int {
	grows, asks := false, false
	for i := range c.Transforms {
		switch c.Transforms[i].Kind {
		case spec.HTTPCall:
			asks = true
		default:
			grows = true
		}
	}
	switch {
	case !grows:
		return batchRecords
	case asks:
		return batchAndAsked
	}
	return batchGrowing
}

// outputBytes is how much transforms may make of the records of one range. What a record makes beyond goes to the error
// prefix: a range of small records that become large ones must not take a node's memory, and then the next node's.
const outputBytes = 512 << 20

// bound takes out what a batch makes beyond the bytes that are left. Parts that failed count like others: they are kept until
// the error prefix has them.
func bound(r *spec.Result, left *int64) {
	sizes := map[int]int64{}
	for i := range r.Outputs {
		o := &r.Outputs[i]
		n := len(o.Data) + transform.PartBytes
		for _, keys := range []map[string]string{o.Query, o.Lambda} {
			for name, value := range keys {
				n += len(name) + len(value)
			}
		}
		sizes[o.Source] += int64(n)
	}
	for i := range r.Failed {
		sizes[r.Failed[i].Source] += int64(len(r.Failed[i].Data)) + transform.PartBytes
	}
	refused := map[int]bool{}
	for _, source := range slices.Sorted(maps.Keys(sizes)) {
		if sizes[source] <= *left {
			*left -= sizes[source]
		} else {
			refused[source] = true
		}
	}
	if len(refused) == 0 {
		return
	}
	r.Outputs = slices.DeleteFunc(r.Outputs, func(o spec.Output) bool { return refused[o.Source] })
	r.Failed = slices.DeleteFunc(r.Failed, func(f spec.Failure) bool { return refused[f.Source] })
	for _, source := range slices.Sorted(maps.Keys(refused)) {
		r.Failed = append(r.Failed, spec.Failure{
			Source: source, Type: spec.ProcessingFailed, Code: "Transform.OutputTooLarge",
			Message: fmt.Sprintf("what transforms make of the records of this range is more than %d MiB, with %d bytes for each part: choose a smaller buffer", outputBytes>>20, transform.PartBytes),
		})
	}
}

func (j *job) apply(ctx context.Context) (all spec.Result, err error) {
	most, left := batchOf(&j.t.config), int64(outputBytes)
	for from := 0; from < len(j.records); {
		to, size := from, 0
		for to < len(j.records) && to-from < most && (to == from || size+len(j.records[to].Data) <= batchBytes) {
			size += len(j.records[to].Data)
			to++
		}
		r, err := j.t.pipeline.Apply(ctx, j.records[from:to], j.room.left())
		if errors.Is(err, spec.ErrRoom) {
			if err := j.room.more(ctx); err != nil {
				return all, err
			}
			continue
		}
		if err != nil {
			return all, fmt.Errorf("transform: %w", err)
		}
		was := left
		bound(&r, &left)
		j.room.made.Add(was - left)
		for _, o := range r.Outputs {
			o.Source += from
			all.Outputs = append(all.Outputs, o)
		}
		for _, f := range r.Failed {
			f.Source += from
			all.Failed = append(all.Failed, f)
		}
		for _, d := range r.Dropped {
			all.Dropped = append(all.Dropped, d+from)
		}
		from = to
	}
	return all, nil
}

// failure is a record, or a part of one, that goes to the error prefix.
type failure struct {
	spec.Failure
	stands bool // it is the one place where its record counts
}

// assign says where each record counts: in its first output, otherwise in its first failure, otherwise as dropped.
func (j *job) assign(r *spec.Result) error {
	seen := make([]bool, len(j.records))
	first := func(source int) bool {
		was := seen[source]
		seen[source] = true
		return !was
	}
	j.outputs, j.stands = r.Outputs, make([]bool, len(r.Outputs))
	for i := range r.Outputs {
		j.stands[i] = first(r.Outputs[i].Source)
	}
	for _, f := range r.Failed {
		j.failed = append(j.failed, failure{f, first(f.Source)})
	}
	for _, d := range r.Dropped {
		if first(d) {
			j.dropped.add(j.records[d].Shard, j.records[d].Offset)
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		return leat.Errorf(leat.KindInternal, "transforms say nothing of record %s: nothing is committed", j.records[i].Sequence)
	}
	return nil
}

// expired counts what of the plan was not there any more when it was read.
func (j *job) expired() Tally {
	t, there := tallyOf(j.p.parts), Tally{}
	for i := range j.records {
		there.add(j.records[i].Shard, j.records[i].Offset)
	}
	return Tally{t.Records - there.Records, t.Hash - there.Hash}
}

// group says which output goes to which object. With partitioning an object is for one partition, and ends when it has the
// buffer's bytes.
func (j *job) group() error {
	c := &j.t.config
	active, size, parts := map[string]*draft{}, map[*draft]int64{}, map[string]int{}
	begin := func(o *spec.Output, tuple string) (*draft, error) {
		key, err := j.key(o, tuple, parts[tuple])
		if err != nil {
			return nil, err
		}
		d := &draft{Object: Object{Key: key}, bucket: j.t.bucket}
		active[tuple] = d
		parts[tuple]++
		j.objects = append(j.objects, d)
		return d, nil
	}
	for i := range j.outputs {
		o := &j.outputs[i]
		tuple := ""
		if c.Partitioning != nil {
			tuple = partitionOf(o)
		}
		d := active[tuple]
		switch {
		case d == nil && c.Partitioning != nil && len(active) >= c.Partitioning.MaxActive:
			why := tooMany(c.Partitioning)
			j.refuse(i, why.Code, why.Message)
			continue
		case d == nil, c.Partitioning != nil && size[d]+int64(len(o.Data)) > c.Buffer.Bytes:
			var err error
			if d, err = begin(o, tuple); err != nil {
				j.refuse(i, codeNaming, err.Error())
				continue
			}
		}
		size[d] += int64(len(o.Data))
		d.outputs = append(d.outputs, i)
	}
	j.mark()
	return nil
}

// mark keeps the places of each object's first and last output.
func (j *job) mark() {
	if j.t.config.Partitioning == nil {
		return // there is one object
	}
	marks := j.marks()
	for _, d := range j.objects {
		d.Begin, d.End = &marks[d.outputs[0]], &marks[d.outputs[len(d.outputs)-1]]
	}
}

// refuse sends an output to the error prefix that no object could be named for.
func (j *job) refuse(output int, code, message string) {
	o := &j.outputs[output]
	j.failed = append(j.failed, failure{spec.Failure{Source: o.Source, Data: o.Data, Type: spec.PartitioningFailed, Code: code, Message: message}, j.stands[output]})
}

const codeNaming = "DynamicPartitioning.MetadataExtractionFailed"

func tooMany(p *spec.Partitioning) *spec.Unfit {
	most := 1
	if p != nil {
		most = p.MaxActive
	}
	return &spec.Unfit{Code: "DynamicPartitioning.ActivePartitionLimitExceeded", Message: fmt.Sprintf("there are %d other active partitions, the most that are allowed", most)}
}

func (j *job) key(o *spec.Output, tuple string, part int) (string, error) {
	return j.t.namer.Key(j.keyOf("data "+tuple+" "+strconv.Itoa(part), "", o, part))
}

func (j *job) keyOf(what string, failure spec.ErrorType, o *spec.Output, part int) spec.Key {
	k := spec.Key{Delivery: j.delivery.Name, Version: j.p.version, Oldest: timeOf(j.p.oldest), Seed: seed(j.p.id, what), Error: failure, Part: part}
	if o != nil {
		k.Query, k.Lambda = o.Query, o.Lambda
	}
	return k
}

// partitionOf writes an output's partition keys as one text.
func partitionOf(o *spec.Output) string {
	var b strings.Builder
	for _, m := range []map[string]string{o.Query, o.Lambda} {
		names := make([]string, 0, len(m))
		for n := range m {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			fmt.Fprintf(&b, "%d:%s%d:%s", len(n), n, len(m[n]), m[n])
		}
		b.WriteByte('/')
	}
	return b.String()
}

// planned keeps the names in the plan, before the first object is written. It asks the catalog at every try whether the plan is still to
// be carried out; Leat's own bucket is done with after one.
func (j *job) planned(ctx context.Context) error {
	m := Manifest{Partial: true}
	for _, d := range j.objects {
		m.Objects = append(m.Objects, Object{Role: d.Role, Key: d.Key, Backup: d.Backup, Begin: d.Begin, End: d.End})
	}
	if err := j.e.tables.name(ctx, j.p.id, &m); err != nil {
		return err
	}
	if !*j.entered {
		before, err := j.e.enter(ctx, j.delivery.ID, j.p, m)
		if err != nil {
			return err
		}
		for i := range before {
			if b := &before[i]; j.t.keeps() || b.version != j.p.version {
				j.e.unstage(ctx, b.id) // the entry says that it was committed
			}
		}
		*j.entered = true
	}
	return j.e.at(ctx, StepNamed, j.p.id)
}

// write encodes and writes the objects of the destination, a few at a time.
func (j *job) write(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(putsAtOnce)
	for _, d := range j.objects {
		err := j.encode(gctx, d)
		if gctx.Err() != nil {
			break // a put has failed, and says why
		}
		if err != nil {
			return errWait(g, err)
		}
		if d.Units == 0 {
			continue // the format could hold nothing of it
		}
		g.Go(func() error {
			return sheltered(j.e.cfg.Logger, func() error { return j.put(gctx, d, contentType(&j.t.config)) })
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err() // then some may not have begun
}

// fill gives an object its bytes, until it is put.
func (j *job) fill(d *draft, body []byte) {
	d.body = body
	j.room.made.Add(int64(len(body)))
}

// put writes an object and lets go of its bytes.
func (j *job) put(ctx context.Context, d *draft, contentType string) (err error) {
	defer func() {
		j.room.made.Add(-int64(len(d.body)))
		d.body = nil
	}()
	ctx, span := j.e.cfg.Tracer.Call(ctx, "put delivery object")
	if span.Followed() {
		span.Number("leat.object_bytes", int64(len(d.body)))
		defer func() { span.End(err) }()
	}
	was := d.Tally
	if err := d.bucket.put(ctx, j.delivery.ID, j.p, &d.Object, d.body, contentType); err != nil {
		return err
	}
	d.other = d.Tally != was
	return j.e.at(ctx, StepPut, j.p.id)
}

// errWait joins what runs and returns the first error.
func errWait(g *errgroup.Group, err error) error {
	_ = g.Wait() // err came first
	return err
}

// encode makes an object's bytes. What the format cannot hold is a failure.
func (j *job) encode(ctx context.Context, d *draft) error {
	for failed := len(j.failed); ; {
		b := &body{most: j.room.left()}
		err := j.encodeTo(b, d)
		if !b.over {
			j.fill(d, b.Bytes())
			return err
		}
		j.failed, d.Units, d.Tally = j.failed[:failed], 0, Tally{}
		if err := j.room.more(ctx); err != nil {
			return err
		}
	}
}

func (j *job) encodeTo(w io.Writer, d *draft) error {
	enc, err := j.t.encode(w)
	if err != nil {
		return err
	}
	for _, at := range d.outputs {
		o := &j.outputs[at]
		err := enc.Add(o.Data)
		if u, ok := errors.AsType[*spec.Unfit](err); ok {
			j.failed = append(j.failed, failure{spec.Failure{Source: o.Source, Type: spec.ConversionFailed, Code: u.Code, Message: u.Message, Data: o.Data}, j.stands[at]})
			continue
		}
		if err != nil {
			return err
		}
		d.Units++
		if j.stands[at] {
			r := &j.records[o.Source]
			d.add(r.Shard, r.Offset)
		}
	}
	return enc.Close()
}

func contentType(c *spec.Config) string {
	switch c.Compression {
	case spec.Gzip:
		return "application/gzip"
	case spec.Zstd:
		return "application/zstd"
	case spec.Zip:
		return "application/zip"
	case spec.None:
		if c.Format.Kind == spec.JSONLines {
			return "application/x-ndjson"
		}
	}
	return "application/octet-stream"
}
