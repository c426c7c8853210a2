// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating

import (
	"slices"
	"strings"

	"github.com/leatstream/leat"
)

// Meter is something that is counted, stream by stream and hour by hour.
type Meter uint8

// The meters. Their names are in price books, the API and exports: they MUST NOT change.
const (
	PutRecords               Meter = iota
	PutBytes                       // of data and partition keys
	PutUnits                       // 25 KiB put payload units, each record rounded up
	StorageDay                     // byte-hours of records put in the last 24 hours
	StorageWeek                    // byte-hours of records older than that, put in the last 7 days
	StorageLong                    // byte-hours of records that are older
	ShardHours                     // open shards, microseconds
	ShardExtendedHours             // open shards of streams that retain more than 24 hours, microseconds
	StreamHours                    // microseconds
	ConsumerHours                  // registered consumers, microseconds
	ConsumerShardHours             // consumers times open shards, microseconds
	ReadRecords                    // of GetRecords
	ReadBytes                      //
	PushRecords                    // of subscriptions
	PushBytes                      //
	DeliveryRecords                // of delivery streams
	DeliveryBytes                  //
	DeliveryRoundedBytes           // each record rounded up to 5 KiB, as Firehose does
	DeliveryConvertedBytes         // of records that were converted to a columnar format
	DeliveryPartitionedBytes       // of records under dynamic partitioning
	DeliveryObjects                // written under dynamic partitioning
	Meters                         // how many there are
)

// kind is what a meter's base unit is, and with it the units that prices of it may name.
type kind uint8

const (
	count     kind = iota
	bytes          // bytes
	byteHours      // bytes kept for an hour
	duration       // microseconds
)

var meters = [Meters]struct {
	name string
	kind kind
}{
	PutRecords: {"put.records", count}, PutBytes: {"put.bytes", bytes}, PutUnits: {"put.units", count},
	StorageDay: {"storage.day", byteHours}, StorageWeek: {"storage.week", byteHours}, StorageLong: {"storage.long", byteHours},
	ShardHours: {"shard.hours", duration}, ShardExtendedHours: {"shard.extended_hours", duration}, StreamHours: {"stream.hours", duration},
	ConsumerHours: {"consumer.hours", duration}, ConsumerShardHours: {"consumer.shard_hours", duration},
	ReadRecords: {"read.records", count}, ReadBytes: {"read.bytes", bytes}, PushRecords: {"push.records", count}, PushBytes: {"push.bytes", bytes},
	DeliveryRecords: {"delivery.records", count}, DeliveryBytes: {"delivery.bytes", bytes}, DeliveryRoundedBytes: {"delivery.rounded_bytes", bytes},
	DeliveryConvertedBytes: {"delivery.converted_bytes", bytes}, DeliveryPartitionedBytes: {"delivery.partitioned_bytes", bytes},
	DeliveryObjects: {"delivery.objects", count},
}

// String is the meter's name.
func (m Meter) String() string {
	if m >= Meters {
		return "unknown"
	}
	return meters[m].name
}

// MarshalText returns the meter's name.
func (m Meter) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText undoes MarshalText.
func (m *Meter) UnmarshalText(text []byte) error {
	known, ok := ParseMeter(string(text))
	if !ok {
		return leat.Invalid("meter", "%q is no meter", text)
	}
	*m = known
	return nil
}

// Column is the meter's name in SQL and in tables: with underscores.
func (m Meter) Column() string { return strings.ReplaceAll(m.String(), ".", "_") }

// ParseMeter finds a meter by its name.
func ParseMeter(name string) (Meter, bool) {
	i := slices.IndexFunc(meters[:], func(m struct {
		name string
		kind kind
	}) bool {
		return m.name == name
	})
	return Meter(max(i, 0)), i >= 0
}

// Base is the unit of the meter's whole numbers: records, bytes, byte-hours or microseconds.
func (m Meter) Base() string {
	switch meters[m].kind {
	case bytes:
		return "byte"
	case byteHours:
		return "byte-hour"
	case duration:
		return "microsecond"
	}
	return "one"
}

// Quantities has an amount of each meter, in its base unit.
type Quantities [Meters]int64

// Usage is what one stream used in one hour.
type Usage struct {
	Account string
	Stream  leat.StreamID
	Mode    leat.StreamMode // that the stream was in; an hour in which it changed has usage of both
	Hour    int64           // its beginning, microseconds since 1970
	Quantities
}

// sum is a whole number of 128 bits: byte-hours of a month do not always fit in 63.
type sum struct {
	hi int64
	lo uint64
}

func (s *sum) add(n int64) {
	lo := s.lo + uint64(n)
	if lo < s.lo {
		s.hi++
	}
	s.hi += n >> 63
	s.lo = lo
}

func (s *sum) plus(o sum) {
	lo := s.lo + o.lo
	if lo < s.lo {
		s.hi++
	}
	s.hi += o.hi
	s.lo = lo
}

func (s *sum) zero() bool { return s.hi == 0 && s.lo == 0 }
