// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing goes on when the tests are over, but the servers that they share.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/leatstream/leat/internal/testproc.(*Process).run"))
}
