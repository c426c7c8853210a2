// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Usage is what was put into one stream in one hour, as far as it is registered in packs. Records belong to the hour in
// which the last record of their extent came, so a pack that spans the turn of an hour counts for the later one.
type Usage struct {
	Account string
	Stream  leat.StreamID
	Hour    time.Time // its beginning, UTC
	Records int64
	Bytes   int64 // of data and partition keys
	Units   int64 // 25 KiB put payload units
}

func hourOf(micros int64) int64 {
	hour := time.Hour.Microseconds()
	return micros - ((micros%hour)+hour)%hour
}

// Usage returns an account's usage in hours that begin in [from, to), by hour, then stream. It tells of streams that are
// deleted, too.
func (c *Catalog) Usage(ctx context.Context, account string, from, to time.Time) (all []Usage, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(`
SELECT account, stream, hour, records, bytes, units FROM usage
WHERE account = $1 AND hour >= $2 AND hour < $3
ORDER BY hour, stream`, func(scan sqldb.Scan) error {
			var u Usage
			err := scan(&u.Account, sqldb.ID(&u.Stream), sqldb.Time(&u.Hour), &u.Records, &u.Bytes, &u.Units)
			all = append(all, u)
			return err
		}, account, from, to)
	})
	return all, err
}
