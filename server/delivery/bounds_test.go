// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// bounded is keys that refuse some records, all with one code.
type bounded struct {
	keys
	refuses []string
}

func (b bounded) Apply(ctx context.Context, batch []spec.Record, most int64) (res spec.Result, err error) {
	all, err := b.keys.Apply(ctx, batch, most)
	for _, o := range all.Outputs {
		kind, _, _ := strings.Cut(string(o.Data), ":")
		if slices.Contains(b.refuses, kind) {
			res.Failed = append(res.Failed, spec.Failure{Source: o.Source, Type: spec.ProcessingFailed, Code: "Test.Refused", Message: "it is " + kind})
		} else {
			res.Outputs = append(res.Outputs, o)
		}
	}
	return res, err
}

func (b bounded) compile(context.Context, string, []spec.Transform) (spec.Pipeline, error) {
	return b, nil
}

// A node dies over a plan, before what both refuse is in the error prefix, and one of a version with narrower bounds carries it out:
// each record is in one place.
func TestAPlanOfAVersionWithWiderBounds(t *testing.T) {
	t.Parallel()
	var dying atomic.Bool
	dying.Store(true)
	crashed := make(chan struct{}, 1000)
	r := newRig(t, func(c *delivery.Config) {
		c.Compile = bounded{refuses: []string{"bad"}}.compile
		c.Fault = func(s delivery.Step, _ string) error {
			if s != delivery.StepPut || !dying.Load() {
				return nil
			}
			crashed <- struct{}{}
			return errors.New("struck")
		}
	})
	r.stream("s", 1)
	records := []string{"small:1", "large:2", "small:3", "large:4"}
	r.put("s", append(records, "bad:5")...)
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: "."}}
	}))
	<-crashed
	r.kill()
	dying.Store(false)
	r.config.Compile = bounded{refuses: []string{"bad", "large"}}.compile
	r.start()
	r.settled("d", 5)
	r.once(r.lines("data/"), records)
	if rep := r.clean("d", 5); rep.Stored != 4 || rep.Failed != 1 {
		t.Errorf("verify: %+v", rep)
	}
}
