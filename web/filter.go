// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/jqlimit"
)

// filter is a jq program that chooses and changes what is shown of records. It runs on the server, bounded in time and steps:
// one program has so long for all the records of a page. What one step takes has no bound, so filters are for those whom the
// server trusts with programs: who may make delivery streams.
type filter struct {
	code   *gojq.Code
	slots  chan struct{}
	costly int // records that took too many steps
}

const (
	filterMost    = 2 << 10 // characters of a program
	filterTime    = time.Second
	filterSteps   = 2_000_000 // for one record: some hundred milliseconds
	filteredMost  = 1 << 20   // bytes of what a program makes of a record
	filtersAtOnce = 2         // programs at once on a node
)

// newFilter compiles a program; nil for an empty one.
func (c *Console) newFilter(ctx context.Context, who leat.Principal, program string) (*filter, error) {
	if program == "" {
		return nil, nil
	}
	if !c.Broker.MayTransform(ctx, who) {
		return nil, leat.Errorf(leat.KindAccessDenied, "Filters run on the server, and nothing bounds the memory that one takes: they are for those who may make delivery streams (firehose:CreateDeliveryStream).")
	}
	if len(program) > filterMost {
		return nil, leat.Invalid("jq", "The filter has %d characters: %d at most.", len(program), filterMost)
	}
	q, err := gojq.Parse(program)
	if err != nil {
		return nil, leat.Invalid("jq", "The filter is no jq program: %v", err)
	}
	if why := jqlimit.Unfit(q, func(string) string { return "" }); why != "" {
		return nil, leat.Invalid("jq", "The filter %s.", why)
	}
	code, err := gojq.Compile(q, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, leat.Invalid("jq", "The filter is no jq program: %v", err)
	}
	return &filter{code: code, slots: c.filters}, nil
}

// apply runs the program on a record's JSON. A record is left out when the program gives nothing, null, false or an error
// for it, takes too many steps or makes too much of it; true leaves it as it is; anything else is shown in its place. ctx
// bounds the time; when it is over apply returns its error, and nothing is decided.
func (f *filter) apply(ctx context.Context, d decoded, most int) (out decoded, keep bool, err error) {
	if f == nil {
		return d, true, nil
	}
	if d.json == nil {
		return d, false, ctx.Err()
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return d, false, ctx.Err()
	}
	var v any
	in := json.NewDecoder(bytes.NewReader(d.json))
	in.UseNumber()
	if in.Decode(&v) != nil {
		return d, false, ctx.Err() // it lies too deep
	}
	steps := jqlimit.WithSteps(ctx, filterSteps)
	v, ok := f.code.RunWithContext(steps, v).Next()
	if ctx.Err() != nil {
		return d, false, ctx.Err()
	}
	if steps.Over() {
		f.costly++
	}
	if _, failed := v.(error); !ok || failed || v == nil || v == false {
		return d, false, nil
	}
	if v == true {
		return d, true, nil
	}
	text, err := jqlimit.Marshal(v, filteredMost)
	if err != nil {
		return d, false, nil // as an error of the program is
	}
	return cut(decoded{Kind: d.Kind + ", filtered", json: text}, string(indentedTo(text, most)), most), true, nil
}
