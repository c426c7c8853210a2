// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating

import (
	"time"

	"github.com/leatstream/leat"
)

// Period is a calendar month in some time zone; where the zone was changed it begins or ends some hours before the month or after. An hour belongs
// to the period in which it begins.
type Period struct {
	Start, End time.Time // [Start, End)
}

// MonthOf is the month that has t, in a zone.
func MonthOf(t time.Time, zone *time.Location) Period {
	t = t.In(zone)
	start := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, zone)
	return Period{Start: start, End: time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, zone)}
}

// ParseMonth reads YYYY-MM.
func ParseMonth(s string, zone *time.Location) (Period, error) {
	t, err := time.ParseInLocation("2006-01", s, zone)
	if err != nil {
		return Period{}, leat.Invalid("month", "%q is not a month: give it as 2026-11", s)
	}
	return MonthOf(t, zone), nil
}

// String is YYYY-MM: the month that has the middle of the period.
func (p Period) String() string { return p.Start.Add(p.End.Sub(p.Start) / 2).Format("2006-01") }

// Hours is the period's length: 744 in a month of 31 days, an hour less or more where the clocks change.
func (p Period) Hours() int64 { return int64(p.End.Sub(p.Start) / time.Hour) }

// has tells whether an hour begins in the period.
func (p Period) has(hour int64) bool {
	return hour >= leat.Micros(p.Start) && hour < leat.Micros(p.End)
}
