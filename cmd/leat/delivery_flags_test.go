// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// A flag changes what it says of a configuration, and nothing else; one that would change nothing is refused.
func TestDeliveryFlagsChangeWhatTheySay(t *testing.T) {
	const (
		s3       = `{"s3":{"bucket":"b","endpoint":"https://s","region":"r","accessKey":"id"}}`
		own      = `{"s3":{"bucket":"b"}}`
		endpoint = `{"http":{"url":"https://e","gzip":true,"common":{"a":"b"},"retrySeconds":60},"backup":{"s3":{"bucket":"b"},"naming":{"prefix":"failed/"}}}`
		csv      = `{"s3":{"bucket":"b"},"format":{"kind":"DELIVERY_FORMAT_KIND_CSV","csvColumns":["a"],"csvSeparator":";"}}`
		steps    = `{"s3":{"bucket":"b"},"transforms":[{"kind":"DELIVERY_TRANSFORM_KIND_UNPACK_KPL"},{"kind":"DELIVERY_TRANSFORM_KIND_DECOMPRESS","compression":"DELIVERY_COMPRESSION_GZIP"},
			{"kind":"DELIVERY_TRANSFORM_KIND_JQ","query":".a"},{"kind":"DELIVERY_TRANSFORM_KIND_PARTITION_KEYS","query":"{k}"}],"partitioning":{"maxActive":7}}`
		asking = `{"s3":{"bucket":"b"},"transforms":[{"kind":"DELIVERY_TRANSFORM_KIND_HTTP","http":{"url":"https://t"}}]}`
	)
	minute := time.Minute
	for name, tc := range map[string]struct {
		env     string // the secret in the environment
		from    string
		flags   deliveryFlags
		want    string // of the configuration, besides what is there
		refused string
	}{
		"another bucket":               {from: s3, flags: deliveryFlags{Bucket: "other"}, want: `{"s3":{"bucket":"other","endpoint":"https://s","region":"r","accessKey":"id"}}`},
		"another region":               {from: s3, flags: deliveryFlags{S3Region: "q"}, want: `{"s3":{"bucket":"b","endpoint":"https://s","region":"q","accessKey":"id"}}`},
		"another key":                  {from: s3, flags: deliveryFlags{S3AccessKey: "new", S3SecretKey: "s"}, want: `{"s3":{"bucket":"b","endpoint":"https://s","region":"r","accessKey":"new","secretKey":"s"}}`},
		"another key, by environment":  {env: "s", from: s3, flags: deliveryFlags{S3AccessKey: "new"}, want: `{"s3":{"bucket":"b","endpoint":"https://s","region":"r","accessKey":"new","secretKey":"s"}}`},
		"another's secret":             {env: "s", from: s3, flags: deliveryFlags{Prefix: "p/"}, want: `{"naming":{"prefix":"p/"}}`},
		"a secret without a key":       {env: "s", from: own, flags: deliveryFlags{Bucket: "other"}, want: `{"s3":{"bucket":"other"}}`},
		"a new bucket":                 {env: "s", from: `{}`, flags: deliveryFlags{Bucket: "b", S3Endpoint: "https://s", S3AccessKey: "id"}, want: `{"s3":{"bucket":"b","endpoint":"https://s","accessKey":"id","secretKey":"s"}}`},
		"a region of nothing":          {from: `{}`, flags: deliveryFlags{S3Region: "r"}, refused: "--s3-region goes with --bucket"},
		"another access key":           {from: endpoint, flags: deliveryFlags{HTTPAccessKey: "k"}, want: `{"http":{"url":"https://e","accessKey":"k","gzip":true,"common":{"a":"b"},"retrySeconds":60}}`},
		"the URL and its access key":   {env: "k", from: endpoint, flags: deliveryFlags{HTTPURL: "https://e"}, want: `{"http":{"url":"https://e","accessKey":"k","gzip":true,"common":{"a":"b"},"retrySeconds":60}}`},
		"another URL":                  {from: endpoint, flags: deliveryFlags{HTTPURL: "https://f"}, want: `{"http":{"url":"https://f","gzip":true,"common":{"a":"b"},"retrySeconds":60}}`},
		"another's access key":         {env: "k", from: endpoint, flags: deliveryFlags{HTTPRetry: &minute}, want: `{}`},
		"where an endpoint's rest is":  {from: endpoint, flags: deliveryFlags{Bucket: "other", Prefix: "p/"}, want: `{"naming":{"prefix":"p/"},"backup":{"s3":{"bucket":"other"},"naming":{"prefix":"p/"}}}`},
		"an access key of nothing":     {from: own, flags: deliveryFlags{HTTPAccessKey: "k"}, refused: "--http-access-key goes with --http-url"},
		"a bound of nothing":           {from: own, flags: deliveryFlags{HTTPRetry: &minute}, refused: "--http-retry goes with --http-url"},
		"a header":                     {from: csv, flags: deliveryFlags{Header: true}, want: `{"format":{"kind":"DELIVERY_FORMAT_KIND_CSV","csvColumns":["a"],"csvSeparator":";","csvHeader":true}}`},
		"columns":                      {from: csv, flags: deliveryFlags{Format: "csv", Columns: []string{"b", "c"}}, want: `{"format":{"kind":"DELIVERY_FORMAT_KIND_CSV","csvColumns":["b","c"],"csvSeparator":";"}}`},
		"another format":               {from: csv, flags: deliveryFlags{Format: "raw"}, want: `{"format":{"kind":"DELIVERY_FORMAT_KIND_RAW"}}`},
		"a header of no CSV":           {from: own, flags: deliveryFlags{Header: true}, refused: "--header goes with --format csv"},
		"columns of no CSV":            {from: own, flags: deliveryFlags{Columns: []string{"a"}}, refused: "--columns goes with --format csv"},
		"another query":                {from: steps, flags: deliveryFlags{JQ: []string{".b", ".c"}, Decompress: true}, want: strings.Replace(steps, `{"kind":"DELIVERY_TRANSFORM_KIND_JQ","query":".a"}`, `{"kind":"DELIVERY_TRANSFORM_KIND_JQ","query":".b"},{"kind":"DELIVERY_TRANSFORM_KIND_JQ","query":".c"}`, 1)},
		"other partitions":             {from: steps, flags: deliveryFlags{Partition: "{l}"}, want: strings.Replace(steps, `{k}`, `{l}`, 1)},
		"more partitions":              {from: steps, flags: deliveryFlags{MaxPartitions: 9}, want: `{"partitioning":{"maxActive":9}}`},
		"partitions of nothing":        {from: own, flags: deliveryFlags{MaxPartitions: 9}, refused: "--max-partitions goes with --partition"},
		"a query beside other kinds":   {from: asking, flags: deliveryFlags{JQ: []string{"."}}, refused: "give all of them in --config"},
		"a backup's prefix":            {from: own, flags: deliveryFlags{BackupBucket: "k", BackupPrefix: "p/"}, want: `{"backup":{"s3":{"bucket":"k"},"naming":{"prefix":"p/"},"all":true}}`},
		"a backup's prefix of nothing": {from: own, flags: deliveryFlags{BackupPrefix: "p/"}, refused: "--backup-prefix goes with --backup-bucket"},
		"two buckets of an endpoint":   {from: endpoint, flags: deliveryFlags{Bucket: "c", BackupBucket: "d"}, refused: "there is one bucket"},
	} {
		t.Setenv(deliveryS3SecretEnv, tc.env)
		t.Setenv(deliveryHTTPKeyEnv, tc.env)
		set(&tc.flags.S3SecretKey, tc.env) // as the environment does
		set(&tc.flags.HTTPAccessKey, tc.env)
		got, want, over := config(t, tc.from), config(t, tc.from), config(t, tc.want)
		err := tc.flags.fill(got)
		if tc.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		over.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			want.ProtoReflect().Set(f, v)
			return true
		})
		if want.GetNaming() == nil {
			want.Naming = &leatv1.DeliveryNaming{}
		}
		if want.GetBuffer() == nil {
			want.Buffer = &leatv1.DeliveryBuffer{}
		}
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("%s: %v\n got %v\nwant %v", name, err, got, want)
		}
	}
}

func config(t *testing.T, text string) *leatv1.DeliveryConfig {
	t.Helper()
	c := &leatv1.DeliveryConfig{}
	if text == "" {
		return c
	}
	if err := protojson.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}
