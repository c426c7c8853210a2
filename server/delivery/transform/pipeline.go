// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Options are what the steps need besides their configuration.
type Options struct {
	Transforms []spec.Transform
	// Client makes the requests to HTTP endpoints; nil for one of the pipeline's own.
	Client *http.Client
	// ARN and Region are told to HTTP endpoints.
	ARN, Region string
}

// Limits of what the steps may make of one record of the source, however many parts it has. A record that exceeds them fails
// as a whole.
const (
	MaxOutputs     = 10_000             // parts, after each step
	MaxOutputBytes = 64 << 20           // of all its parts and their partition keys after each step, and of those that failed so far
	PartBytes      = 96                 // that a part counts besides its own: of one byte each, there may be very many
	maxBatchBytes  = 8 * MaxOutputBytes // the same of all records of a batch: the one that exceeds it fails
	maxMessage     = 512                // bytes of a reason
)

// item is a record, or a part of one, between two steps.
type item struct {
	source        int
	data          []byte
	origin        []byte // what a failure keeps; nil for the source record's own bytes
	query, lambda map[string]string
}

// step is one transform. It returns the items that go on, in order, and hands what fails to b.
type step interface {
	apply(ctx context.Context, b *batch, in []item) ([]item, error)
	close() error
}

// batch is one call of Apply.
type batch struct {
	records []spec.Record
	failed  []spec.Failure
	grown   map[int]growth // by source
	bytes   int            // of all of them, as they stand in the present step
	kept    int            // of them: parts that failed
	most    int64          // of them that there is room for
	short   bool           // there are more: nothing is decided
}

// growth is what the steps have made of a record of the source.
type growth struct {
	parts, bytes int  // in the present step
	kept         int  // bytes of parts that failed
	large        bool // it exceeds the limits, and fails as a whole
}

// grow counts what a step made of a part of a record. It returns false once that is too much: then nothing more need be made
// of this record, and it is gone after the step.
func (b *batch) grow(source int, made []item) bool {
	g, bytes := b.grown[source], 0
	for i := range made {
		bytes += made[i].size()
	}
	g.parts += len(made)
	g.bytes += bytes
	b.short = b.short || int64(b.bytes+bytes) > b.most
	if b.bytes += bytes; g.large || g.parts > MaxOutputs || g.bytes+g.kept > MaxOutputBytes || b.bytes > maxBatchBytes {
		g.large = true
		b.bytes -= bytes // the caller lets go of it
	}
	b.grown[source] = g
	return !b.over(source)
}

// over tells whether nothing more need be made of a record.
func (b *batch) over(source int) bool { return b.short || b.grown[source].large }

// room is how many bytes one item may become.
func (b *batch) room() int { return int(max(0, min(MaxOutputBytes, b.most-int64(b.bytes)))) }

// exceed says that an item would have become more than there was room for.
func (b *batch) exceed(room int) { b.short = b.short || room < MaxOutputBytes }

// settle ends a step: it takes out what became too large, and begins to count anew.
func (b *batch) settle(items []item) []item {
	items = slices.DeleteFunc(items, func(it item) bool { return b.grown[it.source].large })
	for source, g := range b.grown {
		g.parts, g.bytes = 0, 0
		b.grown[source] = g
	}
	b.bytes = b.kept
	return items
}

// size is what an item takes, in bytes.
func (it *item) size() int {
	n := len(it.data) + PartBytes
	for _, keys := range []map[string]string{it.query, it.lambda} {
		for name, value := range keys {
			n += len(name) + len(value)
		}
	}
	return n
}

// fail takes an item out.
func (b *batch) fail(it *item, t spec.ErrorType, code, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if len(message) > maxMessage {
		n := maxMessage
		for n > 0 && !utf8.RuneStart(message[n]) {
			n--
		}
		message = message[:n] + "…"
	}
	g := b.grown[it.source]
	g.kept += len(it.origin) + PartBytes
	b.kept += len(it.origin) + PartBytes
	b.short = b.short || int64(b.kept) > b.most
	g.large = g.large || g.kept > MaxOutputBytes || b.kept > maxBatchBytes
	b.grown[it.source] = g
	b.failed = append(b.failed, spec.Failure{Source: it.source, Type: t, Code: code, Message: message, Data: it.origin})
}

// Pipeline is compiled transforms; it is a spec.Pipeline.
type Pipeline struct{ steps []step }

var _ spec.Pipeline = (*Pipeline)(nil)

// New compiles transforms, which MUST have been validated. Errors are InvalidArgument and name the field.
func New(ctx context.Context, o Options) (*Pipeline, error) {
	p := &Pipeline{}
	for i := range o.Transforms {
		s, err := compile(ctx, &o, &o.Transforms[i], fmt.Sprintf("transforms[%d]", i))
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

func compile(ctx context.Context, o *Options, t *spec.Transform, at string) (step, error) {
	switch t.Kind {
	case spec.UnpackKPL:
		return unpackKPL{}, nil
	case spec.Decompress:
		return newDecompress(t.Compression)
	case spec.JQ:
		return newJQ(t.Query, at)
	case spec.PartitionKeys:
		return newPartitionKeys(t.Query, at)
	case spec.HTTPCall:
		return newHTTPCall(o, t), nil
	case spec.WASM:
		return newWASM(ctx, t, at)
	}
	return nil, leat.Invalid(at+".kind", "there is no transform %q", t.Kind)
}

// Apply transforms a batch: see spec.Pipeline.
func (p *Pipeline) Apply(ctx context.Context, records []spec.Record, most int64) (spec.Result, error) {
	b := &batch{records: records, grown: map[int]growth{}, most: most}
	items := make([]item, len(records))
	for i := range records {
		items[i] = item{source: i, data: records[i].Data}
	}
	for _, s := range p.steps {
		var err error
		if items, err = s.apply(ctx, b, items); err != nil {
			return spec.Result{}, err
		}
		if b.short {
			return spec.Result{}, spec.ErrRoom
		}
		items = b.settle(items)
	}
	return b.result(items), nil
}

// result finds out which records are neither in the outputs nor failed: filters dropped them.
func (b *batch) result(items []item) spec.Result {
	b.failed = slices.DeleteFunc(b.failed, func(f spec.Failure) bool { return b.grown[f.Source].large })
	for i := range b.records {
		if b.grown[i].large {
			b.failed = append(b.failed, spec.Failure{
				Source: i, Type: spec.ProcessingFailed, Code: "Transform.OutputTooLarge",
				Message: fmt.Sprintf("transforms make more than %d parts or %d MiB of this record, or %d MiB of it and its neighbours", MaxOutputs, MaxOutputBytes>>20, maxBatchBytes>>20),
			})
		}
	}
	r := spec.Result{Outputs: make([]spec.Output, len(items)), Failed: b.failed}
	known := make([]bool, len(b.records))
	for i := range items {
		it := &items[i]
		r.Outputs[i] = spec.Output{Source: it.source, Data: it.data, Query: it.query, Lambda: it.lambda}
		known[it.source] = true
	}
	for i := range b.failed {
		known[b.failed[i].Source] = true
	}
	for i, ok := range known {
		if !ok {
			r.Dropped = append(r.Dropped, i)
		}
	}
	return r
}

// Close lets go of what the steps hold.
func (p *Pipeline) Close() error {
	var errs []error
	for _, s := range p.steps {
		errs = append(errs, s.close())
	}
	p.steps = nil
	return errors.Join(errs...)
}

// each makes a step of a function of one item. It appends what comes of it, or reports why nothing does.
func each(b *batch, in []item, f func(out []item, it *item) ([]item, *failure)) []item {
	out := make([]item, 0, len(in))
	for i := range in {
		if b.over(in[i].source) {
			continue
		}
		from := len(out)
		next, bad := f(out, &in[i])
		if bad != nil {
			b.fail(&in[i], bad.kind, bad.code, "%s", bad.message)
			out = out[:from]
			continue
		}
		out = next
		if !b.grow(in[i].source, out[from:]) {
			clear(out[from:]) // it is let go of at once
			out = out[:from]
		}
	}
	return out
}

// failure is why an item goes no further.
type failure struct {
	kind    spec.ErrorType
	code    string
	message string
}

func failed(code, format string, args ...any) *failure {
	return &failure{spec.ProcessingFailed, code, fmt.Sprintf(format, args...)}
}
