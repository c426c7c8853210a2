// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind, but for the servers that tests share.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/leatstream/leat/internal/testproc.(*Process).run"))
}
