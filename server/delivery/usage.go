// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Usage is what one plan of a delivery stream, or of a backfill of it, delivered. It is told in the transaction that commits the plan, which
// happens once, whoever carries the plan out and however often: so it is neither lost nor doubled.
//
// It counts source records as they were read, as Firehose does: also those that a transform dropped, or that went to the error
// prefix. Records that expired before they could be read are not in it.
type Usage struct {
	Delivery    leat.StreamID // the delivery stream's own id
	Account     string        // that it belongs to
	Name        string
	Records     int64
	Bytes       int64 // of data
	Rounded     int64 // each record rounded up to 5 KiB
	Converted   int64 // Bytes, of a delivery into a columnar format
	Partitioned int64 // Bytes, of a delivery with dynamic partitioning
	Objects     int64 // that a delivery with dynamic partitioning wrote, without those of the error prefix and the backup
}

// Bill writes down usage in a transaction. It may be run again with it.
type Bill func(tx *sqldb.Tx, u *Usage) error

const roundedTo = 5 << 10

// usage is what a plan that is carried out will have used once it is committed.
func (j *job) usage() (*Usage, error) {
	id, err := leat.ParseID[leat.StreamID](j.delivery.ID)
	if err != nil {
		return nil, err
	}
	u := &Usage{Delivery: id, Account: j.delivery.Account, Name: j.delivery.Name, Records: int64(len(j.records))}
	for i := range j.records {
		n := int64(len(j.records[i].Data))
		u.Bytes += n
		u.Rounded += max(1, (n+roundedTo-1)/roundedTo) * roundedTo
	}
	c := &j.t.config
	if c.Format.Kind == spec.ParquetFile {
		u.Converted = u.Bytes
	}
	if c.Partitioning != nil {
		u.Partitioned = u.Bytes
		for i := range j.p.manifest.Objects {
			if j.p.manifest.Objects[i].Role == Data {
				u.Objects++
			}
		}
	}
	return u, nil
}
