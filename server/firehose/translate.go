// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// note is where a Config's notes keep what this edge was told.
const note = "firehose"

// config makes a Config of a destination. Its errors are InvalidArgument and name AWS's member.
func (d *destination) config() (c spec.Config, err error) {
	if d.Source != nil {
		if err = d.Source.fill(&c); err != nil {
			return c, err
		}
	} else {
		c.Source.Shards = 1
	}
	switch {
	case d.Extended != nil:
		err = d.Extended.fill(&c)
	case d.HTTP != nil:
		err = d.HTTP.fill(&c)
	default:
		err = leat.Invalid("ExtendedS3DestinationConfiguration", "Exactly one destination configuration is supported for a Firehose")
	}
	if err != nil {
		return c, err
	}
	kept := *d
	if d.HTTP != nil { // secrets have a place of their own
		h := *d.HTTP
		e := *h.EndpointConfiguration
		e.AccessKey, h.EndpointConfiguration = nil, &e
		kept.HTTP = &h
	}
	text, err := json.Marshal(&kept)
	if err != nil {
		return c, err
	}
	c.Notes = map[string]string{note: string(text)}
	c.Defaults()
	return c, nil
}

// fill reads the source. Firehose begins at the newest record and unpacks what the KPL packed.
func (s *kinesisSource) fill(c *spec.Config) error {
	if s.KinesisStreamARN == nil {
		return leat.Invalid("KinesisStreamSourceConfiguration.KinesisStreamARN", "KinesisStreamSourceConfiguration.KinesisStreamARN must be given")
	}
	_, _, name, err := leat.ParseStreamARN(*s.KinesisStreamARN)
	if err != nil {
		return err
	}
	c.Source = spec.Source{Stream: name, From: spec.Latest}
	c.Transforms = append(c.Transforms, spec.Transform{Kind: spec.UnpackKPL})
	return nil
}

// unsupported refuses a member by its name.
func unsupported(member, why string) error {
	return &leat.Error{Kind: leat.KindUnsupported, Field: member, Message: member + " is not supported by this server: " + why}
}

// bucket reads the members that all S3 destinations have.
func (s *s3Destination) bucket(at string) (spec.S3, spec.Naming, spec.Compression, error) {
	var b spec.S3
	var n spec.Naming
	fail := func(err error) (spec.S3, spec.Naming, spec.Compression, error) { return b, n, "", err }
	if s.BucketARN == nil {
		return fail(leat.Invalid(at+".BucketARN", "%s.BucketARN must be given", at))
	}
	name, ok := strings.CutPrefix(*s.BucketARN, "arn:aws:s3:::")
	if !ok {
		return fail(leat.Invalid(at+".BucketARN", "%s.BucketARN %.100q must be arn:aws:s3::: and a bucket's name", at, *s.BucketARN))
	}
	if e := s.EncryptionConfiguration; e != nil {
		if e.KMSEncryptionConfig != nil {
			return fail(unsupported(at+".EncryptionConfiguration.KMSEncryptionConfig", "there is no KMS; let the bucket encrypt by itself"))
		}
		if or(e.NoEncryptionConfig, "NoEncryption") != "NoEncryption" {
			return fail(leat.Invalid(at+".EncryptionConfiguration.NoEncryptionConfig", "NoEncryptionConfig must be NoEncryption"))
		}
	}
	if s.CloudWatchLoggingOptions != nil && or(s.CloudWatchLoggingOptions.Enabled, false) {
		return fail(unsupported(at+".CloudWatchLoggingOptions", "there is no CloudWatch; what goes wrong stands in describe, in metrics and in the error prefix"))
	}
	compression, ok := compressions[or(s.CompressionFormat, "UNCOMPRESSED")]
	if !ok {
		return fail(leat.Invalid(at+".CompressionFormat", "%s.CompressionFormat %.40q must be one of UNCOMPRESSED, GZIP, ZIP, Snappy, HADOOP_SNAPPY", at, *s.CompressionFormat))
	}
	b.Bucket = name
	n.Prefix, n.ErrorPrefix = or(s.Prefix, ""), or(s.ErrorOutputPrefix, "")
	return b, n, compression, nil
}

var compressions = map[string]spec.Compression{
	"UNCOMPRESSED": spec.None, "GZIP": spec.Gzip, "ZIP": spec.Zip, "Snappy": spec.Snappy, "HADOOP_SNAPPY": spec.HadoopSnappy,
}

// fill reads the buffering. AWS's 0 seconds, as soon as possible, is the second that is the least here.
func (b *bufferingHints) fill(c *spec.Config) {
	if b == nil {
		return
	}
	c.Buffer.Bytes = int64(or(b.SizeInMBs, 5)) << 20
	c.Buffer.Seconds = max(or(b.IntervalInSeconds, 300), 1)
	if or(b.IntervalInSeconds, 0) < 0 {
		c.Buffer.Seconds = -1 // refused
	}
	if c.Buffer.Bytes == 0 {
		c.Buffer.Bytes = -1 // likewise: 0 is not a default here
	}
}

func (x *extendedS3) fill(c *spec.Config) error {
	const at = "ExtendedS3DestinationConfiguration"
	b, n, compression, err := x.bucket(at)
	if err != nil {
		return err
	}
	c.Destination.S3, c.Naming, c.Compression = &b, n, compression
	c.Naming.TimeZone, c.Naming.Extension = or(x.CustomTimeZone, ""), or(x.FileExtension, "")
	x.BufferingHints.fill(c)
	if x.DataFormatConversionConfiguration != nil && or(x.DataFormatConversionConfiguration.Enabled, true) {
		return unsupported(at+".DataFormatConversionConfiguration", "its schema is a table of AWS Glue; make the delivery stream with Leat's own API, which has the format parquet")
	}
	if p := x.DynamicPartitioningConfiguration; p != nil && or(p.Enabled, false) {
		c.Partitioning = &spec.Partitioning{}
	}
	if err := x.ProcessingConfiguration.fill(c, at); err != nil {
		return err
	}
	switch mode := or(x.S3BackupMode, "Disabled"); mode {
	case "Disabled":
	case "Enabled":
		if x.S3BackupConfiguration == nil {
			return leat.Invalid(at+".S3BackupConfiguration", "%s.S3BackupConfiguration must be given where S3BackupMode is Enabled", at)
		}
		if c.Backup, err = x.S3BackupConfiguration.backup(at + ".S3BackupConfiguration"); err != nil {
			return err
		}
		c.Backup.All = true
	default:
		return leat.Invalid(at+".S3BackupMode", "%s.S3BackupMode %.40q must be Disabled or Enabled", at, mode)
	}
	return nil
}

func (s *s3Destination) backup(at string) (*spec.Backup, error) {
	b, n, compression, err := s.bucket(at)
	if err != nil {
		return nil, err
	}
	return &spec.Backup{S3: b, Naming: n, Compression: compression}, nil
}

// defaultRetry is Firehose's, in seconds, of HttpEndpointRetryOptions.
const defaultRetry = 300

func (h *httpEndpoint) fill(c *spec.Config) error {
	const at = "HttpEndpointDestinationConfiguration"
	if h.EndpointConfiguration == nil || h.EndpointConfiguration.Url == nil {
		return leat.Invalid(at+".EndpointConfiguration.Url", "%s.EndpointConfiguration.Url must be given", at)
	}
	if h.CloudWatchLoggingOptions != nil && or(h.CloudWatchLoggingOptions.Enabled, false) {
		return unsupported(at+".CloudWatchLoggingOptions", "there is no CloudWatch; what goes wrong stands in describe and in metrics")
	}
	out := &spec.HTTP{URL: *h.EndpointConfiguration.Url, AccessKey: spec.Secret(or(h.EndpointConfiguration.AccessKey, ""))}
	out.RetrySeconds = ptr(defaultRetry)
	if h.RetryOptions != nil {
		out.RetrySeconds = ptr(or(h.RetryOptions.DurationInSeconds, defaultRetry))
	}
	if q := h.RequestConfiguration; q != nil {
		switch encoding := or(q.ContentEncoding, "NONE"); encoding {
		case "NONE":
		case "GZIP":
			out.Gzip = true
		default:
			return leat.Invalid(at+".RequestConfiguration.ContentEncoding", "%s.RequestConfiguration.ContentEncoding %.40q must be NONE or GZIP", at, encoding)
		}
		for _, a := range q.CommonAttributes {
			if out.Common == nil {
				out.Common = map[string]string{}
			}
			out.Common[a.AttributeName] = a.AttributeValue
		}
	}
	c.Destination.HTTP = out
	h.BufferingHints.fill(c)
	if err := h.ProcessingConfiguration.fill(c, at); err != nil {
		return err
	}
	if c.Format.Kind != "" {
		return unsupported(at+".ProcessingConfiguration.Processors.AppendDelimiterToRecord", "an HTTP endpoint takes records one by one")
	}
	if h.S3Configuration == nil {
		return leat.Invalid(at+".S3Configuration", "%s.S3Configuration must be given", at)
	}
	var err error
	if c.Backup, err = h.S3Configuration.backup(at + ".S3Configuration"); err != nil {
		return err
	}
	switch mode := or(h.S3BackupMode, "FailedDataOnly"); mode {
	case "FailedDataOnly":
	case "AllData":
		c.Backup.All = true
	default:
		return leat.Invalid(at+".S3BackupMode", "%s.S3BackupMode %.40q must be FailedDataOnly or AllData", at, mode)
	}
	return nil
}

// fill reads the processors, in their order.
func (p *processingConfiguration) fill(c *spec.Config, at string) error {
	if p == nil || !or(p.Enabled, false) {
		return nil
	}
	at += ".ProcessingConfiguration.Processors"
	for i := range p.Processors {
		if err := p.Processors[i].fill(c, at); err != nil {
			return err
		}
	}
	return nil
}

func (p *processor) fill(c *spec.Config, at string) error {
	at += "." + p.Type
	known := map[string][]string{ // the parameters of each type; those without a meaning here are kept and answered
		"Lambda":                  {"LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"},
		"MetadataExtraction":      {"MetadataExtractionQuery", "JsonParsingEngine"},
		"Decompression":           {"CompressionFormat"},
		"AppendDelimiterToRecord": {"Delimiter"},
	}
	names, ok := known[p.Type]
	if !ok {
		return unsupported(at, "processors are Lambda, MetadataExtraction, Decompression and AppendDelimiterToRecord")
	}
	given := map[string]string{}
	for _, q := range p.Parameters {
		if _, twice := given[q.ParameterName]; twice {
			return leat.Invalid(at, "%s has the parameter %s twice", at, q.ParameterName)
		}
		given[q.ParameterName] = q.ParameterValue
		found := false
		for _, n := range names {
			found = found || n == q.ParameterName
		}
		if !found {
			return unsupported(at+"."+q.ParameterName, "the processor has no such parameter")
		}
	}
	switch p.Type {
	case "Lambda":
		return lambda(c, at, given)
	case "MetadataExtraction":
		if engine := given["JsonParsingEngine"]; engine != "JQ-1.6" {
			return leat.Invalid(at+".JsonParsingEngine", "%s.JsonParsingEngine %.40q must be JQ-1.6", at, engine)
		}
		if given["MetadataExtractionQuery"] == "" {
			return leat.Invalid(at+".MetadataExtractionQuery", "%s.MetadataExtractionQuery must be given", at)
		}
		c.Transforms = append(c.Transforms, spec.Transform{Kind: spec.PartitionKeys, Query: given["MetadataExtractionQuery"]})
	case "Decompression":
		if given["CompressionFormat"] != "GZIP" {
			return leat.Invalid(at+".CompressionFormat", "%s.CompressionFormat %.40q must be GZIP", at, given["CompressionFormat"])
		}
		c.Transforms = append(c.Transforms, spec.Transform{Kind: spec.Decompress, Compression: spec.Gzip})
	case "AppendDelimiterToRecord":
		delimiter, ok := given["Delimiter"]
		if !ok {
			delimiter = `\n`
		}
		c.Format = spec.Format{Kind: spec.Delimited, Delimiter: strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(delimiter)}
		if raw, err := base64.StdEncoding.DecodeString(delimiter); err == nil && len(raw) > 0 {
			c.Format.Delimiter = string(raw) // AWS's console sends it so
		}
	}
	return nil
}

// lambda reads a Lambda processor, whose function is the URL of an endpoint here.
func lambda(c *spec.Config, at string, given map[string]string) error {
	url := given["LambdaArn"]
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return unsupported(at+".LambdaArn", "there is no Lambda; give the http:// or https:// URL of an endpoint that takes Firehose's record contract")
	}
	c.Transforms = append(c.Transforms, spec.Transform{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: url}})
	return nil
}

// destinationOf returns what describes a Config in AWS's form: what it was made of, as long as that still makes it, or
// what can be told of it. made tells the first from the second.
func destinationOf(c *spec.Config, arn func(stream string) string) (d destination, made bool) {
	if text, ok := c.Notes[note]; ok && json.Unmarshal([]byte(text), &d) == nil {
		if again, err := d.config(); err == nil && sameConfig(again, *c) {
			return d, true
		}
	}
	d = destination{}
	if !c.Source.Direct() {
		d.Source = &kinesisSource{KinesisStreamARN: ptr(arn(c.Source.Stream)), RoleARN: ptr(noRole)}
	}
	hints := &bufferingHints{IntervalInSeconds: ptr(c.Buffer.Seconds), SizeInMBs: ptr(int(c.Buffer.Bytes >> 20))}
	if h := c.Destination.HTTP; h != nil {
		d.HTTP = &httpEndpoint{BufferingHints: hints, EndpointConfiguration: &endpointConfiguration{Url: &h.URL}, S3BackupMode: ptr("FailedDataOnly")}
		if h.RetrySeconds != nil {
			d.HTTP.RetryOptions = &retryOptions{DurationInSeconds: h.RetrySeconds}
		}
		if c.Backup != nil {
			d.HTTP.S3Configuration = describeS3(c.Backup.S3, c.Backup.Naming, c.Backup.Compression)
			if c.Backup.All {
				d.HTTP.S3BackupMode = ptr("AllData")
			}
		}
		return d, false
	}
	x := &extendedS3{s3Destination: *describeS3(*c.Destination.S3, c.Naming, c.Compression), S3BackupMode: ptr("Disabled")}
	x.BufferingHints = hints
	if c.Naming.TimeZone != "" {
		x.CustomTimeZone = &c.Naming.TimeZone
	}
	if c.Naming.Extension != "" {
		x.FileExtension = &c.Naming.Extension
	}
	if c.Partitioning != nil {
		x.DynamicPartitioningConfiguration = &dynamicPartitioningConfiguration{Enabled: ptr(true)}
	}
	if c.Backup != nil && c.Backup.All {
		x.S3BackupMode, x.S3BackupConfiguration = ptr("Enabled"), describeS3(c.Backup.S3, c.Backup.Naming, c.Backup.Compression)
	}
	d.Extended = x
	return d, false
}

// noRole stands where AWS's form must have a role and there is none.
const noRole = "arn:aws:iam::000000000000:role/none"

func describeS3(b spec.S3, n spec.Naming, c spec.Compression) *s3Destination {
	s := &s3Destination{BucketARN: ptr("arn:aws:s3:::" + b.Bucket), RoleARN: ptr(noRole)}
	for name, kind := range compressions {
		if kind == c {
			s.CompressionFormat = ptr(name)
		}
	}
	if n.Prefix != "" {
		s.Prefix = &n.Prefix
	}
	if n.ErrorPrefix != "" {
		s.ErrorOutputPrefix = &n.ErrorPrefix
	}
	return s
}

// sameConfig compares two configurations but for their notes and secrets, as they are kept.
func sameConfig(a, b spec.Config) bool {
	a.Notes, b.Notes = nil, nil
	one, err1 := json.Marshal(&a)
	two, err2 := json.Marshal(&b)
	return err1 == nil && err2 == nil && reflect.DeepEqual(one, two)
}

// complete fills in what AWS's descriptions always have.
func (s *s3Destination) complete() {
	if s.BufferingHints == nil {
		s.BufferingHints = &bufferingHints{}
	}
	b := *s.BufferingHints
	b.IntervalInSeconds, b.SizeInMBs = ptr(or(b.IntervalInSeconds, 300)), ptr(or(b.SizeInMBs, 5))
	s.BufferingHints = &b
	s.CompressionFormat = ptr(or(s.CompressionFormat, "UNCOMPRESSED"))
	if s.EncryptionConfiguration == nil {
		s.EncryptionConfiguration = &encryptionConfiguration{NoEncryptionConfig: ptr("NoEncryption")}
	}
	if s.CloudWatchLoggingOptions == nil {
		s.CloudWatchLoggingOptions = &cloudWatchLoggingOptions{Enabled: ptr(false)}
	}
}
