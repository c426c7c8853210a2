// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// Manifest says what one registered pack holds of one month, so that the month can be proved when the records are gone. It is written in the
// transaction that registers the pack and taken from there into the bucket (package billing): there is one for each registered pack that was
// counted, and for no other.
type Manifest struct {
	Format  int              `json:"format"` // 1
	Session leat.SessionID   `json:"session"`
	Number  uint64           `json:"number"`
	Month   string           `json:"month"` // YYYY-MM, UTC: of the extents' last records
	Streams []ManifestStream `json:"streams"`
}

// ManifestStream is one stream's part.
type ManifestStream struct {
	Stream  leat.StreamID    `json:"stream"`
	Account string           `json:"account"`
	Extents []ManifestExtent `json:"extents"`
}

// ManifestExtent is one extent as it was counted.
type ManifestExtent struct {
	Shard    uint64 `json:"shard"`
	First    uint64 `json:"first"`
	Records  int64  `json:"records"`
	Bytes    int64  `json:"bytes"`
	Units    int64  `json:"units"`
	OnDemand bool   `json:"on_demand,omitempty"`
	MaxTime  int64  `json:"max_time"` // microseconds since 1970
	Hash     string `json:"hash"`     // additive, of the records; 16 hexadecimal digits
}

// MonthOf is the month, in UTC, that a manifest's extents belong to.
func MonthOf(micros int64) string { return time.UnixMicro(micros).UTC().Format("2006-01") }

// ManifestKey is where a manifest is in the bucket: a listing sorts by month.
func ManifestKey(month string, session leat.SessionID, number uint64) string {
	return fmt.Sprintf("usage/%s/%s/%020d", month, session, number)
}

// writeManifests puts what was counted into the queue for the bucket, month by month.
func writeManifests(tx *sqldb.Tx, r *shardstore.Registration, counted []countedExtent) error {
	months := map[string]*Manifest{}
	var order []*Manifest
	for i := range counted {
		e := &counted[i]
		month := MonthOf(e.MaxTime)
		m := months[month]
		if m == nil {
			m = &Manifest{Format: 1, Session: r.Session, Number: r.Number, Month: month}
			months[month] = m
			order = append(order, m)
		}
		if n := len(m.Streams); n == 0 || m.Streams[n-1].Stream != e.Shard.Stream {
			m.Streams = append(m.Streams, ManifestStream{Stream: e.Shard.Stream, Account: e.account})
		}
		s := &m.Streams[len(m.Streams)-1]
		s.Extents = append(s.Extents, ManifestExtent{
			Shard: e.Shard.Ordinal, First: e.First, Records: int64(e.Count), Bytes: e.Bytes, Units: e.Units, OnDemand: e.onDemand,
			MaxTime: e.MaxTime, Hash: fmt.Sprintf("%016x", e.Hash),
		})
	}
	rows := sqldb.NewRows(4, len(order))
	for _, m := range order {
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		rows.Add(r.Session, r.Number, m.Month, string(body))
	}
	_, err := tx.ExecRows("INSERT INTO manifests (session, number, month, body) VALUES $rows", rows)
	return err
}
