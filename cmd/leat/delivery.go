// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// deliveryCmd is `leat delivery`.
type deliveryCmd struct {
	Connection connection `embed:""`

	Create   deliveryCreateCmd   `cmd:"" help:"Create a delivery stream: of a stream, or of what is put into it."`
	List     deliveryListCmd     `cmd:"" help:"List delivery streams."`
	Describe deliveryDescribeCmd `cmd:"" help:"Show a delivery stream, where it is, and why it does not go on."`
	Update   deliveryUpdateCmd   `cmd:"" help:"Change a delivery stream; what is not given stays."`
	Pause    deliveryPauseCmd    `cmd:"" help:"Stop delivering; the delivery stream keeps its place."`
	Resume   deliveryResumeCmd   `cmd:"" help:"Go on delivering."`
	Delete   deliveryDeleteCmd   `cmd:"" help:"Delete a delivery stream; what it wrote stays."`
	Backfill deliveryBackfillCmd `cmd:"" help:"Deliver history again, while the live delivery goes on."`
	Verify   deliveryVerifyCmd   `cmd:"" help:"Prove from the bucket that every delivered record is in exactly one object."`
	Put      deliveryPutCmd      `cmd:"" help:"Put lines of standard input into a delivery stream without a source stream."`
}

// Help is shown by `leat delivery --help`.
func (deliveryCmd) Help() string {
	return "A delivery stream moves the records of a stream, or what is put into it, to an S3-compatible bucket or an HTTP endpoint, each record into exactly one object. docs/delivery.md is the guide."
}

// deliveryArg is a delivery stream that there is.
type deliveryArg struct {
	Delivery string `arg:"" help:"Name of the delivery stream."`
}

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
}

// fill changes a configuration as the flags say.
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
	f.fillDestination(c)
	f.fillNaming(c)
	f.fillFormat(c)
	f.fillBuffer(c)
	f.fillTransforms(c)
	if f.HoldRetention != 0 {
		c.HoldSeconds = int32(f.HoldRetention / time.Second)
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

func (f *deliveryFlags) s3() *leatv1.DeliveryS3 {
	return &leatv1.DeliveryS3{Bucket: f.Bucket, Endpoint: f.S3Endpoint, Region: f.S3Region, AccessKey: f.S3AccessKey, SecretKey: f.S3SecretKey}
}

func (f *deliveryFlags) fillDestination(c *leatv1.DeliveryConfig) {
	switch {
	case f.HTTPURL != "":
		c.S3, c.Http = nil, &leatv1.DeliveryHTTP{Url: f.HTTPURL, AccessKey: f.HTTPAccessKey}
		if f.Bucket != "" {
			c.Backup = &leatv1.DeliveryBackup{S3: f.s3(), Naming: &leatv1.DeliveryNaming{Prefix: f.Prefix, ErrorPrefix: f.ErrorPrefix}}
		}
	case f.Bucket != "":
		c.S3, c.Http = f.s3(), nil
	case c.GetS3() != nil && (f.S3AccessKey != "" || f.S3SecretKey != "" || f.S3Endpoint != ""):
		set(&c.S3.AccessKey, f.S3AccessKey)
		set(&c.S3.SecretKey, f.S3SecretKey)
		set(&c.S3.Endpoint, f.S3Endpoint)
	}
	if f.HTTPRetry != nil && c.GetHttp() != nil {
		c.Http.RetrySeconds = proto.Int32(int32(f.HTTPRetry.Round(time.Second) / time.Second))
	}
	if f.BackupBucket != "" {
		c.Backup = &leatv1.DeliveryBackup{S3: &leatv1.DeliveryS3{Bucket: f.BackupBucket}, Naming: &leatv1.DeliveryNaming{Prefix: f.BackupPrefix}, All: true}
	}
}

func set(to *string, v string) {
	if v != "" {
		*to = v
	}
}

func (f *deliveryFlags) fillNaming(c *leatv1.DeliveryConfig) {
	if c.GetNaming() == nil {
		c.Naming = &leatv1.DeliveryNaming{}
	}
	set(&c.Naming.Prefix, f.Prefix)
	set(&c.Naming.ErrorPrefix, f.ErrorPrefix)
	set(&c.Naming.Extension, f.Extension)
	set(&c.Naming.TimeZone, f.TimeZone)
}

func (f *deliveryFlags) fillFormat(c *leatv1.DeliveryConfig) {
	if f.Format != "" {
		c.Format = &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind(leatv1.DeliveryFormatKind_value["DELIVERY_FORMAT_KIND_"+strings.ToUpper(f.Format)])}
	}
	if len(f.Columns) > 0 && c.GetFormat() != nil {
		c.Format.CsvColumns, c.Format.CsvHeader = f.Columns, f.Header
	}
	if f.Compression == "" {
		return
	}
	v := compressionFlag(f.Compression)
	if c.GetFormat().GetKind() == leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_PARQUET {
		c.Compression, c.Format.ParquetCompression = leatv1.DeliveryCompression_DELIVERY_COMPRESSION_NONE, v
		return
	}
	c.Compression = v
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

func (f *deliveryFlags) fillTransforms(c *leatv1.DeliveryConfig) {
	var steps []*leatv1.DeliveryTransform
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
		c.Partitioning = &leatv1.DeliveryPartitioning{MaxActive: f.MaxPartitions}
	}
	if len(steps) > 0 {
		c.Transforms = steps
	}
}

type deliveryCreateCmd struct {
	deliveryArg
	Stream string        `placeholder:"NAME" help:"Stream to deliver. Without it records are put into the delivery stream itself."`
	From   string        `enum:",trim_horizon,latest" default:"" placeholder:"PLACE" help:"trim_horizon (the default): with the oldest record; latest: with what is put from now on."`
	Since  time.Duration `placeholder:"TIME" help:"Begin with what arrived so long ago, instead of --from."`
	Shards int32         `placeholder:"N" help:"Without --stream: in how many shards records are kept at first. Default: 1."`
	deliveryFlags
}

// Run makes a delivery stream.
func (cmd *deliveryCreateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	config := &leatv1.DeliveryConfig{}
	if err := cmd.fill(config); err != nil {
		return err
	}
	if n := config.GetNaming(); n.GetErrorPrefix() == "" && strings.Contains(n.GetPrefix(), "!{") {
		n.ErrorPrefix = "errors/" + cmd.Delivery + "/!{firehose:error-output-type}/" // a prefix with expressions needs one
	}
	if config.GetSource() == nil || cmd.Stream != "" || cmd.Shards != 0 {
		config.Source = &leatv1.DeliverySource{Stream: cmd.Stream, ShardCount: cmd.Shards}
	}
	switch {
	case cmd.Since > 0 && cmd.From != "":
		return leat.Invalid("since", "--since and --from both say where to begin: give one")
	case cmd.Since > 0:
		config.Source.Start, config.Source.StartTime = leatv1.DeliveryStart_DELIVERY_START_AT_TIME, timestamppb.New(time.Now().Add(-cmd.Since))
	case cmd.From != "":
		config.Source.Start = leatv1.DeliveryStart(leatv1.DeliveryStart_value["DELIVERY_START_"+strings.ToUpper(cmd.From)])
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: cmd.Delivery, Config: config, Tags: cmd.Tag})
		if err != nil {
			return err
		}
		return printDeliveries(t, c, res.GetDelivery())
	})
}

type deliveryListCmd struct{}

// Run lists delivery streams.
func (cmd *deliveryListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		var all []*leatv1.Delivery
		req := &leatv1.ListDeliveriesRequest{}
		for range maxPages {
			res, err := cl.Delivery.ListDeliveries(ctx, req)
			if err != nil {
				return err
			}
			all = append(all, res.GetDeliveries()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return printDeliveries(t, c, all...)
	})
}

type deliveryUpdateCmd struct {
	deliveryArg
	deliveryFlags
	IfVersion uint64   `name:"if-version" placeholder:"N" help:"Only if the delivery stream has this version."`
	Untag     []string `placeholder:"NAME" help:"Remove tags."`
}

// Run changes what flags say of the configuration that there is.
func (cmd *deliveryUpdateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		old, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: cmd.Delivery})
		if err != nil {
			return err
		}
		config, source := old.GetDelivery().GetConfig(), old.GetDelivery().GetConfig().GetSource()
		if err := cmd.fill(config); err != nil {
			return err
		}
		config.Source = source
		version := cmd.IfVersion
		if version == 0 {
			version = old.GetDelivery().GetVersion() // nobody's change in between is undone
		}
		res, err := cl.Delivery.UpdateDelivery(ctx, &leatv1.UpdateDeliveryRequest{Delivery: cmd.Delivery, IfVersion: version, Config: config, SetTags: cmd.Tag, RemoveTags: cmd.Untag})
		if err != nil {
			return err
		}
		return printDeliveries(t, c, res.GetDelivery())
	})
}

type deliveryPauseCmd struct{ deliveryArg }

// Run pauses a delivery stream.
func (cmd *deliveryPauseCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return setDeliveryState(ctx, c, t, cmd.Delivery, leatv1.DeliveryState_DELIVERY_STATE_PAUSED)
}

type deliveryResumeCmd struct{ deliveryArg }

// Run resumes a delivery stream.
func (cmd *deliveryResumeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return setDeliveryState(ctx, c, t, cmd.Delivery, leatv1.DeliveryState_DELIVERY_STATE_ACTIVE)
}

func setDeliveryState(ctx context.Context, c *connection, t *terminal, name string, state leatv1.DeliveryState) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Delivery.UpdateDelivery(ctx, &leatv1.UpdateDeliveryRequest{Delivery: name, State: state})
		if err != nil {
			return err
		}
		return printDeliveries(t, c, res.GetDelivery())
	})
}

type deliveryDeleteCmd struct{ deliveryArg }

// Run deletes a delivery stream.
func (cmd *deliveryDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		if _, err := cl.Delivery.DeleteDelivery(ctx, &leatv1.DeleteDeliveryRequest{Delivery: cmd.Delivery}); err != nil {
			return err
		}
		if isTerminal(t.out) {
			fmt.Fprintf(t.err, "delivery stream %s is deleted; the objects that it wrote stay\n", cmd.Delivery)
		}
		return nil
	})
}
