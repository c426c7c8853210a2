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

	"github.com/minio/minio-go/v7"

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

// A node dies over a plan once some of it is written, and one of a version with other bounds carries it out: each record is in one place.
func TestAPlanOfAVersionWithOtherBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what         string
		first, then  []string // that versions refuse
		dies         int32    // with this put
		data, failed []string
	}{
		{"narrower", []string{"bad"}, []string{"bad", "large"}, 1, []string{"small:1", "large:2", "small:3", "large:4"}, []string{"bad:5"}},
		{"so narrow that nothing is left of the object", nil, []string{"large"}, 1, []string{"large:1", "large:2"}, nil},
		{"wider", []string{"large"}, nil, 2, []string{"small:1"}, []string{"large:2"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			var dying atomic.Bool
			var puts atomic.Int32
			dying.Store(true)
			crashed := make(chan struct{}, 1000)
			r := newRig(t, func(cfg *delivery.Config) {
				cfg.Compile = bounded{refuses: c.first}.compile
				cfg.Fault = func(s delivery.Step, _ string) error {
					if s != delivery.StepPut || !dying.Load() || puts.Add(1) < c.dies {
						return nil
					}
					crashed <- struct{}{}
					return errors.New("struck")
				}
			})
			r.stream("s", 1)
			r.put("s", slices.Concat(c.data, c.failed)...)
			r.deliver("d", r.toBucket("s", func(c *spec.Config) {
				c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: "."}}
			}))
			<-crashed
			r.kill()
			dying.Store(false)
			r.config.Compile = bounded{refuses: c.then}.compile
			r.start()
			all := uint64(len(c.data) + len(c.failed))
			r.settled("d", all)
			r.once(r.lines("data/"), c.data)
			if rep := r.clean("d", all); rep.Stored != uint64(len(c.data)) || rep.Failed != uint64(len(c.failed)) || len(errorLines(t, r, "errors/")) != len(c.failed) {
				t.Errorf("verify: %+v", rep)
			}
		})
	}
}

// What a version refused altogether is in the error prefix when one with wider bounds writes it: the plan waits, and says what to delete.
func TestAPlanOfWhichNothingWasLeft(t *testing.T) {
	t.Parallel()
	var dying atomic.Bool
	dying.Store(true)
	r := newRig(t, func(c *delivery.Config) {
		c.Compile = bounded{refuses: []string{"large"}}.compile
		c.Fault = func(s delivery.Step, _ string) error {
			if s == delivery.StepPut && dying.Load() {
				return errors.New("struck")
			}
			return nil
		}
	})
	r.stream("s", 1)
	r.put("s", "large:1", "large:2")
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: "."}}
	}))
	r.waits("d", "struck")
	r.kill()
	dying.Store(false)
	r.config.Compile = bounded{}.compile
	r.start()
	r.waits("d", "a node of another version wrote: errors/")
	for key := range r.objects("errors/") {
		r.must(r.s3.RemoveObject(t.Context(), r.bucket, key, minio.RemoveObjectOptions{}))
	}
	r.settled("d", 2)
	r.once(r.lines("data/"), []string{"large:1", "large:2"})
	r.clean("d", 2)
}
