// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/test/e2e/rig"
)

// hose is a server with a bucket to deliver to, and a Firehose client of the Go SDK that signs with a key of its own.
type hose struct {
	*testing.T
	n      *rig.Node
	f      *firehose.Client
	k      *kinesis.Client
	key    key
	lake   string
	bucket *minio.Client
}

func newHose(t *testing.T) *hose {
	t.Helper()
	n := serve(t)
	b := rig.SharedBackend(t)
	h := &hose{T: t, n: n, key: newKey(t, n, "hose"), lake: b.S3.Bucket(t)}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	h.f = firehose.New(firehose.Options{
		Region: region, BaseEndpoint: aws.String("http://" + n.HTTP), RetryMaxAttempts: 1, HTTPClient: wholeBodies{http.Client{Transport: transport}},
		Credentials: credentials.NewStaticCredentialsProvider(h.key.id, h.key.secret, ""),
	})
	h.k = client(t, n, func(o *kinesis.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(h.key.id, h.key.secret, "")
	})
	var err error
	h.bucket, err = minio.New(b.S3.Endpoint, &minio.Options{Creds: miniocreds.NewStaticV4(b.S3.AccessKey, b.S3.SecretKey, ""), Region: b.S3.Region})
	must(t, err)
	return h
}

func (h *hose) bucketARN() *string { return aws.String("arn:aws:s3:::" + h.lake) }

const role = "arn:aws:iam::000000000000:role/firehose"

// delivered reads all objects below a prefix, which end in a suffix, until they hold n lines.
func (h *hose) delivered(prefix, suffix string, n int) (lines []string) {
	h.Helper()
	rig.Eventually(h, rig.Patience, fmt.Sprintf("%d lines below %s", n, prefix), func() error {
		lines = nil
		for o := range h.bucket.ListObjects(h.Context(), h.lake, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			must(h, o.Err)
			if !strings.HasSuffix(o.Key, suffix) {
				return fmt.Errorf("there is %s", o.Key)
			}
			body, err := h.bucket.GetObject(h.Context(), h.lake, o.Key, minio.GetObjectOptions{})
			must(h, err)
			data, err := io.ReadAll(body)
			must(h, err)
			if strings.HasSuffix(o.Key, ".gz") {
				z, err := gzip.NewReader(bytes.NewReader(data))
				must(h, err)
				data, err = io.ReadAll(z)
				must(h, err)
			}
			lines = append(lines, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")...)
		}
		if len(lines) < n {
			return errNotYet
		}
		return nil
	})
	if len(lines) != n {
		h.Errorf("%d lines below %s, want %d", len(lines), prefix, n)
	}
	return lines
}

func (h *hose) describe(name string) *types.DeliveryStreamDescription {
	h.Helper()
	out, err := h.f.DescribeDeliveryStream(h.Context(), &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
	must(h, err)
	return out.DeliveryStreamDescription
}

var delimiter = types.Processor{Type: types.ProcessorTypeAppendDelimiterToRecord}

// Direct puts go to a bucket as they were asked to; what is asked for is described, changed, tagged, encrypted, deleted.
func TestFirehoseDirectPut(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	ctx, name := t.Context(), aws.String("direct")
	made, err := h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: name, DeliveryStreamType: types.DeliveryStreamTypeDirectPut, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}},
		DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{KeyType: types.KeyTypeAwsOwnedCmk},
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: h.bucketARN(), RoleARN: aws.String(role), Prefix: aws.String("one/"), CompressionFormat: types.CompressionFormatGzip,
			BufferingHints:          &types.BufferingHints{IntervalInSeconds: aws.Int32(1), SizeInMBs: aws.Int32(1)},
			ProcessingConfiguration: &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{delimiter}},
		},
	})
	must(t, err)
	if *made.DeliveryStreamARN != "arn:aws:firehose:us-east-1:000000000000:deliverystream/direct" {
		t.Errorf("its ARN is %s", *made.DeliveryStreamARN)
	}
	_, err = h.f.PutRecord(ctx, &firehose.PutRecordInput{DeliveryStreamName: name, Record: &types.Record{Data: []byte("first")}})
	must(t, err)
	var batch []types.Record
	for i := range 499 {
		batch = append(batch, types.Record{Data: fmt.Appendf(nil, "record %d", i)})
	}
	put, err := h.f.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: name, Records: batch})
	must(t, err)
	ids := map[string]bool{}
	for _, r := range put.RequestResponses {
		ids[aws.ToString(r.RecordId)] = true
	}
	if *put.FailedPutCount != 0 || len(ids) != len(batch) {
		t.Errorf("%d failed, %d ids", *put.FailedPutCount, len(ids))
	}
	once := map[string]int{}
	for _, l := range h.delivered("one/", ".gz", 500) {
		once[l]++
	}
	if len(once) != 500 || once["first"] != 1 {
		t.Errorf("%d different lines", len(once))
	}

	d := h.describe("direct")
	x := d.Destinations[0].ExtendedS3DestinationDescription
	if d.DeliveryStreamStatus != types.DeliveryStreamStatusActive || *d.VersionId != "1" || d.CreateTimestamp.IsZero() || d.DeliveryStreamEncryptionConfiguration.Status != types.DeliveryStreamEncryptionStatusEnabled ||
		*x.RoleARN != role || *x.Prefix != "one/" || *x.BufferingHints.IntervalInSeconds != 1 || x.CompressionFormat != types.CompressionFormatGzip || len(x.ProcessingConfiguration.Processors) != 1 {
		t.Errorf("described as %+v, %+v", d, x)
	}
	update := func(version string) error {
		_, err := h.f.UpdateDestination(ctx, &firehose.UpdateDestinationInput{
			DeliveryStreamName: name, CurrentDeliveryStreamVersionId: &version, DestinationId: d.Destinations[0].DestinationId,
			ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{Prefix: aws.String("two/"), CompressionFormat: types.CompressionFormatUncompressed},
		})
		return err
	}
	fails[*types.ConcurrentModificationException](t, update("7"), "")
	must(t, update("1"))
	fails[*types.ConcurrentModificationException](t, update("1"), "")
	if v := *h.describe("direct").VersionId; v != "2" {
		t.Errorf("its version is %s", v)
	}
	_, err = h.f.PutRecord(ctx, &firehose.PutRecordInput{DeliveryStreamName: name, Record: &types.Record{Data: []byte("second")}})
	must(t, err)
	if got := h.delivered("two/", "", 1); got[0] != "second" {
		t.Errorf("got %q", got)
	}

	_, err = h.f.StopDeliveryStreamEncryption(ctx, &firehose.StopDeliveryStreamEncryptionInput{DeliveryStreamName: name})
	must(t, err)
	if s := h.describe("direct").DeliveryStreamEncryptionConfiguration.Status; s != types.DeliveryStreamEncryptionStatusDisabled {
		t.Errorf("encryption is %s", s)
	}
	_, err = h.f.TagDeliveryStream(ctx, &firehose.TagDeliveryStreamInput{DeliveryStreamName: name, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}})
	must(t, err)
	_, err = h.f.UntagDeliveryStream(ctx, &firehose.UntagDeliveryStreamInput{DeliveryStreamName: name, TagKeys: []string{"a"}})
	must(t, err)
	tags, err := h.f.ListTagsForDeliveryStream(ctx, &firehose.ListTagsForDeliveryStreamInput{DeliveryStreamName: name})
	must(t, err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" || *tags.HasMoreTags {
		t.Errorf("its tags are %v", tags.Tags)
	}
	list, err := h.f.ListDeliveryStreams(ctx, &firehose.ListDeliveryStreamsInput{DeliveryStreamType: types.DeliveryStreamTypeDirectPut})
	must(t, err)
	if len(list.DeliveryStreamNames) != 1 || list.DeliveryStreamNames[0] != "direct" {
		t.Errorf("the list is %v", list.DeliveryStreamNames)
	}
	_, err = h.f.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: name})
	must(t, err)
	h.gone("direct")
	_, err = h.f.PutRecord(ctx, &firehose.PutRecordInput{DeliveryStreamName: name, Record: &types.Record{Data: []byte("late")}})
	fails[*types.ResourceNotFoundException](t, err, "")
}

// gone waits until a delivery stream is no more.
func (h *hose) gone(name string) {
	h.Helper()
	rig.Eventually(h, rig.Patience, name+" is gone", func() error {
		_, err := h.f.DescribeDeliveryStream(h.Context(), &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
		if err == nil {
			return errNotYet
		}
		fails[*types.ResourceNotFoundException](h.T, err, "")
		return nil
	})
}

// A stream is delivered by partition keys; records that have none go to the error prefix.
func TestFirehoseStream(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	create(t, h.k, "events", 2)
	_, err := h.f.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("lake"), DeliveryStreamType: types.DeliveryStreamTypeKinesisStreamAsSource,
		KinesisStreamSourceConfiguration: &types.KinesisStreamSourceConfiguration{KinesisStreamARN: arnOf("events"), RoleARN: aws.String(role)},
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: h.bucketARN(), RoleARN: aws.String(role), Prefix: aws.String("good/user=!{partitionKeyFromQuery:user}/"), ErrorOutputPrefix: aws.String("bad/!{firehose:error-output-type}/"),
			BufferingHints:                   &types.BufferingHints{IntervalInSeconds: aws.Int32(1), SizeInMBs: aws.Int32(64)},
			DynamicPartitioningConfiguration: &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)},
			ProcessingConfiguration: &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{
				{Type: types.ProcessorTypeMetadataExtraction, Parameters: []types.ProcessorParameter{
					{ParameterName: types.ProcessorParameterNameMetadataExtractionQuery, ParameterValue: aws.String("{user: .user}")},
					{ParameterName: types.ProcessorParameterNameJsonParsingEngine, ParameterValue: aws.String("JQ-1.6")},
				}}, delimiter,
			}},
		},
	})
	must(t, err)
	packed := aggregate([]string{"k"}, nil, [][]byte{[]byte(`{"user":"ann","n":1}`), []byte(`{"user":"bob","n":2}`)})
	for i, data := range [][]byte{packed, []byte(`{"user":"ann","n":3}`), []byte("no JSON")} {
		_, err := h.k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), PartitionKey: aws.String(fmt.Sprint(i)), Data: data})
		must(t, err)
	}
	if got := h.delivered("good/user=bob/", "", 1); got[0] != `{"user":"bob","n":2}` {
		t.Errorf("got %q", got)
	}
	h.delivered("good/user=ann/", "", 2)
	if got := h.delivered("bad/", "", 1); !strings.Contains(got[0], "bm8gSlNPTg==") {
		t.Errorf("got %q", got)
	}
	if d := h.describe("lake"); d.DeliveryStreamType != types.DeliveryStreamTypeKinesisStreamAsSource || *d.Source.KinesisStreamSourceDescription.KinesisStreamARN != *arnOf("events") {
		t.Errorf("described as %+v", d)
	}
}

// An endpoint gets what is put, in Firehose's form.
func TestFirehoseEndpoint(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	var mu sync.Mutex
	var got []string
	e := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			RequestID string `json:"requestId"`
			Records   []struct{ Data []byte }
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Header.Get("X-Amz-Firehose-Access-Key") != "open sesame" {
			t.Errorf("%v, key %q", err, r.Header.Get("X-Amz-Firehose-Access-Key"))
		}
		mu.Lock()
		for _, x := range q.Records {
			got = append(got, string(x.Data))
		}
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"requestId":%q,"timestamp":1}`, q.RequestID)
	}))
	t.Cleanup(e.Close)
	_, err := h.f.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("hook"),
		HttpEndpointDestinationConfiguration: &types.HttpEndpointDestinationConfiguration{
			EndpointConfiguration: &types.HttpEndpointConfiguration{Url: &e.URL, Name: aws.String("hook"), AccessKey: aws.String("open sesame")},
			BufferingHints:        &types.HttpEndpointBufferingHints{IntervalInSeconds: aws.Int32(1), SizeInMBs: aws.Int32(1)},
			S3Configuration:       &types.S3DestinationConfiguration{BucketARN: h.bucketARN(), RoleARN: aws.String(role), Prefix: aws.String("failed/")},
		},
	})
	must(t, err)
	_, err = h.f.PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("hook"), Record: &types.Record{Data: []byte("ping")}})
	must(t, err)
	rig.Eventually(t, rig.Patience, "the endpoint is asked", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(got) != 1 || got[0] != "ping" {
			return fmt.Errorf("it has %q: %w", got, errNotYet)
		}
		return nil
	})
	if d := h.describe("hook").Destinations[0].HttpEndpointDestinationDescription; *d.EndpointConfiguration.Url != e.URL || *d.S3DestinationDescription.Prefix != "failed/" {
		t.Errorf("described as %+v", d)
	}
}

// What cannot work is refused when it is asked for, with the exception that AWS has.
func TestFirehoseRefused(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	ctx := t.Context()
	_, err := h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("r"), SplunkDestinationConfiguration: &types.SplunkDestinationConfiguration{
		HECEndpoint: aws.String("x"), HECEndpointType: types.HECEndpointTypeRaw, S3Configuration: &types.S3DestinationConfiguration{BucketARN: h.bucketARN(), RoleARN: aws.String(role)},
	}})
	fails[*types.InvalidArgumentException](t, err, "SplunkDestinationConfiguration is not supported")
	x := &types.ExtendedS3DestinationConfiguration{BucketARN: h.bucketARN(), RoleARN: aws.String(role), Prefix: aws.String("!{timestamp:yyyy}/")}
	_, err = h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("r"), ExtendedS3DestinationConfiguration: x})
	fails[*types.InvalidArgumentException](t, err, "error_prefix")
	x.Prefix = nil
	_, err = h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("r"), ExtendedS3DestinationConfiguration: x})
	must(t, err)
	_, err = h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("r"), ExtendedS3DestinationConfiguration: x})
	fails[*types.ResourceInUseException](t, err, "")
	_, err = h.f.PutRecord(ctx, &firehose.PutRecordInput{DeliveryStreamName: aws.String("r"), Record: &types.Record{Data: make([]byte, 1000<<10+1)}})
	fails[*types.InvalidArgumentException](t, err, "")
	_, err = h.f.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("none")})
	fails[*types.ResourceNotFoundException](t, err, "")
}

// A source of another account or region is not taken for the stream of that name that is here, and where the encryption that was
// asked for cannot be had there is no delivery stream.
func TestFirehoseCreatedInPart(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	ctx := t.Context()
	_, err := h.k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: aws.Int32(1)})
	must(t, err)
	x := &types.ExtendedS3DestinationConfiguration{BucketARN: h.bucketARN(), RoleARN: aws.String(role)}
	for _, arn := range []string{"arn:aws:kinesis:us-east-1:111111111111:stream/events", "arn:aws:kinesis:eu-west-1:000000000000:stream/events"} {
		_, err := h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
			DeliveryStreamName: aws.String("r"), DeliveryStreamType: types.DeliveryStreamTypeKinesisStreamAsSource, ExtendedS3DestinationConfiguration: x,
			KinesisStreamSourceConfiguration: &types.KinesisStreamSourceConfiguration{KinesisStreamARN: &arn, RoleARN: aws.String(role)},
		})
		fails[*types.InvalidArgumentException](t, err, "is not of account 000000000000 and region us-east-1")
	}
	_, err = h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("r"), ExtendedS3DestinationConfiguration: x,
		DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{
			KeyType: types.KeyTypeCustomerManagedCmk, KeyARN: aws.String("arn:aws:kms:us-east-1:000000000000:key/" + strings.Repeat("k", 2048)),
		},
	})
	fails[*types.InvalidArgumentException](t, err, "encryption key")
	all, err := h.f.ListDeliveryStreams(ctx, &firehose.ListDeliveryStreamsInput{})
	must(t, err)
	if len(all.DeliveryStreamNames) != 0 {
		t.Errorf("there are %v", all.DeliveryStreamNames)
	}
}

// The sequence of calls of Terraform's aws_kinesis_firehose_delivery_stream: create and wait, read, tags, update by the
// version that was read, delete and wait.
func TestFirehoseTerraform(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	ctx, name := t.Context(), aws.String("terraform")
	off := &types.CloudWatchLoggingOptions{Enabled: aws.Bool(false)}
	_, err := h.f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: name, DeliveryStreamType: types.DeliveryStreamTypeDirectPut, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("one")}},
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: h.bucketARN(), RoleARN: aws.String(role), BufferingHints: &types.BufferingHints{IntervalInSeconds: aws.Int32(300), SizeInMBs: aws.Int32(5)},
			CloudWatchLoggingOptions: off, CompressionFormat: types.CompressionFormatUncompressed, CustomTimeZone: aws.String("UTC"),
			EncryptionConfiguration: &types.EncryptionConfiguration{NoEncryptionConfig: types.NoEncryptionConfigNoEncryption},
			Prefix:                  aws.String("tf/"), S3BackupMode: types.S3BackupModeDisabled, ProcessingConfiguration: &types.ProcessingConfiguration{Enabled: aws.Bool(false)},
		},
	})
	must(t, err)
	wait := func(ctx context.Context, version string) *types.DeliveryStreamDescription {
		var d *types.DeliveryStreamDescription
		rig.Eventually(t, rig.Patience, "it is ACTIVE", func() error {
			out, err := h.f.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: name})
			must(t, err)
			if d = out.DeliveryStreamDescription; d.DeliveryStreamStatus != types.DeliveryStreamStatusActive || *d.VersionId != version {
				return errNotYet
			}
			return nil
		})
		return d
	}
	read := func(version, prefix string) *types.DeliveryStreamDescription {
		d := wait(ctx, version)
		x := d.Destinations[0].ExtendedS3DestinationDescription
		if len(d.Destinations) != 1 || *x.BucketARN != *h.bucketARN() || *x.RoleARN != role || *x.Prefix != prefix || *x.CustomTimeZone != "UTC" || *x.BufferingHints.SizeInMBs != 5 || *x.CloudWatchLoggingOptions.Enabled ||
			x.EncryptionConfiguration.NoEncryptionConfig != types.NoEncryptionConfigNoEncryption || x.S3BackupMode != types.S3BackupModeDisabled || *x.ProcessingConfiguration.Enabled {
			t.Errorf("a plan would find %+v", x)
		}
		tags, err := h.f.ListTagsForDeliveryStream(ctx, &firehose.ListTagsForDeliveryStreamInput{DeliveryStreamName: name, Limit: aws.Int32(50)})
		must(t, err)
		if len(tags.Tags) != 1 || *tags.Tags[0].Value != "one" {
			t.Errorf("a plan would find the tags %v", tags.Tags)
		}
		return d
	}
	d := read("1", "tf/")
	_, err = h.f.UpdateDestination(ctx, &firehose.UpdateDestinationInput{
		DeliveryStreamName: name, CurrentDeliveryStreamVersionId: d.VersionId, DestinationId: d.Destinations[0].DestinationId,
		ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{
			BucketARN: h.bucketARN(), RoleARN: aws.String(role), BufferingHints: &types.BufferingHints{IntervalInSeconds: aws.Int32(60), SizeInMBs: aws.Int32(5)},
			CloudWatchLoggingOptions: off, CompressionFormat: types.CompressionFormatGzip, CustomTimeZone: aws.String("UTC"), Prefix: aws.String("changed/"),
			EncryptionConfiguration: &types.EncryptionConfiguration{NoEncryptionConfig: types.NoEncryptionConfigNoEncryption},
			ProcessingConfiguration: &types.ProcessingConfiguration{Enabled: aws.Bool(false), Processors: []types.Processor{}},
		},
	})
	must(t, err)
	read("2", "changed/")
	_, err = h.f.StartDeliveryStreamEncryption(ctx, &firehose.StartDeliveryStreamEncryptionInput{DeliveryStreamName: name, DeliveryStreamEncryptionConfigurationInput: &types.DeliveryStreamEncryptionConfigurationInput{
		KeyType: types.KeyTypeCustomerManagedCmk, KeyARN: aws.String("arn:aws:kms:us-east-1:000000000000:key/k"),
	}})
	must(t, err)
	if e := read("2", "changed/").DeliveryStreamEncryptionConfiguration; e.Status != types.DeliveryStreamEncryptionStatusEnabled || !strings.HasSuffix(*e.KeyARN, "key/k") {
		t.Errorf("encryption is %+v", e)
	}
	_, err = h.f.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: name})
	must(t, err)
	h.gone("terraform")
}

// Debian's AWS CLI and boto3, as users type them.
func TestFirehoseDebian(t *testing.T) {
	t.Parallel()
	h := newHose(t)
	program(t, "", h.key.env(), "/bin/bash", "testdata/firehose_cli.sh", "http://"+h.n.HTTP, h.lake)
	program(t, "", h.key.env(), "/usr/bin/python3", "testdata/firehose_boto3.py", "http://"+h.n.HTTP, h.lake)
	h.delivered("boto/", ".gz", 2)
}
