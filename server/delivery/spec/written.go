// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
)

// Written is an object that a delivery stream has written, as the catalog knows it.
type Written struct {
	Place    Place
	Backfill string    // empty: by the live delivery
	At       time.Time // when it was committed
	For      string    // empty: records; errors: those that could not be delivered; backup: as they came
	Bucket   string    // empty: an HTTP endpoint took it
	Key      string
	Records  uint64 // of the source that count here
	Units    uint64 // that it holds: a record may become several
	Bytes    int64
}

// Place tells an object from all others that a delivery stream has written. Objects are listed by it, the newest first.
type Place struct {
	At    int64 // of the plan's commit, microseconds since 1970
	Plan  string
	Index int // of the object in the plan
}

// String is a place as ParsePlace reads it.
func (p Place) String() string { return fmt.Sprintf("%d.%s.%d", p.At, p.Plan, p.Index) }

// ParsePlace undoes String.
func ParsePlace(text string) (p Place, err error) {
	at, rest, _ := strings.Cut(text, ".")
	plan, index, ok := strings.Cut(rest, ".")
	if p.At, err = strconv.ParseInt(at, 10, 64); err == nil {
		p.Index, err = strconv.Atoi(index)
	}
	p.Plan = plan
	if err != nil || !ok || plan == "" || len(plan) > 100 || p.Index < 0 {
		return Place{}, leat.Invalid("object", "%.60q is no place of an object", text)
	}
	return p, nil
}

// FailedRecord is a record in the error prefix, or what transforms made of a part of it.
type FailedRecord struct {
	Arrived      time.Time
	Code         string
	Message      string
	Attempts     int
	Shard        string
	Sequence     string
	PartitionKey string
	Data         []byte
	Part         bool // Data is what transforms made of it
}

// FailedRecords is the beginning of an object in the error prefix.
type FailedRecords struct {
	Object  Written
	Records []FailedRecord
	More    bool // there are more than these
}
