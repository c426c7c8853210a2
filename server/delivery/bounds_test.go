// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// narrow is keys of a version that refuses large records.
type narrow struct{ keys }

func (k narrow) Apply(ctx context.Context, batch []spec.Record, most int64) (res spec.Result, err error) {
	all, err := k.keys.Apply(ctx, batch, most)
	for _, o := range all.Outputs {
		if strings.HasPrefix(string(o.Data), "large") {
			res.Failed = append(res.Failed, spec.Failure{Source: o.Source, Type: spec.ProcessingFailed, Code: "Test.Large"})
		} else {
			res.Outputs = append(res.Outputs, o)
		}
	}
	return res, err
}

// A node dies over a plan, and one of a version with narrower bounds carries it out: each record is in one place.
func TestAPlanOfAVersionWithWiderBounds(t *testing.T) {
	t.Parallel()
	var dying atomic.Bool
	dying.Store(true)
	crashed := make(chan struct{}, 1000)
	r := newRig(t, compile(keys{}), func(c *delivery.Config) {
		c.Fault = func(s delivery.Step, _ string) error {
			if s != delivery.StepWritten || !dying.Load() {
				return nil
			}
			crashed <- struct{}{}
			return errors.New("struck")
		}
	})
	r.stream("s", 1)
	records := []string{"small:1", "large:2", "small:3", "large:4"}
	r.put("s", records...)
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: "."}}
	}))
	<-crashed
	r.kill()
	dying.Store(false)
	r.config.Compile = func(context.Context, string, []spec.Transform) (spec.Pipeline, error) { return narrow{}, nil }
	r.start()
	r.settled("d", 4)
	r.once(r.lines("data/"), records)
	if rep := r.clean("d", 4); rep.Stored != 4 || rep.Failed != 0 {
		t.Errorf("verify: %+v", rep)
	}
}
