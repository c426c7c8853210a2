// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// retain changes a stream's retention in one direction. The texts are those of AWS.
func (h *Handler) retain(ctx context.Context, c *call, stream string, n int, direction broker.RetentionDirection) error {
	least, most := hours(leat.MinRetention), hours(leat.MaxRetention)
	switch {
	case n < least:
		return leat.Invalid("RetentionPeriodHours", "Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.", least, n)
	case n > most:
		return leat.Invalid("RetentionPeriodHours", "Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.", most, n)
	}
	keep := time.Duration(n) * time.Hour
	_, err := h.broker.UpdateStream(ctx, c.who, broker.UpdateStreamRequest{Stream: stream, Retention: &keep, Direction: direction})
	return err
}
