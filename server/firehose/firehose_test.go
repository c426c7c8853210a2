// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/delivery/objectname"
	"github.com/leatstream/leat/server/delivery/spec"
)

// The table has every operation of the SDK's client and no other, and so has docs/compat.md.
func TestOperations(t *testing.T) {
	var want []string
	client := reflect.TypeFor[*sdk.Client]()
	for m := range client.Methods() {
		if m.Type.NumIn() == 4 && m.Type.NumOut() == 2 && m.Type.IsVariadic() {
			want = append(want, m.Name)
		}
	}
	if got := slices.Sorted(maps.Keys(operations())); !slices.Equal(got, want) || len(got) != 12 {
		t.Errorf("operations are %v, the SDK's %v", got, want)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "compat.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Firehose\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(section, -1) {
		told = append(told, m[1])
	}
	if !slices.Equal(told, want) {
		t.Errorf("docs/compat.md has %v, the SDK %v", told, want)
	}
}

// Members of the SDK's shapes that are not here are refused by name; this list says which they are.
func TestMembers(t *testing.T) {
	for _, tc := range []struct {
		ours, theirs reflect.Type
		refused      []string
	}{
		{reflect.TypeFor[createDeliveryStreamInput](), reflect.TypeFor[sdk.CreateDeliveryStreamInput](), []string{
			"AmazonOpenSearchServerlessDestinationConfiguration", "AmazonopensearchserviceDestinationConfiguration", "DatabaseSourceConfiguration", "DirectPutSourceConfiguration",
			"ElasticsearchDestinationConfiguration", "IcebergDestinationConfiguration", "MSKSourceConfiguration", "RedshiftDestinationConfiguration",
			"SnowflakeDestinationConfiguration", "SplunkDestinationConfiguration",
		}},
		{reflect.TypeFor[updateDestinationInput](), reflect.TypeFor[sdk.UpdateDestinationInput](), []string{
			"AmazonOpenSearchServerlessDestinationUpdate", "AmazonopensearchserviceDestinationUpdate", "ElasticsearchDestinationUpdate", "IcebergDestinationUpdate",
			"RedshiftDestinationUpdate", "SnowflakeDestinationUpdate", "SplunkDestinationUpdate",
		}},
		{reflect.TypeFor[extendedS3](), reflect.TypeFor[types.ExtendedS3DestinationConfiguration](), nil},
		{reflect.TypeFor[extendedS3](), reflect.TypeFor[types.ExtendedS3DestinationUpdate](), nil},
		{reflect.TypeFor[extendedS3](), reflect.TypeFor[types.ExtendedS3DestinationDescription](), nil},
		{reflect.TypeFor[s3Destination](), reflect.TypeFor[types.S3DestinationConfiguration](), nil},
		{reflect.TypeFor[httpEndpoint](), reflect.TypeFor[types.HttpEndpointDestinationConfiguration](), []string{"SecretsManagerConfiguration"}},
		{reflect.TypeFor[httpEndpoint](), reflect.TypeFor[types.HttpEndpointDestinationUpdate](), []string{"SecretsManagerConfiguration"}},
		{reflect.TypeFor[httpEndpoint](), reflect.TypeFor[types.HttpEndpointDestinationDescription](), []string{"SecretsManagerConfiguration"}},
		{reflect.TypeFor[kinesisSource](), reflect.TypeFor[types.KinesisStreamSourceConfiguration](), nil},
		{reflect.TypeFor[description](), reflect.TypeFor[types.DeliveryStreamDescription](), []string{"FailureDescription"}},
		{reflect.TypeFor[deleteDeliveryStreamInput](), reflect.TypeFor[sdk.DeleteDeliveryStreamInput](), nil},
		{reflect.TypeFor[describeDeliveryStreamInput](), reflect.TypeFor[sdk.DescribeDeliveryStreamInput](), nil},
		{reflect.TypeFor[listDeliveryStreamsInput](), reflect.TypeFor[sdk.ListDeliveryStreamsInput](), nil},
		{reflect.TypeFor[listTagsForDeliveryStreamInput](), reflect.TypeFor[sdk.ListTagsForDeliveryStreamInput](), nil},
		{reflect.TypeFor[putRecordInput](), reflect.TypeFor[sdk.PutRecordInput](), nil},
		{reflect.TypeFor[putRecordBatchInput](), reflect.TypeFor[sdk.PutRecordBatchInput](), nil},
		{reflect.TypeFor[startDeliveryStreamEncryptionInput](), reflect.TypeFor[sdk.StartDeliveryStreamEncryptionInput](), nil},
		{reflect.TypeFor[tagDeliveryStreamInput](), reflect.TypeFor[sdk.TagDeliveryStreamInput](), nil},
		{reflect.TypeFor[untagDeliveryStreamInput](), reflect.TypeFor[sdk.UntagDeliveryStreamInput](), nil},
	} {
		ours := names(tc.ours)
		for _, name := range names(tc.theirs) {
			if slices.Contains(ours, name) == slices.Contains(tc.refused, name) {
				t.Errorf("%s of %s: here %v, refused %v", name, tc.theirs, slices.Contains(ours, name), slices.Contains(tc.refused, name))
			}
		}
	}
}

func names(t reflect.Type) (all []string) {
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Anonymous:
			all = append(all, names(f.Type)...)
		case f.IsExported():
			all = append(all, f.Name)
		}
	}
	return all
}

func TestExceptions(t *testing.T) {
	for _, k := range leat.Kinds() {
		if x := exceptionOf(k); x.Type == "" || http.StatusText(x.Status) == "" {
			t.Errorf("%s has no exception", k)
		}
	}
}

// parse reads a request's destination.
func parse(t *testing.T, body string) (destination, error) {
	t.Helper()
	var in createDeliveryStreamInput
	if err := decode([]byte(body), &in); err != nil {
		return destination{}, err
	}
	return in.destination()
}

const bucketARN = `"BucketARN":"arn:aws:s3:::lake","RoleARN":"arn:aws:iam::000000000000:role/r"`

// What a destination becomes, and that what describes it makes it again.
func TestConfig(t *testing.T) {
	for about, tc := range map[string]struct {
		body string
		want spec.Config
	}{
		"the least": {`{"ExtendedS3DestinationConfiguration":{` + bucketARN + `}}`, spec.Config{
			Source: spec.Source{Shards: 1}, Destination: spec.Destination{S3: &spec.S3{Bucket: "lake"}},
		}},
		"S3DestinationConfiguration": {`{"S3DestinationConfiguration":{` + bucketARN + `,"Prefix":"p/","CompressionFormat":"Snappy"}}`, spec.Config{
			Source: spec.Source{Shards: 1}, Compression: spec.Snappy, Naming: spec.Naming{Prefix: "p/"}, Destination: spec.Destination{S3: &spec.S3{Bucket: "lake"}},
		}},
		"all of it": {`{"DeliveryStreamType":"KinesisStreamAsSource","KinesisStreamSourceConfiguration":{"KinesisStreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","RoleARN":"arn:aws:iam::000000000000:role/r"},
			"ExtendedS3DestinationConfiguration":{` + bucketARN + `,"BufferingHints":{"SizeInMBs":64,"IntervalInSeconds":60},"CompressionFormat":"GZIP","CustomTimeZone":"Asia/Tokyo","FileExtension":".json.gz",
			"Prefix":"c=!{partitionKeyFromQuery:c}/!{timestamp:yyyy}/","ErrorOutputPrefix":"bad/!{firehose:error-output-type}/","DynamicPartitioningConfiguration":{"Enabled":true,"RetryOptions":{"DurationInSeconds":300}},
			"CloudWatchLoggingOptions":{"Enabled":false},"EncryptionConfiguration":{"NoEncryptionConfig":"NoEncryption"},"DataFormatConversionConfiguration":{"Enabled":false},
			"ProcessingConfiguration":{"Enabled":true,"Processors":[{"Type":"Decompression","Parameters":[{"ParameterName":"CompressionFormat","ParameterValue":"GZIP"}]},
			{"Type":"Lambda","Parameters":[{"ParameterName":"LambdaArn","ParameterValue":"https://f.example/x"},{"ParameterName":"NumberOfRetries","ParameterValue":"3"}]},
			{"Type":"MetadataExtraction","Parameters":[{"ParameterName":"MetadataExtractionQuery","ParameterValue":"{c:.c}"},{"ParameterName":"JsonParsingEngine","ParameterValue":"JQ-1.6"}]},
			{"Type":"AppendDelimiterToRecord","Parameters":[{"ParameterName":"Delimiter","ParameterValue":"\\n"}]}]},
			"S3BackupMode":"Enabled","S3BackupConfiguration":{"BucketARN":"arn:aws:s3:::raw","RoleARN":"arn:aws:iam::000000000000:role/r","CompressionFormat":"HADOOP_SNAPPY"}}}`, spec.Config{
			Source: spec.Source{Stream: "s", From: spec.Latest}, Buffer: spec.Buffer{Bytes: 64 << 20, Seconds: 60}, Compression: spec.Gzip,
			Transforms: []spec.Transform{
				{Kind: spec.UnpackKPL}, {Kind: spec.Decompress, Compression: spec.Gzip}, {Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "https://f.example/x"}}, {Kind: spec.PartitionKeys, Query: "{c:.c}"},
			},
			Partitioning: &spec.Partitioning{}, Format: spec.Format{Kind: spec.Delimited, Delimiter: "\n"},
			Naming:      spec.Naming{Prefix: "c=!{partitionKeyFromQuery:c}/!{timestamp:yyyy}/", ErrorPrefix: "bad/!{firehose:error-output-type}/", Extension: ".json.gz", TimeZone: "Asia/Tokyo"},
			Destination: spec.Destination{S3: &spec.S3{Bucket: "lake"}}, Backup: &spec.Backup{S3: spec.S3{Bucket: "raw"}, Compression: spec.HadoopSnappy, All: true},
		}},
		"an endpoint": {`{"HttpEndpointDestinationConfiguration":{"EndpointConfiguration":{"Url":"https://e.example/","Name":"n","AccessKey":"top-secret"},"BufferingHints":{"IntervalInSeconds":0,"SizeInMBs":1},
			"RequestConfiguration":{"ContentEncoding":"GZIP","CommonAttributes":[{"AttributeName":"a","AttributeValue":"b"}]},"RetryOptions":{"DurationInSeconds":30},"S3BackupMode":"AllData","S3Configuration":{` + bucketARN + `}}}`, spec.Config{
			Source: spec.Source{Shards: 1}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
			Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://e.example/", AccessKey: "top-secret", Gzip: true, Common: map[string]string{"a": "b"}, RetrySeconds: ptr(30)}},
			Backup:      &spec.Backup{S3: spec.S3{Bucket: "lake"}, Compression: spec.None, All: true},
		}},
	} {
		d, err := parse(t, tc.body)
		if err != nil {
			t.Errorf("%s: %v", about, err)
			continue
		}
		c, err := d.config()
		tc.want.Defaults()
		if err != nil || !sameConfig(c, tc.want) || c.Destination.HTTP != nil && c.Destination.HTTP.AccessKey != tc.want.Destination.HTTP.AccessKey {
			got, _ := json.Marshal(c)
			t.Errorf("%s: got %s, %v", about, got, err)
			continue
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", about, err)
		}
		if c.Destination.S3 != nil {
			if _, err := objectname.Compile(objectname.Options{Naming: c.Naming, Partitioned: c.Partitioning != nil}); err != nil {
				t.Errorf("%s: %v", about, err)
			}
		}
		if strings.Contains(c.Notes[note], "top-secret") {
			t.Errorf("%s: the secret is in the notes", about)
		}
		again, made := destinationOf(&c, func(s string) string { return "arn:aws:kinesis:us-east-1:000000000000:stream/" + s })
		if !made || again.Plain != (about == "S3DestinationConfiguration") {
			t.Errorf("%s: it is not described as it was made", about)
		}
		// Changed elsewhere, it is described by what it is now.
		c.Buffer.Seconds = 77
		other, made := destinationOf(&c, func(s string) string { return "arn:aws:kinesis:us-east-1:000000000000:stream/" + s })
		out := other.describe()
		seconds := 0
		if out.ExtendedS3DestinationDescription != nil {
			seconds = *out.ExtendedS3DestinationDescription.BufferingHints.IntervalInSeconds
		} else {
			seconds = *out.HttpEndpointDestinationDescription.BufferingHints.IntervalInSeconds
		}
		if made || seconds != 77 {
			t.Errorf("%s: changed elsewhere it is described with %d s, as made here: %v", about, seconds, made)
		}
	}
}

// What is not built is refused by its name, wherever it stands.
func TestRefusedByName(t *testing.T) {
	s3 := func(more string) string {
		return `{"ExtendedS3DestinationConfiguration":{` + bucketARN + `,` + more + `}}`
	}
	processor := func(kind, name, value string) string {
		return s3(`"ProcessingConfiguration":{"Enabled":true,"Processors":[{"Type":"` + kind + `","Parameters":[{"ParameterName":"` + name + `","ParameterValue":"` + value + `"}]}]}`)
	}
	for _, tc := range []struct{ body, says string }{
		{`{"RedshiftDestinationConfiguration":{}}`, "RedshiftDestinationConfiguration"},
		{`{"HttpEndpointDestinationConfiguration":{"SecretsManagerConfiguration":{}}}`, "SecretsManagerConfiguration"},
		{`{"DeliveryStreamType":"MSKAsSource"}`, "MSKAsSource"},
		{`{}`, "Exactly one destination"},
		{`{"S3DestinationConfiguration":{` + bucketARN + `},"ExtendedS3DestinationConfiguration":{` + bucketARN + `}}`, "Exactly one destination"},
		{`{"DeliveryStreamType":"KinesisStreamAsSource","S3DestinationConfiguration":{` + bucketARN + `}}`, "KinesisStreamSourceConfiguration"},
		{s3(`"Unheard":1`), "Unheard"},
		{s3(`"DataFormatConversionConfiguration":{"Enabled":true}`), "DataFormatConversionConfiguration"},
		{s3(`"EncryptionConfiguration":{"KMSEncryptionConfig":{"AWSKMSKeyARN":"a"}}`), "KMSEncryptionConfig"},
		{s3(`"CloudWatchLoggingOptions":{"Enabled":true}`), "CloudWatchLoggingOptions"},
		{s3(`"CompressionFormat":"BROTLI"`), "CompressionFormat"},
		{s3(`"S3BackupMode":"Enabled"`), "S3BackupConfiguration"},
		{`{"S3DestinationConfiguration":{"BucketARN":"lake"}}`, "BucketARN"},
		{processor("Lambda", "LambdaArn", "arn:aws:lambda:us-east-1:1:function:f"), "LambdaArn"},
		{processor("RecordDeAggregation", "SubRecordType", "JSON"), "RecordDeAggregation"},
		{processor("CloudWatchLogProcessing", "DataMessageExtraction", "true"), "CloudWatchLogProcessing"},
		{processor("Decompression", "CompressionFormat", "LZO"), "CompressionFormat"},
		{processor("Decompression", "Delimiter", "x"), "Delimiter"},
		{processor("MetadataExtraction", "JsonParsingEngine", "JQ-9"), "JsonParsingEngine"},
		{`{"HttpEndpointDestinationConfiguration":{"EndpointConfiguration":{"Url":"https://e.example"}}}`, "S3Configuration"},
	} {
		d, err := parse(t, tc.body)
		if err == nil {
			_, err = d.config()
		}
		told, _ := awswire.Translate(err, "id", exceptionOf)
		if err == nil || told.Type != "InvalidArgumentException" || !strings.Contains(told.Message, tc.says) {
			t.Errorf("%s: got %v, want %s in it", tc.body, err, tc.says)
		}
	}
	for _, body := range []string{``, `[]`, `{`, `{} {}`, `{"Tags":1}`} {
		told, ok := errors.AsType[*awswire.Error](decode([]byte(body), new(createDeliveryStreamInput)))
		if !ok || told.Type != awswire.TypeSerialization {
			t.Errorf("%q: got %v", body, told)
		}
	}
}

// An update changes what it names and leaves the rest.
func TestMerge(t *testing.T) {
	d, err := parse(t, `{"ExtendedS3DestinationConfiguration":{`+bucketARN+`,"Prefix":"a/","BufferingHints":{"SizeInMBs":10,"IntervalInSeconds":60},"S3BackupMode":"Enabled","S3BackupConfiguration":{"BucketARN":"arn:aws:s3:::raw"},
		"ProcessingConfiguration":{"Enabled":true,"Processors":[{"Type":"Decompression","Parameters":[{"ParameterName":"CompressionFormat","ParameterValue":"GZIP"}]}]}}}`)
	if err != nil {
		t.Fatal(err)
	}
	var in updateDestinationInput
	err = decode([]byte(`{"ExtendedS3DestinationUpdate":{"BufferingHints":{"IntervalInSeconds":90},"CompressionFormat":"GZIP","S3BackupUpdate":{"Prefix":"raw/"},"ProcessingConfiguration":{"Enabled":false}}}`), &in)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.merge(&destination{Extended: in.ExtendedS3DestinationUpdate})
	if err != nil || c.Naming.Prefix != "a/" || c.Buffer.Bytes != 10<<20 || c.Buffer.Seconds != 90 || c.Compression != spec.Gzip || c.Backup.S3.Bucket != "raw" || c.Backup.Naming.Prefix != "raw/" || len(c.Transforms) != 0 {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := d.merge(&destination{HTTP: &httpEndpoint{}}); leat.KindOf(err) != leat.KindUnsupported {
		t.Errorf("another kind of destination: %v", err)
	}
}
