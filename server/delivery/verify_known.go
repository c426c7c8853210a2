// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
)

// planned tells whether a plan names an object: one of another track, or one that was made since Verify began.
func (v *proof) planned(ctx context.Context, id, key string) (bool, error) {
	p, err := v.e.tables.planned(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if p.state == planned {
		return true, nil // it may not have written down all names yet
	}
	return slices.ContainsFunc(p.manifest.Objects, func(o Object) bool { return o.Key == key }), nil
}

// inOrder sorts parts by where they begin.
func inOrder[P interface{ first() uint64 }](parts []P) []P {
	slices.SortFunc(parts, func(a, b P) int { return cmp.Compare(a.first(), b.first()) })
	return parts
}

func (p Part) first() uint64 { return p.First }
