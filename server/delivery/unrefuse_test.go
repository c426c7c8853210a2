// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/delivery/spec"
)

// A node whose bounds are narrower carries out a plan again of which a node of another version wrote the object: what that one has
// does not go to the error prefix too, whatever else was refused with the same code. Where that cannot be told nothing goes there.
func TestBoundsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	all := []uint64{0, 1, 2, 3, 4, 5, 6, 7}
	for _, c := range []struct {
		what   string
		end    uint64   // of the plan; 10: the last record has expired
		stands []uint64 // offsets in the object
		left   []int    // records whose failures are left; nil: it is refused
	}{
		{"the same was refused", 8, []uint64{0, 1}, []int{2, 3, 3, 4, 5, 6, 7}},
		{"nothing was", 8, all, []int{}},
		{"what is malformed was", 8, []uint64{0, 1, 2, 3}, []int{4, 5, 6, 7}},
		{"one code was, and of another one what is malformed", 8, []uint64{0, 1, 2, 3, 6, 7}, []int{4, 5}},
		{"a part of what was beyond a bound was", 8, []uint64{0, 1, 3}, []int{2, 4, 5, 6, 7}},
		{"other records were, too", 8, []uint64{0, 2, 3}, nil},
		{"so much that it cannot be told", 8, []uint64{0, 1, 8}, nil},
		{"what is malformed was, and the object has what has expired", 10, []uint64{0, 1, 2, 3, 8, 9}, []int{4, 5, 6, 7}},
		{"the same was, and nothing has what has expired", 10, []uint64{0, 1, 8}, []int{2, 3, 3, 4, 5, 6, 7}},
		{"it cannot be told, and the object has what has expired", 10, []uint64{0, 1, 2, 3, 8, 9, 10}, nil},
	} {
		j := &job{t: &tools{}, p: &plan{parts: []Part{{End: c.end}}}, objects: []*draft{{}}}
		for offset := range uint64(9) { // the last may not be the plan's
			j.records = append(j.records, spec.Record{Offset: offset})
		}
		for _, offset := range c.stands {
			j.objects[0].add(0, offset)
		}
		refuse := func(source int, code, message string, stands bool) {
			j.failed = append(j.failed, failure{spec.Failure{Source: source, Code: code, Message: message}, stands})
		}
		for source := 2; source < 4; source++ {
			refuse(source, "malformed", fmt.Sprintf("more than %d bytes", source), true)
		}
		refuse(3, "malformed", "more than 3 bytes", false) // another part of it
		refuse(4, "malformed", "no JSON", true)
		refuse(5, "malformed", "no object", true)
		refuse(6, "large", "", true)
		refuse(7, "large", "", true)
		j.objects[0].Key, j.objects[0].other = "data/x", true
		err := j.unrefuse(&Manifest{})
		if c.left == nil {
			if expired := c.end > 9; err == nil || strings.Contains(err.Error(), "data/x") == expired || strings.Contains(err.Error(), "delete nothing") != expired {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		left := []int{}
		for i := range j.failed {
			left = append(left, j.failed[i].Source)
		}
		if err != nil || !slices.Equal(left, c.left) {
			t.Errorf("%s: %v, %v are left", c.what, err, left)
		}
	}
}

// Which tallies make up another one is looked for, and not for ever.
func TestMaking(t *testing.T) {
	t.Parallel()
	var all []Tally
	var want Tally
	for offset := range uint64(makingOf) {
		all = append(all, Tally{})
		all[offset].add(0, offset)
		if offset == 500 || offset == 700 {
			want.plus(all[offset])
		}
	}
	got := making(all, want)
	if slices.Sort(got); !slices.Equal(got, []int{500, 700}) {
		t.Errorf("found %v", got)
	}
	want.Hash++
	if got := making(all, want); got != nil {
		t.Errorf("found %v, which make up something else", got)
	}
	if got := making(append(all, Tally{1, 1}), Tally{1, 1}); got != nil {
		t.Errorf("found %v among too many", got)
	}
}
