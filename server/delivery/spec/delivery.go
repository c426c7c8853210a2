// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"time"

	"github.com/leatstream/leat"
)

// Delivery is a delivery stream.
type Delivery struct {
	ID      string // 32 hexadecimal digits, never used again
	Account string
	Name    string
	State   State
	Version uint64 // of Config; rises with each change of it
	Config  Config
	Stream  leat.StreamID // where records come from: the source stream, or the hidden one of direct puts
	Tags    map[string]string
	Created time.Time
	Updated time.Time
}

// HiddenAccount is the account that keeps the streams of an account's direct puts: no caller can be of it.
func HiddenAccount(account string) string { return "." + account }

// Progress is where a delivery stream, or a backfill, is in one shard.
type Progress struct {
	Shard     uint64
	Start     uint64        // the first offset that it delivers
	Next      uint64        // everything from Start to before Next is delivered
	Tail      uint64        // the offset after the newest record; of a backfill: where it ends
	Delivered time.Time     // arrival of the last record that was delivered; zero: none was
	Lag       time.Duration // age of the oldest record that is not delivered, 0 when all are
	Done      bool
	Reason    string    // why it does not go on; empty while it does
	Since     time.Time // of Reason
}

// Backfill delivers history again, by a configuration of its own.
type Backfill struct {
	ID      string
	From    time.Time
	To      time.Time // records that arrived before it
	Config  Config
	Created time.Time
	Done    bool
	Shards  []Progress
}

// Description is a delivery stream and where it is.
type Description struct {
	Delivery
	Shards    []Progress
	Backfills []Backfill
}

// Change says what of a delivery stream to change: nil and empty members stay.
type Change struct {
	IfVersion uint64  // refuse when the version is another; 0: whatever it is
	Config    *Config // whole; secrets that are empty stay as they are
	State     State   // Active or Paused
	SetTags   map[string]string
	DropTags  []string
}

// VerifyOptions say how much to look at.
type VerifyOptions struct {
	Backfill string // a backfill instead of the live delivery
	Deep     bool   // read every object back and compare its SHA-256
}

// Report is what Verify found.
type Report struct {
	Clean    bool
	Ranges   []VerifiedRange
	Objects  uint64 // that hold records
	Errors   uint64 // objects in the error prefix
	Backups  uint64
	Bytes    int64
	Records  uint64   // of the source, in the ranges
	Stored   uint64   // of them: in exactly one object
	Failed   uint64   // in the error prefix
	Dropped  uint64   // by a filter
	Expired  uint64   // before they could be read
	Pending  uint64   // planned and not committed yet; not in the ranges
	Problems []string // at most 100
}

// VerifiedRange is what of a shard was proved.
type VerifiedRange struct {
	Shard uint64
	First uint64
	End   uint64
}
