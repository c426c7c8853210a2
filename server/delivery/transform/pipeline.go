// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// Limits of what a step may make of a record.
const (
	MaxOutputs     = 10_000   // parts of one record
	MaxOutputBytes = 64 << 20 // of all parts of one record, after decompression
	maxMessage     = 512      // bytes of a reason
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
func (p *Pipeline) Apply(ctx context.Context, records []spec.Record) (spec.Result, error) {
	b := &batch{records: records}
	items := make([]item, len(records))
	for i := range records {
		items[i] = item{source: i, data: records[i].Data}
	}
	for _, s := range p.steps {
		var err error
		if items, err = s.apply(ctx, b, items); err != nil {
			return spec.Result{}, err
		}
	}
	return b.result(items), nil
}

// result finds out which records are neither in the outputs nor failed: filters dropped them.
func (b *batch) result(items []item) spec.Result {
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
		from := len(out)
		next, bad := f(out, &in[i])
		if bad != nil {
			b.fail(&in[i], bad.kind, bad.code, "%s", bad.message)
			out = out[:from]
			continue
		}
		out = next
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
