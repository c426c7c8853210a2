// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"encoding/json"
	"time"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat"
)

// filter is a jq program that chooses and changes what is shown of records. It runs on the server, bounded in time: one
// program has so long for all the records of a page.
type filter struct {
	code  *gojq.Code
	slots chan struct{}
}

const (
	filterMost    = 2 << 10 // characters of a program
	filterTime    = time.Second
	filtersAtOnce = 2 // programs at once on a node
)

// newFilter compiles a program; nil for an empty one.
func (c *Console) newFilter(program string) (*filter, error) {
	if program == "" {
		return nil, nil
	}
	if len(program) > filterMost {
		return nil, leat.Invalid("jq", "The filter has %d characters: %d at most.", len(program), filterMost)
	}
	q, err := gojq.Parse(program)
	if err != nil {
		return nil, leat.Invalid("jq", "The filter is no jq program: %v", err)
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return nil, leat.Invalid("jq", "The filter is no jq program: %v", err)
	}
	return &filter{code, c.filters}, nil
}

// apply runs the program on a record's JSON. A record is left out when the program gives nothing, null, false or an error
// for it; true leaves it as it is; anything else is shown in its place. ctx bounds the time; when it is over apply returns
// its error.
func (f *filter) apply(ctx context.Context, d decoded, most int) (out decoded, keep bool, err error) {
	if f == nil {
		return d, true, nil
	}
	if d.Kind != "JSON" && d.Kind != "gzip of JSON" {
		return d, false, ctx.Err()
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return d, false, ctx.Err()
	}
	v, ok := f.code.RunWithContext(ctx, d.json).Next()
	if ctx.Err() != nil {
		return d, false, ctx.Err()
	}
	if !ok || v == nil || v == false {
		return d, false, nil
	}
	if _, failed := v.(error); failed {
		return d, false, nil
	}
	if v == true {
		return d, true, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return d, false, nil // what cannot be written (NaN) is left out as an error of the program is
	}
	return cut(decoded{Kind: d.Kind + ", filtered", json: v}, string(indentedTo(text, most)), most), true, nil
}
