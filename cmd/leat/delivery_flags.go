// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// deliveryFlags are what of a configuration can be given by flags; --config has the rest.
type deliveryFlags struct {
	Config        string            `type:"existingfile" placeholder:"FILE" help:"Configuration as JSON, as 'leat delivery describe -o json' shows it. Flags change it."`
	Bucket        string            `placeholder:"NAME" help:"Bucket that objects go to."`
	S3Endpoint    string            `name:"s3-endpoint" placeholder:"URL" help:"Server of the bucket. Default: the server's own object store."`
	S3Region      string            `name:"s3-region" placeholder:"NAME" help:"Region that its requests are signed for."`
	S3AccessKey   string            `name:"s3-access-key" placeholder:"ID" help:"Access key for the bucket. Default: the server's own."`
	S3SecretKey   string            `name:"s3-secret-key" placeholder:"SECRET" env:"LEAT_DELIVERY_S3_SECRET_KEY" help:"Its secret; better given in the environment."`
	HTTPURL       string            `name:"http-url" placeholder:"URL" help:"Endpoint of Firehose's HTTP contract, instead of a bucket; --bucket is then for what fails."`
	HTTPAccessKey string            `name:"http-access-key" placeholder:"SECRET" env:"LEAT_DELIVERY_HTTP_ACCESS_KEY" help:"Sent as X-Amz-Firehose-Access-Key."`
	HTTPRetry     *time.Duration    `name:"http-retry" placeholder:"TIME" help:"Send a request again for so long, 2h at most, then write its records to the error prefix. Default: as long as it takes."`
	Prefix        string            `placeholder:"PREFIX" help:"Before object names, with Firehose's expressions, such as logs/!{timestamp:yyyy/MM/dd}/."`
	ErrorPrefix   string            `placeholder:"PREFIX" help:"Before names of objects with records that could not be delivered."`
	Extension     string            `placeholder:".EXT" help:"After object names. Default: by format and compression."`
	TimeZone      string            `placeholder:"ZONE" help:"Time zone of prefixes, such as Europe/Berlin. Default: UTC."`
	Format        string            `enum:",raw,delimited,json_lines,csv,parquet" default:"" placeholder:"FORMAT" help:"raw, delimited, json_lines, csv or parquet."`
	Columns       []string          `placeholder:"NAME" help:"Columns of CSV, by members of JSON objects."`
	Header        bool              `help:"Begin CSV with a line of column names."`
	Compression   string            `enum:",none,gzip,zstd,snappy,hadoop_snappy,zip" default:"" placeholder:"NAME" help:"none, gzip, zstd, snappy, hadoop_snappy or zip; of Parquet: of its pages."`
	BufferMiB     float64           `name:"buffer-mib" placeholder:"N" help:"Write an object when its records have N MiB: 1 to 128. Default: 5."`
	BufferFor     time.Duration     `name:"buffer-for" placeholder:"TIME" help:"Or when its oldest record is so old: 1s to 15m. Default: 5m."`
	Merged        bool              `help:"Put records of several shards of a node into one object."`
	JQ            []string          `name:"jq" sep:"none" placeholder:"QUERY" help:"Map or filter records by this jq query; may be given several times."`
	UnpackKPL     bool              `name:"unpack-kpl" help:"Take records of the Kinesis Producer Library apart, before other steps."`
	Decompress    bool              `help:"Decompress records, before jq."`
	Partition     string            `placeholder:"QUERY" help:"Partition by the keys that this jq query makes, such as '{customer: .customer_id}'."`
	MaxPartitions int32             `name:"max-partitions" placeholder:"N" help:"Partitions of one range, at most. Default: 500."`
	HoldRetention time.Duration     `name:"hold-retention" placeholder:"TIME" help:"Keep records that are not delivered yet for so long beyond the stream's retention: up to 168h."`
	BackupBucket  string            `name:"backup-bucket" placeholder:"NAME" help:"Also write every record as it came to this bucket of the server's own object store."`
	BackupPrefix  string            `name:"backup-prefix" placeholder:"PREFIX" help:"Before names of these objects."`
	Tag           map[string]string `placeholder:"NAME=VALUE" help:"Tags."`

	httpKeyMeant, s3SecretMeant bool
}

// fill changes a configuration as the flags say, member by member: what they do not say stays. A flag that would change nothing is
// refused.
func (f *deliveryFlags) fill(c *leatv1.DeliveryConfig) error {
	if f.Config != "" {
		text, err := os.ReadFile(f.Config)
		if err != nil {
			return err
		}
		if err := readConfig(text, c); err != nil {
			return leat.Invalid("config", "%s: %v", f.Config, err)
		}
	}
	anew := f.Config != "" || c.GetS3() == nil && c.GetHttp() == nil
	f.httpKeyMeant = anew || f.HTTPURL != "" || f.HTTPAccessKey != os.Getenv(deliveryHTTPKeyEnv)
	f.s3SecretMeant = anew || f.S3Endpoint != "" || f.S3AccessKey != "" || f.S3SecretKey != os.Getenv(deliveryS3SecretEnv)
	if f.HoldRetention != 0 {
		c.HoldSeconds = int32(f.HoldRetention / time.Second)
	}
	f.fillBuffer(c)
	for _, fill := range []func(*leatv1.DeliveryConfig) error{f.fillHTTP, f.fillBucket, f.fillBackup, f.fillFormat, f.fillTransforms} {
		if err := fill(c); err != nil {
			return err
		}
	}
	return nil
}

// readConfig reads a configuration, or a described delivery stream that has one.
func readConfig(text []byte, c *leatv1.DeliveryConfig) error {
	var outer struct {
		Config json.RawMessage `json:"config"`
	}
	if json.Unmarshal(text, &outer) == nil && outer.Config != nil {
		text = outer.Config
	}
	return protojson.Unmarshal(text, c)
}

// Where secrets are better given. What is there may be for another delivery stream: a change takes it only with a flag that says
// whom it is for.
const (
	deliveryS3SecretEnv = "LEAT_DELIVERY_S3_SECRET_KEY"
	deliveryHTTPKeyEnv  = "LEAT_DELIVERY_HTTP_ACCESS_KEY"
)

func (f *deliveryFlags) fillHTTP(c *leatv1.DeliveryConfig) error {
	if f.HTTPURL != "" {
		if c.GetHttp() == nil {
			c.S3, c.Http = nil, &leatv1.DeliveryHTTP{}
		}
		c.Http.Url = f.HTTPURL
	}
	if c.GetHttp() == nil {
		switch {
		case f.HTTPRetry != nil:
			return without("http-retry", "http-url")
		case f.HTTPAccessKey != os.Getenv(deliveryHTTPKeyEnv):
			return without("http-access-key", "http-url")
		}
		return nil
	}
	if f.httpKeyMeant {
		set(&c.Http.AccessKey, f.HTTPAccessKey)
	}
	if f.HTTPRetry != nil {
		c.Http.RetrySeconds = proto.Int32(int32(f.HTTPRetry.Round(time.Second) / time.Second))
	}
	return nil
}

// fillBucket fills in the bucket of the destination, or of what an endpoint does not take, and its names.
func (f *deliveryFlags) fillBucket(c *leatv1.DeliveryConfig) error {
	if c.GetNaming() == nil {
		c.Naming = &leatv1.DeliveryNaming{}
	}
	if c.GetHttp() != nil && c.GetBackup() == nil && f.Bucket != "" {
		c.Backup = &leatv1.DeliveryBackup{}
	}
	f.fillNaming(c.GetNaming())
	if c.GetHttp() == nil {
		return f.fillS3(&c.S3)
	}
	if c.GetBackup() == nil {
		var none *leatv1.DeliveryS3
		return f.fillS3(&none)
	}
	if c.GetBackup().GetNaming() == nil {
		c.Backup.Naming = &leatv1.DeliveryNaming{}
	}
	f.fillNaming(c.GetBackup().GetNaming())
	return f.fillS3(&c.Backup.S3)
}

func (f *deliveryFlags) fillNaming(n *leatv1.DeliveryNaming) {
	set(&n.Prefix, f.Prefix)
	set(&n.ErrorPrefix, f.ErrorPrefix)
	set(&n.Extension, f.Extension)
	set(&n.TimeZone, f.TimeZone)
}

func (f *deliveryFlags) fillS3(to **leatv1.DeliveryS3) error {
	flagged := f.S3SecretKey != os.Getenv(deliveryS3SecretEnv)
	if *to == nil && f.Bucket == "" {
		switch {
		case f.S3Endpoint != "":
			return without("s3-endpoint", "bucket")
		case f.S3Region != "":
			return without("s3-region", "bucket")
		case f.S3AccessKey != "":
			return without("s3-access-key", "bucket")
		case flagged:
			return without("s3-secret-key", "bucket")
		}
		return nil
	}
	if *to == nil {
		*to = &leatv1.DeliveryS3{}
	}
	s := *to
	set(&s.Bucket, f.Bucket)
	set(&s.Endpoint, f.S3Endpoint)
	set(&s.Region, f.S3Region)
	set(&s.AccessKey, f.S3AccessKey)
	if f.s3SecretMeant && s.GetAccessKey() != "" || flagged { // without an access key the server refuses it
		set(&s.SecretKey, f.S3SecretKey)
	}
	return nil
}

func (f *deliveryFlags) fillBackup(c *leatv1.DeliveryConfig) error {
	if f.BackupBucket != "" && f.Bucket != "" && f.Bucket != f.BackupBucket && c.GetHttp() != nil {
		return leat.Invalid("backup-bucket", "--bucket and --backup-bucket: with an HTTP endpoint there is one bucket, for what fails and for every record")
	}
	if f.BackupBucket != "" {
		if c.GetBackup() == nil {
			c.Backup = &leatv1.DeliveryBackup{}
		}
		if c.GetBackup().GetS3() == nil {
			c.Backup.S3 = &leatv1.DeliveryS3{}
		}
		c.Backup.S3.Bucket, c.Backup.All = f.BackupBucket, true
	}
	if f.BackupPrefix == "" {
		return nil
	}
	if c.GetBackup() == nil {
		return without("backup-prefix", "backup-bucket")
	}
	if c.GetBackup().GetNaming() == nil {
		c.Backup.Naming = &leatv1.DeliveryNaming{}
	}
	c.Backup.Naming.Prefix = f.BackupPrefix
	return nil
}

// without refuses a flag that changes nothing without another one.
func without(flag, other string) error {
	return leat.Invalid(flag, "--%s goes with --%s: the delivery stream has nothing that it is for", flag, other)
}

func set(to *string, v string) {
	if v != "" {
		*to = v
	}
}

func (f *deliveryFlags) fillFormat(c *leatv1.DeliveryConfig) error {
	kind := leatv1.DeliveryFormatKind(leatv1.DeliveryFormatKind_value["DELIVERY_FORMAT_KIND_"+strings.ToUpper(f.Format)])
	if f.Format != "" && kind != c.GetFormat().GetKind() {
		c.Format = &leatv1.DeliveryFormat{Kind: kind}
	}
	if c.GetFormat().GetKind() == leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_CSV {
		if len(f.Columns) > 0 {
			c.Format.CsvColumns = f.Columns
		}
		c.Format.CsvHeader = c.Format.CsvHeader || f.Header
	} else if len(f.Columns) > 0 {
		return without("columns", "format csv")
	} else if f.Header {
		return without("header", "format csv")
	}
	if f.Compression == "" {
		return nil
	}
	v := compressionFlag(f.Compression)
	if c.GetFormat().GetKind() == leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_PARQUET {
		c.Compression, c.Format.ParquetCompression = leatv1.DeliveryCompression_DELIVERY_COMPRESSION_NONE, v
		return nil
	}
	c.Compression = v
	return nil
}

func compressionFlag(name string) leatv1.DeliveryCompression {
	return leatv1.DeliveryCompression(leatv1.DeliveryCompression_value["DELIVERY_COMPRESSION_"+strings.ToUpper(name)])
}

func (f *deliveryFlags) fillBuffer(c *leatv1.DeliveryConfig) {
	if c.GetBuffer() == nil {
		c.Buffer = &leatv1.DeliveryBuffer{}
	}
	if f.BufferMiB != 0 {
		c.Buffer.Bytes = int64(f.BufferMiB * (1 << 20))
	}
	if f.BufferFor != 0 {
		c.Buffer.Seconds = int32(f.BufferFor / time.Second)
	}
	c.Buffer.Merged = c.Buffer.Merged || f.Merged
}

// flagTransforms are the kinds of transforms that flags can give, in the order of their steps.
var flagTransforms = []leatv1.DeliveryTransformKind{
	leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_UNPACK_KPL, leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_DECOMPRESS,
	leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_JQ, leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_PARTITION_KEYS,
}

// fillTransforms replaces the steps of the kinds that are given; those of other kinds stay.
func (f *deliveryFlags) fillTransforms(c *leatv1.DeliveryConfig) error {
	if err := f.fillPartitioning(c); err != nil {
		return err
	}
	given := slices.DeleteFunc(f.transforms(), func(g *leatv1.DeliveryTransform) bool { // one that is there already may say more
		return g.GetQuery() == "" && slices.ContainsFunc(c.GetTransforms(), func(t *leatv1.DeliveryTransform) bool { return t.GetKind() == g.GetKind() })
	})
	if len(given) == 0 {
		return nil
	}
	order := func(t *leatv1.DeliveryTransform) int { return slices.Index(flagTransforms, t.GetKind()) }
	last := -1
	for _, t := range c.GetTransforms() {
		if order(t) < last || order(t) < 0 {
			return leat.Invalid("transforms", "the delivery stream has transforms whose kinds or order flags cannot say: give all of them in --config, as 'leat delivery describe -o json' shows them")
		}
		last = order(t)
	}
	steps := slices.DeleteFunc(slices.Clone(c.GetTransforms()), func(t *leatv1.DeliveryTransform) bool {
		return slices.ContainsFunc(given, func(g *leatv1.DeliveryTransform) bool { return g.GetKind() == t.GetKind() })
	})
	steps = append(steps, given...)
	slices.SortStableFunc(steps, func(a, b *leatv1.DeliveryTransform) int { return order(a) - order(b) })
	c.Transforms = steps
	return nil
}

func (f *deliveryFlags) fillPartitioning(c *leatv1.DeliveryConfig) error {
	if f.Partition != "" && c.GetPartitioning() == nil {
		c.Partitioning = &leatv1.DeliveryPartitioning{}
	}
	if f.MaxPartitions == 0 {
		return nil
	}
	if c.GetPartitioning() == nil {
		return without("max-partitions", "partition")
	}
	c.Partitioning.MaxActive = f.MaxPartitions
	return nil
}

// transforms are the steps that are given.
func (f *deliveryFlags) transforms() (steps []*leatv1.DeliveryTransform) {
	if f.UnpackKPL {
		steps = append(steps, &leatv1.DeliveryTransform{Kind: leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_UNPACK_KPL})
	}
	if f.Decompress {
		steps = append(steps, &leatv1.DeliveryTransform{Kind: leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_DECOMPRESS})
	}
	for _, q := range f.JQ {
		steps = append(steps, &leatv1.DeliveryTransform{Kind: leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_JQ, Query: q})
	}
	if f.Partition != "" {
		steps = append(steps, &leatv1.DeliveryTransform{Kind: leatv1.DeliveryTransformKind_DELIVERY_TRANSFORM_KIND_PARTITION_KEYS, Query: f.Partition})
	}
	return steps
}
