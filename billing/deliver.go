// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
)

// Delivered is what a delivery stream delivered. On bills its id stands where a stream's does, without a mode.
type Delivered struct {
	Delivery                                                 leat.StreamID
	Account, Name                                            string
	Records, Bytes, Rounded, Converted, Partitioned, Objects int64
}

// CountDelivered writes down what was delivered in the transaction that commits it: exactly once, if that is.
func (b *Billing) CountDelivered(tx *sqldb.Tx, d *Delivered) error {
	if _, err := tx.Exec("INSERT INTO billing_deliveries (id, account, name) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING", d.Delivery, d.Account, d.Name); err != nil {
		return err
	}
	c := new(counts)
	for m, n := range map[rating.Meter]int64{
		rating.DeliveryRecords: d.Records, rating.DeliveryBytes: d.Bytes, rating.DeliveryRoundedBytes: d.Rounded, rating.DeliveryConvertedBytes: d.Converted,
		rating.DeliveryPartitionedBytes: d.Partitioned, rating.DeliveryObjects: d.Objects,
	} {
		c[slices.Index(counted, m)] = n
	}
	return addCounts(tx, map[tally]*counts{{place{stream: d.Delivery}, d.Account, hourOf(leat.Micros(b.now()))}: c})
}
