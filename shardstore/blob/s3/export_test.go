// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"testing"
	"time"
)

// SetPace changes what a request's body may take, until the test ends.
func SetPace(t *testing.T, bytesPerSecond int64, grace time.Duration) {
	oldest, old := slowest, bodyGrace
	slowest, bodyGrace = bytesPerSecond, grace
	t.Cleanup(func() { slowest, bodyGrace = oldest, old })
}
