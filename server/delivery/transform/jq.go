// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// maxSteps is how many steps of jq's machine one record may take: some hundred milliseconds. A bound by time would let a
// record fail once and pass the next time.
const maxSteps = 2_000_000

// jq runs a query over the JSON texts of a record, of which there may be several. Each result is an output, as compact
// JSON with sorted members; a record without results is dropped.
type jq struct{ code *gojq.Code }

// variables are what queries know of a record besides its data.
var variables = []string{"$arrival", "$partition_key", "$sequence_number"}

// compileJQ compiles a query and refuses what would not be the same twice.
func compileJQ(query, at string) (*gojq.Code, error) {
	q, err := gojq.Parse(query)
	if err != nil {
		var e *gojq.ParseError
		if errors.As(err, &e) {
			return nil, leat.Invalid(at+".query", "%s.query, position %d: %v", at, max(e.Offset-len(e.Token), 0), err)
		}
		return nil, leat.Invalid(at+".query", "%s.query: %v", at, err)
	}
	if why := unfit(reflect.ValueOf(q), 0); why != "" {
		return nil, leat.Invalid(at+".query", "%s.query %s", at, why)
	}
	code, err := gojq.Compile(q, gojq.WithVariables(variables), gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, leat.Invalid(at+".query", "%s.query: %v", at, err)
	}
	return code, nil
}

// maxNesting is how deep the terms of a query may be in one another. What compiles queries goes down by recursion.
const maxNesting = 200

// unfit says what is wrong with a query: a call of a function that depends on more than its input, anywhere in it, or terms
// that are too deep in one another.
func unfit(v reflect.Value, depth int) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		switch x := v.Interface().(type) {
		case *gojq.Func:
			switch x.Name {
			case "now", "localtime", "strflocaltime", "input", "inputs", "debug", "stderr", "halt", "halt_error":
				return "uses " + x.Name + ", whose outcome is not the record's alone; $arrival is its arrival in seconds"
			}
		case *gojq.Term:
			if depth++; depth > maxNesting {
				return fmt.Sprintf("has more than %d terms in one another", maxNesting)
			}
		}
		return unfit(v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if why := unfit(v.Field(i), depth); why != "" {
				return why
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if why := unfit(v.Index(i), depth); why != "" {
				return why
			}
		}
	}
	return ""
}

func newJQ(query, at string) (step, error) {
	code, err := compileJQ(query, at)
	return &jq{code}, err
}

func (*jq) close() error { return nil }

func (j *jq) apply(ctx context.Context, b *batch, in []item) ([]item, error) {
	out := each(b, in, func(out []item, it *item) ([]item, *failure) {
		from, size := len(out), 0
		err := query(ctx, j.code, b, it, func(v any) error {
			data, err := marshal(v, MaxOutputBytes-size)
			if size += len(data); errors.Is(err, errBytes) || len(out)-from == MaxOutputs {
				return fmt.Errorf("it makes more than %d outputs or %d bytes", MaxOutputs, MaxOutputBytes)
			}
			if err != nil {
				return err
			}
			next := *it
			next.data = data
			out = append(out, next)
			return nil
		})
		if err != nil {
			return nil, failed("JQProcessing.Error", "%v", err)
		}
		if len(out) > from+1 { // what fails further on is one of several
			for i := from; i < len(out); i++ {
				out[i].origin = out[i].data
			}
		}
		return out, nil
	})
	return out, context.Cause(ctx)
}

// query runs a query over each text of an item.
func query(ctx context.Context, code *gojq.Code, b *batch, it *item, each func(any) error) error {
	if !utf8.Valid(it.data) {
		return errors.New("the record is not UTF-8")
	}
	r := &b.records[it.source]
	d := json.NewDecoder(bytes.NewReader(it.data))
	d.UseNumber()
	steps := &budget{Context: ctx, left: maxSteps}
	for n := 0; ; n++ {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the record is not JSON: %w", err)
		}
		iter := code.RunWithContext(steps, v, float64(r.Time)/1e6, r.PartitionKey, r.Sequence)
		for {
			v, ok := iter.Next()
			if !ok {
				break
			}
			if err, bad := v.(error); bad {
				return explain(err, steps)
			}
			if err := each(v); err != nil {
				return err
			}
		}
	}
}

// explain says what an error of gojq's means.
func explain(err error, steps *budget) error {
	if steps.left < 0 {
		return fmt.Errorf("the query takes more than %d steps", maxSteps)
	}
	if e, ok := errors.AsType[gojq.ValueError](err); ok {
		if _, bad := marshal(e.Value(), MaxOutputBytes); bad != nil {
			return errors.New("the query ends with an error whose value is too large to tell")
		}
	}
	return err
}

// budget is a context that ends after a number of steps: gojq asks it at each step, so that the same query over the same
// record ends at the same place on every machine.
type budget struct {
	context.Context
	left int
}

// ended is the Done of a budget that is used up.
var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done counts.
func (b *budget) Done() <-chan struct{} {
	if b.left--; b.left < 0 {
		return ended
	}
	if b.left&1023 == 0 {
		return b.Context.Done()
	}
	return nil
}

// Err says why it has ended.
func (b *budget) Err() error {
	if b.left < 0 {
		return context.DeadlineExceeded
	}
	return b.Context.Err()
}

// Deadline has none of its own.
func (b *budget) Deadline() (time.Time, bool) { return b.Context.Deadline() }

// partitionKeys takes partition keys out of records: the query's one result is an object of names and values.
type partitionKeys struct{ code *gojq.Code }

func newPartitionKeys(query, at string) (step, error) {
	code, err := compileJQ(query, at)
	return &partitionKeys{code}, err
}

func (*partitionKeys) close() error { return nil }

func (p *partitionKeys) apply(ctx context.Context, b *batch, in []item) ([]item, error) {
	out := each(b, in, func(out []item, it *item) ([]item, *failure) {
		var keys map[string]string
		err := query(ctx, p.code, b, it, func(v any) (err error) {
			if keys != nil {
				return errors.New("the query has more than one result")
			}
			keys, err = keysOf(v)
			return err
		})
		if err == nil && keys == nil {
			err = errors.New("the query has no result")
		}
		if err != nil {
			return nil, &failure{spec.PartitioningFailed, "DynamicPartitioning.MetadataExtractionFailed", err.Error()}
		}
		next := *it
		next.query = keys
		return append(out, next), nil
	})
	return out, context.Cause(ctx)
}

// keysOf reads partition keys.
func keysOf(v any) (map[string]string, error) {
	members, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the query's result is %s, not an object", gojq.TypeOf(v))
	}
	keys := make(map[string]string, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) { // in order, for errors are written too
		switch v := members[name].(type) {
		case string:
			keys[name] = v
		case nil, []any, map[string]any:
			return nil, fmt.Errorf("partition key %q is %s", name, gojq.TypeOf(v))
		default:
			text, err := gojq.Marshal(v)
			if err != nil {
				return nil, err
			}
			keys[name] = string(text)
		}
		if keys[name] == "" {
			return nil, fmt.Errorf("partition key %q is empty", name)
		}
	}
	return keys, nil
}
