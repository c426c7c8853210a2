// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing goes on when the tests are over.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
