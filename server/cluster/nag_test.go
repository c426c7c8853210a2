// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
)

// A loop that fails twice a second for a minute and a bit says so three times, and once that it is over.
func TestNag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		n := nag{log: slog.New(slog.NewTextHandler(&out, nil)), clock: leat.SystemClock{}, what: "it waits"}
		for range 3 {
			n.tried(nil)
		}
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for range 130 {
			n.tried(errors.New("away"))
			<-tick.C
		}
		n.tried(nil)
		n.tried(nil)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 4 || !strings.Contains(lines[2], "for=1m0s") || !strings.Contains(lines[3], "after=1m5s") {
			t.Errorf("it said:\n%s", out.String())
		}
	})
}
