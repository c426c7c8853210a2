// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"testing"

	"github.com/leatstream/leat/server/delivery/spec"
)

// A node whose bounds are narrower carries out a plan again of which a node of another version wrote the object: what that one has
// does not go to the error prefix too. Where that is not certain nothing is forgotten.
func TestBoundsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what   string
		stands []uint64 // offsets in the object
		left   []string // codes
	}{
		{"nothing was refused", []uint64{0, 1, 2, 3}, []string{"other"}},
		{"the same was", []uint64{0, 1}, []string{"bound", "bound", "bound", "other"}},
		{"a part of it was", []uint64{0, 1, 2}, []string{"bound", "bound", "bound", "other"}},
	} {
		j := &job{t: &tools{}, p: &plan{parts: []Part{{End: 5}}}, objects: []*draft{{}}}
		for offset := range uint64(5) {
			j.records = append(j.records, spec.Record{Offset: offset})
		}
		for _, offset := range c.stands {
			j.objects[0].add(0, offset)
		}
		j.failed = []failure{
			{spec.Failure{Source: 2, Code: "bound"}, true}, {spec.Failure{Source: 3, Code: "bound"}, true}, {spec.Failure{Source: 3, Code: "bound"}, false},
			{spec.Failure{Source: 4, Code: "other"}, true},
		}
		j.unrefuse()
		var left []string
		for i := range j.failed {
			left = append(left, j.failed[i].Code)
		}
		if len(left) != len(c.left) || left[0] != c.left[0] {
			t.Errorf("%s: %v", c.what, left)
		}
	}
}
