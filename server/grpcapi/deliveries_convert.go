// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/delivery/spec"
)

// word reads a value of an enum as the vocabulary has it: GZIP of DELIVERY_COMPRESSION_GZIP; empty when it is not given.
func word(e fmt.Stringer, prefix string) string {
	w := strings.TrimPrefix(e.String(), prefix)
	if w == "UNSPECIFIED" {
		return ""
	}
	return w
}

const (
	statePrefix       = "DELIVERY_STATE_"
	startPrefix       = "DELIVERY_START_"
	compressionPrefix = "DELIVERY_COMPRESSION_"
	formatPrefix      = "DELIVERY_FORMAT_KIND_"
	transformPrefix   = "DELIVERY_TRANSFORM_KIND_"
)

func compressionOf(c leatv1.DeliveryCompression) spec.Compression {
	return spec.Compression(strings.ToLower(word(c, compressionPrefix)))
}

func compressionTo(c spec.Compression) leatv1.DeliveryCompression {
	return leatv1.DeliveryCompression(leatv1.DeliveryCompression_value[compressionPrefix+strings.ToUpper(string(c))])
}

// configOf reads a configuration.
func configOf(c *leatv1.DeliveryConfig) spec.Config {
	out := spec.Config{
		Source: sourceOf(c.GetSource()), Format: formatOf(c.GetFormat()), Compression: compressionOf(c.GetCompression()), Naming: namingOf(c.GetNaming()),
		Buffer:      spec.Buffer{Bytes: c.GetBuffer().GetBytes(), Seconds: int(c.GetBuffer().GetSeconds()), Merged: c.GetBuffer().GetMerged()},
		Destination: spec.Destination{S3: s3Of(c.GetS3()), HTTP: httpOf(c.GetHttp())}, HoldSeconds: int(c.GetHoldSeconds()),
	}
	for _, t := range c.GetTransforms() {
		out.Transforms = append(out.Transforms, spec.Transform{
			Kind: spec.TransformKind(strings.ToLower(word(t.GetKind(), transformPrefix))), Query: t.GetQuery(), Compression: compressionOf(t.GetCompression()),
			HTTP: httpOf(t.GetHttp()), Module: t.GetModule(), TimeoutMillis: int(t.GetTimeoutMillis()), MemoryBytes: t.GetMemoryBytes(),
		})
	}
	if p := c.GetPartitioning(); p != nil {
		out.Partitioning = &spec.Partitioning{MaxActive: int(p.GetMaxActive())}
	}
	if b := c.GetBackup(); b != nil {
		out.Backup = &spec.Backup{Naming: namingOf(b.GetNaming()), Compression: compressionOf(b.GetCompression()), All: b.GetAll()}
		if s := s3Of(b.GetS3()); s != nil {
			out.Backup.S3 = *s
		}
	}
	return out
}

func sourceOf(s *leatv1.DeliverySource) spec.Source {
	out := spec.Source{Stream: s.GetStream(), From: spec.Start(word(s.GetStart(), startPrefix)), Shards: int(s.GetShardCount())}
	if t := s.GetStartTime(); t != nil {
		out.Time = leat.Micros(t.AsTime())
	}
	return out
}

func formatOf(f *leatv1.DeliveryFormat) spec.Format {
	out := spec.Format{Kind: spec.FormatKind(strings.ToLower(word(f.GetKind(), formatPrefix))), Delimiter: f.GetDelimiter()}
	if len(f.GetCsvColumns()) > 0 || f.GetCsvHeader() || f.GetCsvSeparator() != "" {
		out.CSV = &spec.CSV{Columns: f.GetCsvColumns(), Header: f.GetCsvHeader(), Separator: f.GetCsvSeparator()}
	}
	if len(f.GetParquetColumns()) > 0 || f.GetParquetCompression() != 0 || f.GetParquetRowGroupBytes() != 0 {
		out.Parquet = &spec.Parquet{Compression: compressionOf(f.GetParquetCompression()), RowGroupBytes: f.GetParquetRowGroupBytes()}
		for _, c := range f.GetParquetColumns() {
			out.Parquet.Columns = append(out.Parquet.Columns, spec.Column{Name: c.GetName(), Type: spec.ColumnType(c.GetType()), Optional: c.GetOptional()})
		}
	}
	return out
}

func namingOf(n *leatv1.DeliveryNaming) spec.Naming {
	return spec.Naming{Prefix: n.GetPrefix(), ErrorPrefix: n.GetErrorPrefix(), Extension: n.GetExtension(), TimeZone: n.GetTimeZone()}
}

func s3Of(s *leatv1.DeliveryS3) *spec.S3 {
	if s == nil {
		return nil
	}
	return &spec.S3{Bucket: s.GetBucket(), Endpoint: s.GetEndpoint(), Region: s.GetRegion(), AccessKey: s.GetAccessKey(), SecretKey: spec.Secret(s.GetSecretKey())}
}

func httpOf(h *leatv1.DeliveryHTTP) *spec.HTTP {
	if h == nil {
		return nil
	}
	return &spec.HTTP{URL: h.GetUrl(), AccessKey: spec.Secret(h.GetAccessKey()), Common: h.GetCommon(), Gzip: h.GetGzip(), BatchBytes: h.GetBatchBytes(), RetrySeconds: intOf(h.RetrySeconds)}
}

// configTo writes a configuration, without its secrets.
func configTo(c *spec.Config) *leatv1.DeliveryConfig {
	out := &leatv1.DeliveryConfig{
		Source: sourceTo(&c.Source), Format: formatTo(&c.Format), Compression: compressionTo(c.Compression), Naming: namingTo(&c.Naming),
		Buffer: &leatv1.DeliveryBuffer{Bytes: c.Buffer.Bytes, Seconds: int32(c.Buffer.Seconds), Merged: c.Buffer.Merged},
		S3:     s3To(c.Destination.S3), Http: httpTo(c.Destination.HTTP), HoldSeconds: int32(c.HoldSeconds),
	}
	for i := range c.Transforms {
		t := &c.Transforms[i]
		out.Transforms = append(out.Transforms, &leatv1.DeliveryTransform{
			Kind:  leatv1.DeliveryTransformKind(leatv1.DeliveryTransformKind_value[transformPrefix+strings.ToUpper(string(t.Kind))]),
			Query: t.Query, Compression: compressionTo(t.Compression), Http: httpTo(t.HTTP), Module: t.Module, TimeoutMillis: int32(t.TimeoutMillis), MemoryBytes: t.MemoryBytes,
		})
	}
	if c.Partitioning != nil {
		out.Partitioning = &leatv1.DeliveryPartitioning{MaxActive: int32(c.Partitioning.MaxActive)}
	}
	if b := c.Backup; b != nil {
		out.Backup = &leatv1.DeliveryBackup{S3: s3To(&b.S3), Naming: namingTo(&b.Naming), Compression: compressionTo(b.Compression), All: b.All}
	}
	return out
}

func sourceTo(s *spec.Source) *leatv1.DeliverySource {
	out := &leatv1.DeliverySource{Stream: s.Stream, Start: leatv1.DeliveryStart(leatv1.DeliveryStart_value[startPrefix+string(s.From)]), ShardCount: int32(s.Shards)}
	if s.Time != 0 {
		out.StartTime = timestamppb.New(time.UnixMicro(s.Time))
	}
	return out
}

func formatTo(f *spec.Format) *leatv1.DeliveryFormat {
	out := &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind(leatv1.DeliveryFormatKind_value[formatPrefix+strings.ToUpper(string(f.Kind))]), Delimiter: f.Delimiter}
	if f.CSV != nil {
		out.CsvColumns, out.CsvHeader, out.CsvSeparator = f.CSV.Columns, f.CSV.Header, f.CSV.Separator
	}
	if f.Parquet != nil {
		out.ParquetCompression, out.ParquetRowGroupBytes = compressionTo(f.Parquet.Compression), f.Parquet.RowGroupBytes
		for _, c := range f.Parquet.Columns {
			out.ParquetColumns = append(out.ParquetColumns, &leatv1.DeliveryColumn{Name: c.Name, Type: string(c.Type), Optional: c.Optional})
		}
	}
	return out
}

func namingTo(n *spec.Naming) *leatv1.DeliveryNaming {
	return &leatv1.DeliveryNaming{Prefix: n.Prefix, ErrorPrefix: n.ErrorPrefix, Extension: n.Extension, TimeZone: n.TimeZone}
}

func s3To(s *spec.S3) *leatv1.DeliveryS3 {
	if s == nil {
		return nil
	}
	return &leatv1.DeliveryS3{Bucket: s.Bucket, Endpoint: s.Endpoint, Region: s.Region, AccessKey: s.AccessKey}
}

func httpTo(h *spec.HTTP) *leatv1.DeliveryHTTP {
	if h == nil {
		return nil
	}
	return &leatv1.DeliveryHTTP{Url: h.URL, Common: h.Common, Gzip: h.Gzip, BatchBytes: h.BatchBytes, RetrySeconds: int32Of(h.RetrySeconds)}
}

func deliveryOf(d *spec.Delivery) *leatv1.Delivery {
	return &leatv1.Delivery{
		Name: d.Name, Account: d.Account, Id: d.ID, State: leatv1.DeliveryState(leatv1.DeliveryState_value[statePrefix+string(d.State)]),
		Version: d.Version, Config: configTo(&d.Config), Tags: d.Tags, CreateTime: stamp(d.Created), UpdateTime: stamp(d.Updated),
	}
}

func progressOf(all []spec.Progress) (out []*leatv1.DeliveryProgress) {
	for i := range all {
		p := &all[i]
		out = append(out, &leatv1.DeliveryProgress{
			ShardId: leat.ShardID(p.Shard), Start: p.Start, Next: p.Next, Tail: p.Tail, DeliveredTime: stamp(p.Delivered), LagMillis: p.Lag.Milliseconds(),
			Done: p.Done, Reason: p.Reason, ReasonTime: stamp(p.Since),
		})
	}
	return out
}

func backfillOf(b *spec.Backfill) *leatv1.DeliveryBackfill {
	return &leatv1.DeliveryBackfill{Id: b.ID, FromTime: stamp(b.From), ToTime: stamp(b.To), CreateTime: stamp(b.Created), Done: b.Done, Shards: progressOf(b.Shards)}
}

func intOf(p *int32) *int {
	if p == nil {
		return nil
	}
	n := int(*p)
	return &n
}

func int32Of(p *int) *int32 {
	if p == nil {
		return nil
	}
	n := int32(*p) //nolint:gosec // validated: it is small
	return &n
}
