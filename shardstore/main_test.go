// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/shardstore"
)

// Every goroutine of a session is gone when its test is over.
func TestMain(m *testing.M) {
	shardstore.ReuseAll()
	goleak.VerifyTestMain(m)
}
