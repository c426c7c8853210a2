// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec

import "time"

// State is where a delivery stream is in its life.
type State string

// The states of a delivery stream. That its destination fails changes nothing in them: Status tells that.
const (
	Active   State = "ACTIVE"
	Paused   State = "PAUSED"   // by its owner; it keeps its place
	Deleting State = "DELETING" // nothing more is written
)

// Config is what the owner of a delivery stream asks for.
type Config struct {
	Source       Source        `json:"source"`
	Buffer       Buffer        `json:"buffer"`
	Transforms   []Transform   `json:"transforms,omitempty"` // in order
	Partitioning *Partitioning `json:"partitioning,omitempty"`
	Format       Format        `json:"format"`
	Compression  Compression   `json:"compression"` // of whole objects; of Parquet see Format
	Naming       Naming        `json:"naming"`
	Destination  Destination   `json:"destination"`
	Backup       *Backup       `json:"backup,omitempty"`

	// HoldSeconds is for how long beyond the stream's retention records are kept that are not delivered yet; 0: not at
	// all. At most MaxHold.
	HoldSeconds int `json:"hold_seconds,omitempty"`

	// Notes are what edges keep with a Config to answer it again, by edge. They change nothing in a delivery.
	Notes map[string]string `json:"notes,omitempty"`
}

// Source is where records come from: Stream, or what is put directly when that is empty. It never changes.
type Source struct {
	Stream string `json:"stream,omitempty"` // name of a stream of the same account
	From   Start  `json:"from,omitempty"`   // of a stream
	Time   int64  `json:"time,omitempty"`   // of AT_TIME: microseconds since 1970
	Shards int    `json:"shards,omitempty"` // of direct put: in how many shards it is kept; 0 means 1
}

// Direct tells whether records are put into the delivery stream itself.
func (s *Source) Direct() bool { return s.Stream == "" }

// Start is where in a stream a delivery begins.
type Start string

// The places to begin at.
const (
	TrimHorizon Start = "TRIM_HORIZON"
	Latest      Start = "LATEST" // what is put after the delivery stream was created
	AtTime      Start = "AT_TIME"
)

// Buffer says when an object is written: when its records (data, before transforms) reach Bytes, or Seconds after the
// arrival of the oldest of them, whichever comes first.
type Buffer struct {
	Bytes   int64 `json:"bytes"`
	Seconds int   `json:"seconds"`
	// Merged puts records of several shards that one node serves into one object; otherwise each shard has its own.
	Merged bool `json:"merged,omitempty"`
}

// Age is Seconds as a duration.
func (b *Buffer) Age() time.Duration { return time.Duration(b.Seconds) * time.Second }

// Partitioning turns dynamic partitioning on: records go to objects by the partition keys that transforms gave them.
// Buffer.Bytes is then counted for each partition: a range of a shard ends with its age, or with 128 MiB.
type Partitioning struct {
	// MaxActive is how many partitions one range of a shard may have; records beyond go to the error prefix. 0 means
	// DefaultPartitions.
	MaxActive int `json:"max_active,omitempty"`
}

// Naming is how objects are named. Prefixes have the expressions of Firehose: !{timestamp:yyyy/MM/dd},
// !{firehose:random-string}, !{firehose:error-output-type}, !{partitionKeyFromQuery:name}, !{partitionKeyFromLambda:name}.
// Times are of the arrival of the oldest record in the object; what is random for Firehose comes from the range.
type Naming struct {
	Prefix      string `json:"prefix,omitempty"`       // without an expression of time: yyyy/MM/dd/HH/ is appended, as Firehose does
	ErrorPrefix string `json:"error_prefix,omitempty"` // empty: Prefix's fixed part and the error's type
	Extension   string `json:"extension,omitempty"`    // with its dot; empty: by format and compression
	TimeZone    string `json:"time_zone,omitempty"`    // IANA; empty means UTC
}

// Compression is of whole objects.
type Compression string

// The compressions.
const (
	None         Compression = "none"
	Gzip         Compression = "gzip"
	Zstd         Compression = "zstd"
	Snappy       Compression = "snappy"        // framed
	HadoopSnappy Compression = "hadoop_snappy" // Hadoop's block format
	Zip          Compression = "zip"           // one entry
)

// Format is what an object's bytes are before compression.
type Format struct {
	Kind      FormatKind `json:"kind"`
	Delimiter string     `json:"delimiter,omitempty"` // of delimited; empty means "\n"
	CSV       *CSV       `json:"csv,omitempty"`
	Parquet   *Parquet   `json:"parquet,omitempty"`
}

// FormatKind names a format.
type FormatKind string

// The formats.
const (
	Raw         FormatKind = "raw"        // records end to end
	Delimited   FormatKind = "delimited"  // a delimiter after each record that does not end with it
	JSONLines   FormatKind = "json_lines" // records MUST be JSON; each is compacted into a line
	CSVFormat   FormatKind = "csv"        // records MUST be JSON objects
	ParquetFile FormatKind = "parquet"    // records MUST be JSON objects
)

// CSV says how JSON objects become lines.
type CSV struct {
	Columns   []string `json:"columns"`             // members, in order
	Header    bool     `json:"header,omitempty"`    // a first line with the columns' names
	Separator string   `json:"separator,omitempty"` // one character; empty means a comma
}

// Parquet says how JSON objects become rows.
type Parquet struct {
	Columns       []Column    `json:"columns,omitempty"`         // empty: inferred from the object's records
	Compression   Compression `json:"compression,omitempty"`     // of pages: none, gzip, zstd or snappy; empty means snappy
	RowGroupBytes int64       `json:"row_group_bytes,omitempty"` // 0 means 64 MiB
}

// Column is one column of a Parquet schema.
type Column struct {
	Name     string     `json:"name"`
	Type     ColumnType `json:"type"`
	Optional bool       `json:"optional,omitempty"`
}

// ColumnType is the type of a Parquet column.
type ColumnType string

// The column types.
const (
	TypeString    ColumnType = "string"
	TypeInt64     ColumnType = "int64"
	TypeDouble    ColumnType = "double"
	TypeBoolean   ColumnType = "boolean"
	TypeTimestamp ColumnType = "timestamp" // RFC 3339 text, or microseconds since 1970
	TypeJSON      ColumnType = "json"      // any JSON, kept as text
)

// TransformKind names a transform.
type TransformKind string

// The transforms.
const (
	UnpackKPL     TransformKind = "unpack_kpl"
	Decompress    TransformKind = "decompress"
	JQ            TransformKind = "jq"             // maps; an empty result drops the record, several make several
	PartitionKeys TransformKind = "partition_keys" // a jq query whose result is an object: names and values
	HTTPCall      TransformKind = "http"           // Firehose's record contract
	WASM          TransformKind = "wasm"
)

// Transform is one step on the way of records. Which members it has depends on its kind.
type Transform struct {
	Kind        TransformKind `json:"kind"`
	Query       string        `json:"query,omitempty"`       // jq, partition_keys
	Compression Compression   `json:"compression,omitempty"` // decompress: gzip, zstd or snappy; empty: told by the first bytes
	HTTP        *HTTP         `json:"http,omitempty"`        // http
	Module      []byte        `json:"module,omitempty"`      // wasm: the module's bytes

	TimeoutMillis int   `json:"timeout_millis,omitempty"` // wasm: of one record, 0 means 1000; http: of one request, 0 means 60000
	MemoryBytes   int64 `json:"memory_bytes,omitempty"`   // wasm: 0 means 64 MiB
}

// Repeatable tells whether the step makes the same of the same records every time. A module has a bound of time, which a
// busy machine may exceed where another does not.
func (t *Transform) Repeatable() bool { return t.Kind != HTTPCall && t.Kind != WASM }

// Destination is where objects go: exactly one member is set.
type Destination struct {
	S3   *S3   `json:"s3,omitempty"`
	HTTP *HTTP `json:"http,omitempty"`
}

// S3 is a bucket of an S3-compatible server.
type S3 struct {
	Bucket    string `json:"bucket"`
	Endpoint  string `json:"endpoint,omitempty"` // http:// or https:// URL; empty: the server's default
	Region    string `json:"region,omitempty"`   // empty: the server's
	AccessKey string `json:"access_key,omitempty"`
	SecretKey Secret `json:"-"` // with AccessKey; both empty: the server's default
}

// HTTP is an endpoint that takes Firehose's requests.
type HTTP struct {
	URL        string            `json:"url"`
	AccessKey  Secret            `json:"-"`                     // X-Amz-Firehose-Access-Key
	Common     map[string]string `json:"common,omitempty"`      // commonAttributes, for X-Amz-Firehose-Common-Attributes
	Gzip       bool              `json:"gzip,omitempty"`        // Content-Encoding of requests
	BatchBytes int64             `json:"batch_bytes,omitempty"` // of one request; 0 means 1 MiB
	// RetrySeconds is for how long a request of a destination is tried again before its records go to the error prefix; nil:
	// as long as it takes. A transform's are always tried as long as it takes.
	RetrySeconds *int `json:"retry_seconds,omitempty"`
}

// Backup is where records go as they came, before any transform. With an HTTP destination it is also where records go
// that a transform fails on.
type Backup struct {
	S3          S3          `json:"s3"`
	Naming      Naming      `json:"naming"`
	Compression Compression `json:"compression,omitempty"` // empty means none
	// All keeps every source record; otherwise the bucket is for failed ones alone (HTTP destinations).
	All bool `json:"all,omitempty"`
}
