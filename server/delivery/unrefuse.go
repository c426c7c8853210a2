// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
)

// Whether a record goes to an object or to the error prefix depends on bounds of formats and transforms that neither a plan nor the
// version of its configuration has. So an object that a node of another version wrote may have records that this one refuses: their
// failures are forgotten before the error prefix has them too. An object does not say which records it has, but how many, and the sum
// of the hashes of their places: which failures make up what would be there twice is found by trying.

// unrefuse forgets failures whose records are in objects that stand already; m has what was sent and dropped. It fails where the error
// prefix would not have exactly what is left: what it once has stays, and no node could commit the plan any more.
func (j *job) unrefuse(m *Manifest) error {
	all, there := tallyOf(j.p.parts), m.Dropped
	for i := range m.Objects {
		there.plus(m.Objects[i].Tally)
	}
	for _, d := range j.objects {
		if d.Role != Backup {
			there.plus(d.Tally)
		}
	}
	for i := range j.failed {
		if f := &j.failed[i]; f.stands {
			there.add(j.records[f.Source].Shard, j.records[f.Source].Offset)
		}
	}
	if there == all || uint64(len(j.records)) < all.Records && there.Records <= all.Records { // some have expired, and no object has all of those
		return nil
	}
	twice := Tally{there.Records - all.Records, there.Hash - all.Hash}
	if j.forget(twice, (*failure).reason) || j.forget(twice, func(f *failure) string { return strconv.Itoa(f.Source) + " " + f.reason() }) {
		return nil
	}
	return j.uncovered(all, there)
}

// uncovered says that a plan's objects do not add up to it, and which of them others wrote that had other bounds. Objects that may have
// what has expired are not to be deleted.
func (j *job) uncovered(want, got Tally) error {
	var others []string
	for _, d := range j.objects {
		if d.other {
			others = append(others, d.Key)
		}
	}
	advice := ""
	switch {
	case uint64(len(j.records)) < want.Records:
		advice = " (some of its records have expired, so delete nothing that was written of it: docs/operating.md, Upgrades)"
	case len(others) > 0:
		advice = " (docs/operating.md, Upgrades, says what to do about what a node of another version wrote: " + strings.Join(others, ", ") + ")"
	}
	return leat.Errorf(leat.KindInternal, "plan %s has %d records and its objects %d: nothing is committed%s", j.p.id, want.Records, got.Records, advice)
}

// reason is what a failure has in common with others of the same kind: one code has several, whose texts have numbers of their own.
func (f *failure) reason() string {
	return f.Code + " " + strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, f.Message)
}

// forget drops the failures, all or none that are alike, whose records make up a tally; false when there are none.
func (j *job) forget(twice Tally, alike func(*failure) string) bool {
	at, names, tallies := map[string]int{}, []string(nil), []Tally(nil)
	for i := range j.failed {
		f := &j.failed[i]
		if !f.stands {
			continue
		}
		name := alike(f)
		n, ok := at[name]
		if !ok {
			n = len(names)
			at[name] = n
			names, tallies = append(names, name), append(tallies, Tally{})
		}
		tallies[n].add(j.records[f.Source].Shard, j.records[f.Source].Offset)
	}
	found := making(tallies, twice)
	if found == nil {
		return false
	}
	over := map[string]bool{}
	for _, n := range found {
		over[names[n]] = true
	}
	j.failed = slices.DeleteFunc(j.failed, func(f failure) bool { return over[alike(&f)] })
	return true
}

// The bounds of making: some milliseconds.
const (
	makingTries = 1 << 20
	makingOf    = 1000
)

// making finds tallies that make up another one, as few as can be; nil when there are none, or too many to try.
func making(all []Tally, want Tally) []int {
	if len(all) > makingOf {
		return nil
	}
	tries, most := makingTries, uint64(0)
	for _, t := range all {
		most = max(most, t.Records)
	}
	var find func(n, from int, want Tally) []int
	find = func(n, from int, want Tally) []int {
		for i := from; i <= len(all)-n && tries > 0; i++ {
			tries--
			rest := Tally{want.Records - all[i].Records, want.Hash - all[i].Hash}
			switch {
			case n == 1 && rest == Tally{}:
				return []int{i}
			case n > 1 && all[i].Records < want.Records:
				if found := find(n-1, i+1, rest); found != nil {
					return append(found, i)
				}
			}
		}
		return nil
	}
	for n := 1; n <= len(all) && tries > 0; n++ {
		if uint64(n)*most < want.Records {
			continue
		}
		if found := find(n, 0, want); found != nil {
			return found
		}
	}
	return nil
}
