// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat_test

import (
	"strings"
	"testing"

	"github.com/leatstream/leat"
)

func TestAccessKeyForms(t *testing.T) {
	for _, ok := range []string{"a", "orders writer", "ci@example.com", strings.Repeat("a", 128)} {
		if err := leat.ValidateAccessKeyName(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "a\nb", "a/b", "é", strings.Repeat("a", 129)} {
		if err := leat.ValidateAccessKeyName(bad); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := leat.ValidateAccessKeyID("LEAKJ4QXH5Y2ZC7MWTNA"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "LEAK", "leakj4qxh5y2zc7mwtna", strings.Repeat("A", 129)} {
		if err := leat.ValidateAccessKeyID(bad); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
