// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import "testing"

// A cursor that a catalog was made anew with begins where everything is known from. When it is made anew once more, what the
// ledger has from before is no other plan's.
func TestPlansBeforeWhereACursorBegins(t *testing.T) {
	t.Parallel()
	plans := func(ends ...uint64) (all []ranged) {
		first := uint64(0)
		for i, end := range ends {
			all = append(all, ranged{Part{First: first, End: end}, &postedPlan{ID: string(rune('a' + i)), State: committed, Newest: int64(end)}})
			first = end
		}
		return all
	}
	for _, c := range []struct {
		what string
		next uint64 // of the journal
		at   uint64
		last string
	}{{"nothing is known of the first", 0, 20, "b"}, {"the journal knows more", 30, 30, "b"}} {
		all := plans(10, 20)
		all[0].plan.Manifest.Partial = true
		at := &cursor{next: c.next, stop: -1}
		for range 2 {
			if err := at.through(all); err != nil || at.next != c.at || at.last != c.last {
				t.Fatalf("%s: %v, at %d after plan %s", c.what, err, at.next, at.last)
			}
			at = &cursor{start: at.start, next: at.next, stop: -1}
		}
	}
}
