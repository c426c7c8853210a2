// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// What the objectives are computed of: whose fault it is that a record was not put.
func TestOutcomes(t *testing.T) {
	live := t.Context()
	gone, cancel := context.WithCancel(live)
	cancel()
	late, stop := context.WithDeadline(live, time.Unix(0, 0))
	defer stop()
	pending := func(why error) error { return fmt.Errorf("%w: %w", shardstore.ErrUnknownOutcome, why) } // as Store.Append says it
	for _, c := range []struct {
		what   string
		ctx    context.Context
		err    error
		waited time.Duration
		want   string
	}{
		{"it is durable", live, nil, 0, outcomeOK},
		{"the session ended", live, fmt.Errorf("put: %w", shardstore.ErrUnknownOutcome), 0, outcomeUnknown},
		{"the caller went away", gone, pending(gone.Err()), time.Second, outcomeCanceled},
		{"the caller's time was over", late, pending(late.Err()), time.Second, outcomeCanceled},
		{"the caller's long time was over", late, pending(late.Err()), patience, outcomeUnknown},
		{"the caller went away after a long time", gone, pending(gone.Err()), patience, outcomeUnknown},
		{"a request of the server's own took too long", live, pending(context.DeadlineExceeded), time.Second, outcomeUnknown},
		{"a read of the server's own took too long", live, context.DeadlineExceeded, time.Second, outcomeError},
		{"another node said so", live, leat.Errorf(leat.KindUnknownOutcome, "said"), 0, outcomeUnknown},
		{"too much is not durable", live, leat.Errorf(leat.KindThroughputExceeded, "full"), 0, outcomeThrottled},
		{"a split has overtaken it", live, shardstore.ErrResharded, 0, outcomeRerouted},
		{"something else", live, errors.New("broken"), 0, outcomeError},
	} {
		if got := outcome(c.ctx, c.err, c.waited); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}
