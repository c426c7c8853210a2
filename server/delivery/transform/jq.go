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
	"slices"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/jqlimit"
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
	if why := jqlimit.Unfit(q, undecided); why != "" {
		return nil, leat.Invalid(at+".query", "%s.query %s", at, why)
	}
	code, err := gojq.Compile(q, gojq.WithVariables(variables), gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, leat.Invalid(at+".query", "%s.query: %v", at, err)
	}
	return code, nil
}

// undecided says why a function may not be called: what it gives depends on more than its input.
func undecided(function string) string {
	switch function {
	case "now", "localtime", "strflocaltime", "input", "inputs", "debug", "stderr", "halt", "halt_error":
		return "uses " + function + ", whose outcome is not the record's alone; $arrival is its arrival in seconds"
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
		from, size, room := len(out), 0, b.room()
		err := query(ctx, j.code, b, it, func(v any) error {
			data, err := jqlimit.Marshal(v, room-size)
			if errors.Is(err, jqlimit.ErrBytes) {
				b.exceed(room)
			}
			if size += len(data); errors.Is(err, jqlimit.ErrBytes) || len(out)-from == MaxOutputs {
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
	steps := jqlimit.WithSteps(ctx, maxSteps)
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
func explain(err error, steps *jqlimit.Steps) error {
	if steps.Over() {
		return fmt.Errorf("the query takes more than %d steps", maxSteps)
	}
	if e, ok := errors.AsType[gojq.ValueError](err); ok {
		if _, bad := jqlimit.Marshal(e.Value(), MaxOutputBytes); bad != nil {
			return errors.New("the query ends with an error whose value is too large to tell")
		}
	}
	return err
}

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
