// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"net/url"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat"
)

// The limits of delivery streams. Those of Firehose are its documented quotas.
const (
	MinBufferBytes    = 1 << 20
	MaxBufferBytes    = 128 << 20
	MaxBufferSeconds  = 900
	DefaultBytes      = 5 << 20
	DefaultSeconds    = 300
	DefaultPartitions = 500    // as Firehose
	MaxPartitions     = 10_000 // of one range
	MaxTransforms     = 8
	MaxModuleBytes    = 8 << 20
	MaxQueryBytes     = 16 << 10 // of jq
	MaxColumns        = 1000
	MaxShards         = 100 // of direct put
	MaxHold           = 7 * 24 * time.Hour
	MaxPrefix         = 1024 // bytes, of a prefix as it is written
	MaxExtension      = 128
	MaxRetrySeconds   = 7200 // of an HTTP destination
)

// nameForm is Firehose's: 64 characters.
var (
	nameForm      = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	bucketForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	extensionForm = regexp.MustCompile(`^\.[0-9a-z!\-_.*'()]+$`)
)

// ValidateName refuses names that Firehose refuses.
func ValidateName(name string) error {
	if !nameForm.MatchString(name) {
		return leat.Invalid("delivery", "delivery stream name %.100q must be 1 to 64 characters of a-z, A-Z, 0-9, underscore, dot and hyphen", name)
	}
	return nil
}

// Defaults fills in what is not given and has a default.
func (c *Config) Defaults() {
	if !c.Source.Direct() && c.Source.From == "" {
		c.Source.From = TrimHorizon
	}
	if c.Source.Direct() && c.Source.Shards == 0 {
		c.Source.Shards = 1
	}
	if c.Buffer.Bytes == 0 {
		c.Buffer.Bytes = DefaultBytes
	}
	if c.Buffer.Seconds == 0 {
		c.Buffer.Seconds = DefaultSeconds
	}
	if c.Format.Kind == "" {
		c.Format.Kind = Raw
	}
	if c.Compression == "" {
		c.Compression = None
	}
	if c.Backup != nil && c.Backup.Compression == "" {
		c.Backup.Compression = None
	}
	if c.Partitioning != nil && c.Partitioning.MaxActive == 0 {
		c.Partitioning.MaxActive = DefaultPartitions
	}
}

// Validate returns an InvalidArgument error that names the first member that is wrong, nil when none is. It looks at
// form alone: expressions, queries and modules are compiled by who uses them. Defaults MUST have been filled in.
func (c *Config) Validate() error {
	for _, check := range []func() error{
		c.Source.validate, c.Buffer.validate, c.validateTransforms, c.validatePartitioning, c.validateFormat,
		func() error { return c.Naming.validate("naming") }, c.validateDestination, c.validateBackup, c.validateHold,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) validate() error {
	if s.Direct() {
		switch {
		case s.From != "" || s.Time != 0:
			return leat.Invalid("source.from", "a delivery stream without a source stream begins with the first record that is put into it")
		case s.Shards < 1 || s.Shards > MaxShards:
			return leat.Invalid("source.shards", "%d shards: direct puts are kept in 1 to %d", s.Shards, MaxShards)
		}
		return nil
	}
	if err := leat.ValidateStreamName(s.Stream); err != nil {
		return leat.Invalid("source.stream", "%v", err)
	}
	switch {
	case s.Shards != 0:
		return leat.Invalid("source.shards", "the shards are the source stream's own")
	case s.From != TrimHorizon && s.From != Latest && s.From != AtTime:
		return leat.Invalid("source.from", "%.40q must be TRIM_HORIZON, LATEST or AT_TIME", s.From)
	case (s.From == AtTime) != (s.Time != 0) || s.Time < 0:
		return leat.Invalid("source.time", "AT_TIME, and nothing else, goes with a time")
	}
	return nil
}

func (b *Buffer) validate() error {
	if b.Bytes < MinBufferBytes || b.Bytes > MaxBufferBytes {
		return leat.Invalid("buffer.bytes", "%d bytes must be from 1 MiB (%d) to 128 MiB (%d)", b.Bytes, MinBufferBytes, MaxBufferBytes)
	}
	if b.Seconds < 1 || b.Seconds > MaxBufferSeconds {
		return leat.Invalid("buffer.seconds", "%d seconds must be from 1 to %d", b.Seconds, MaxBufferSeconds)
	}
	return nil
}

func (c *Config) validateTransforms() error {
	if len(c.Transforms) > MaxTransforms {
		return leat.Invalid("transforms", "%d transforms: there may be %d", len(c.Transforms), MaxTransforms)
	}
	for i := range c.Transforms {
		if err := c.Transforms[i].validate(fmt.Sprintf("transforms[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Transform) validate(at string) error {
	stray := func(kinds ...TransformKind) bool {
		for _, k := range kinds {
			if t.Kind == k {
				return false
			}
		}
		return true
	}
	switch {
	case stray(UnpackKPL, Decompress, JQ, PartitionKeys, HTTPCall, WASM):
		return leat.Invalid(at+".kind", "%.40q must be unpack_kpl, decompress, jq, partition_keys, http or wasm", t.Kind)
	case (t.Query != "") == stray(JQ, PartitionKeys):
		return leat.Invalid(at+".query", "jq and partition_keys, and nothing else, have a query")
	case len(t.Query) > MaxQueryBytes:
		return leat.Invalid(at+".query", "a query of %d bytes: at most %d", len(t.Query), MaxQueryBytes)
	case t.Compression != "" && (stray(Decompress) || t.Compression != Gzip && t.Compression != Zstd && t.Compression != Snappy):
		return leat.Invalid(at+".compression", "decompress takes gzip, zstd or snappy; other transforms have no compression")
	case (len(t.Module) > 0) == stray(WASM):
		return leat.Invalid(at+".module", "wasm, and nothing else, has a module")
	case len(t.Module) > MaxModuleBytes:
		return leat.Invalid(at+".module", "a module of %d bytes: at most %d", len(t.Module), MaxModuleBytes)
	case (t.HTTP != nil) == stray(HTTPCall):
		return leat.Invalid(at+".http", "http, and nothing else, has an endpoint")
	case t.TimeoutMillis != 0 && (stray(WASM, HTTPCall) || t.TimeoutMillis < 1 || t.TimeoutMillis > 300_000):
		return leat.Invalid(at+".timeout_millis", "%d: wasm and http may have a time-out of 1 to 300000 ms", t.TimeoutMillis)
	case t.MemoryBytes != 0 && (stray(WASM) || t.MemoryBytes < 1<<20 || t.MemoryBytes > 1<<30):
		return leat.Invalid(at+".memory_bytes", "%d: wasm may have 1 MiB to 1 GiB of memory", t.MemoryBytes)
	case t.HTTP != nil:
		if t.HTTP.RetrySeconds != nil {
			return leat.Invalid(at+".http.retry_seconds", "it goes with a destination: a transform's endpoint is asked as long as it takes")
		}
		return t.HTTP.validate(at + ".http")
	}
	return nil
}

func (c *Config) validatePartitioning() error {
	if c.Partitioning == nil {
		return nil
	}
	if n := c.Partitioning.MaxActive; n < 1 || n > MaxPartitions {
		return leat.Invalid("partitioning.max_active", "%d active partitions must be from 1 to %d", n, MaxPartitions)
	}
	for i := range c.Transforms {
		switch c.Transforms[i].Kind {
		case PartitionKeys, HTTPCall, WASM:
			return nil
		}
	}
	return leat.Invalid("partitioning", "no transform gives records partition keys: add one of kind partition_keys, http or wasm")
}

func (c *Config) validateFormat() error {
	f := &c.Format
	switch f.Kind {
	case Raw, Delimited, JSONLines, CSVFormat, ParquetFile:
	default:
		return leat.Invalid("format.kind", "%.40q must be raw, delimited, json_lines, csv or parquet", f.Kind)
	}
	if f.Delimiter != "" && (f.Kind != Delimited || len(f.Delimiter) > 16) {
		return leat.Invalid("format.delimiter", "a delimiter of up to 16 bytes goes with delimited alone")
	}
	if (f.CSV != nil) != (f.Kind == CSVFormat) {
		return leat.Invalid("format.csv", "csv, and nothing else, has columns to write")
	}
	if f.CSV != nil {
		if n := len(f.CSV.Columns); n < 1 || n > MaxColumns {
			return leat.Invalid("format.csv.columns", "%d columns must be from 1 to %d", n, MaxColumns)
		}
		if s := f.CSV.Separator; s != "" && utf8.RuneCountInString(s) != 1 || s == "\"" || s == "\n" || s == "\r" {
			return leat.Invalid("format.csv.separator", "%q must be one character that is no quote and no line break", s)
		}
	}
	if err := validCompression("compression", c.Compression, None, Gzip, Zstd, Snappy, HadoopSnappy, Zip); err != nil {
		return err
	}
	if f.Parquet != nil && f.Kind != ParquetFile {
		return leat.Invalid("format.parquet", "it goes with parquet alone")
	}
	if f.Kind == ParquetFile && c.Compression != None {
		return leat.Invalid("compression", "a Parquet file is compressed inside: give format.parquet.compression instead")
	}
	return f.Parquet.validate()
}

func (p *Parquet) validate() error {
	if p == nil {
		return nil
	}
	if len(p.Columns) > MaxColumns {
		return leat.Invalid("format.parquet.columns", "%d columns: at most %d", len(p.Columns), MaxColumns)
	}
	seen := map[string]bool{}
	for i, c := range p.Columns {
		at := fmt.Sprintf("format.parquet.columns[%d]", i)
		if c.Name == "" || seen[c.Name] {
			return leat.Invalid(at+".name", "column name %q must be given, once", c.Name)
		}
		seen[c.Name] = true
		switch c.Type {
		case TypeString, TypeInt64, TypeDouble, TypeBoolean, TypeTimestamp, TypeJSON:
		default:
			return leat.Invalid(at+".type", "%.40q must be string, int64, double, boolean, timestamp or json", c.Type)
		}
	}
	if p.RowGroupBytes != 0 && (p.RowGroupBytes < 1<<20 || p.RowGroupBytes > 256<<20) {
		return leat.Invalid("format.parquet.row_group_bytes", "%d must be from 1 MiB to 256 MiB", p.RowGroupBytes)
	}
	if p.Compression == "" {
		return nil
	}
	return validCompression("format.parquet.compression", p.Compression, None, Gzip, Zstd, Snappy)
}

func validCompression(field string, c Compression, of ...Compression) error {
	for _, k := range of {
		if c == k {
			return nil
		}
	}
	return leat.Invalid(field, "%.40q must be one of %v", c, of)
}

func (n *Naming) validate(at string) error {
	if len(n.Prefix) > MaxPrefix || len(n.ErrorPrefix) > MaxPrefix {
		return leat.Invalid(at+".prefix", "a prefix may have %d bytes", MaxPrefix)
	}
	if n.Extension != "" && (len(n.Extension) > MaxExtension || !extensionForm.MatchString(n.Extension)) {
		return leat.Invalid(at+".extension", "%.140q must be a dot and up to 127 of 0-9 a-z ! - _ . * ' ( )", n.Extension)
	}
	if n.TimeZone != "" {
		if _, err := time.LoadLocation(n.TimeZone); err != nil || n.TimeZone == "Local" {
			return leat.Invalid(at+".time_zone", "%.64q is no time zone such as UTC or Europe/Berlin", n.TimeZone)
		}
	}
	return nil
}

func (c *Config) validateDestination() error {
	d := &c.Destination
	switch {
	case d.S3 == nil && d.HTTP == nil:
		return leat.Invalid("destination", "there must be one: s3 or http")
	case d.S3 != nil && d.HTTP != nil:
		return leat.Invalid("destination", "there must be one, not both s3 and http")
	case d.S3 != nil:
		return d.S3.validate("destination.s3")
	case c.Backup == nil:
		return leat.Invalid("backup", "an HTTP destination needs a backup bucket, for records that transforms fail on")
	case c.Format.Kind != Raw || c.Compression != None || c.Partitioning != nil:
		return leat.Invalid("format", "records go to an HTTP destination one by one: format raw, compression none, no partitioning")
	}
	return d.HTTP.validate("destination.http")
}

func (c *Config) validateBackup() error {
	if c.Backup == nil {
		return nil
	}
	if err := c.Backup.S3.validate("backup.s3"); err != nil {
		return err
	}
	if err := validCompression("backup.compression", c.Backup.Compression, None, Gzip, Zstd, Snappy, HadoopSnappy, Zip); err != nil {
		return err
	}
	return c.Backup.Naming.validate("backup.naming")
}

func (c *Config) validateHold() error {
	if most := int(MaxHold / time.Second); c.HoldSeconds < 0 || c.HoldSeconds > most {
		return leat.Invalid("hold_seconds", "%d seconds must be from 0 to %d", c.HoldSeconds, most)
	}
	return nil
}

func (s *S3) validate(at string) error {
	if !bucketForm.MatchString(s.Bucket) {
		return leat.Invalid(at+".bucket", "%.80q is no bucket name: 3 to 63 of a-z, 0-9, dot and hyphen", s.Bucket)
	}
	if s.Endpoint != "" {
		if err := validURL(at+".endpoint", s.Endpoint); err != nil {
			return err
		}
	}
	if (s.AccessKey == "") != (s.SecretKey == "") {
		return leat.Invalid(at+".access_key", "access key and secret key go together")
	}
	if s.Endpoint != "" && s.AccessKey == "" {
		return leat.Invalid(at+".access_key", "an endpoint of your own needs its own access key: the server's is not sent elsewhere")
	}
	return nil
}

func (h *HTTP) validate(at string) error {
	if err := validURL(at+".url", h.URL); err != nil {
		return err
	}
	if h.BatchBytes != 0 && (h.BatchBytes < 64<<10 || h.BatchBytes > 64<<20) {
		return leat.Invalid(at+".batch_bytes", "%d must be from 64 KiB to 64 MiB", h.BatchBytes)
	}
	if s := h.RetrySeconds; s != nil && (*s < 0 || *s > MaxRetrySeconds) {
		return leat.Invalid(at+".retry_seconds", "%d must be from 0 to %d", *s, MaxRetrySeconds)
	}
	if len(h.Common) > 50 {
		return leat.Invalid(at+".common", "%d attributes: at most 50", len(h.Common))
	}
	return nil
}

func validURL(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return leat.Invalid(field, "it must be an http:// or https:// URL without user and password")
	}
	return nil
}
