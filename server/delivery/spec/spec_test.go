// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

func full() spec.Config {
	c := spec.Config{
		Source: spec.Source{Stream: "orders", From: spec.Latest},
		Buffer: spec.Buffer{Bytes: 64 << 20, Seconds: 60, Merged: true},
		Transforms: []spec.Transform{
			{Kind: spec.UnpackKPL},
			{Kind: spec.Decompress, Compression: spec.Gzip},
			{Kind: spec.JQ, Query: ".a"},
			{Kind: spec.PartitionKeys, Query: "{c: .customer}"},
			{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "https://transform.example/x", AccessKey: "tell-nobody-1"}, TimeoutMillis: 5000},
			{Kind: spec.WASM, Module: []byte{0, 'a', 's', 'm'}, MemoryBytes: 8 << 20},
		},
		Partitioning: &spec.Partitioning{},
		Format:       spec.Format{Kind: spec.ParquetFile, Parquet: &spec.Parquet{Columns: []spec.Column{{Name: "a", Type: spec.TypeInt64, Optional: true}}, Compression: spec.Zstd}},
		Naming:       spec.Naming{Prefix: "a/!{timestamp:yyyy}/", ErrorPrefix: "errors/!{firehose:error-output-type}/", Extension: ".parquet", TimeZone: "Europe/Berlin"},
		Destination:  spec.Destination{S3: &spec.S3{Bucket: "lake", Endpoint: "http://s3.example:9000", AccessKey: "AK", SecretKey: "tell-nobody-2"}},
		Backup:       &spec.Backup{S3: spec.S3{Bucket: "backup", AccessKey: "AK", SecretKey: "tell-nobody-3"}, All: true},
		HoldSeconds:  3600,
	}
	c.Defaults()
	return c
}

func TestConfigIsStableAsJSON(t *testing.T) {
	c := full()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back spec.Config
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	secrets := c.Secrets()
	for name, to := range back.Secrets() {
		if *to != "" {
			t.Errorf("%s is in the JSON", name)
		}
		*to = *secrets[name]
	}
	if len(secrets) != 3 {
		t.Errorf("%d secrets, want 3", len(secrets))
	}
	if d := cmp.Diff(c, back); d != "" {
		t.Error(d)
	}
}

func TestSecretsAreNotTold(t *testing.T) {
	c := full()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "secret", c.Destination.S3.SecretKey)
	for how, s := range map[string]string{
		"JSON": string(text), "%v": fmt.Sprint(c), "%+v": fmt.Sprintf("%+v %+v", c, c.Destination.S3), "%#v": fmt.Sprintf("%#v %#v", *c.Destination.S3, c.Backup.S3), "slog": log.String(),
	} {
		if strings.Contains(s, "tell-nobody") {
			t.Errorf("%s tells a secret: %s", how, s)
		}
	}
}

func TestValidateNamesTheMember(t *testing.T) {
	for _, tc := range []struct {
		field string
		spoil func(*spec.Config)
	}{
		{"source.stream", func(c *spec.Config) { c.Source.Stream = "a b" }},
		{"source.from", func(c *spec.Config) { c.Source.From = "NOON" }},
		{"source.time", func(c *spec.Config) { c.Source.From = spec.AtTime }},
		{"source.shards", func(c *spec.Config) { c.Source.Shards = 2 }},
		{"source.from", func(c *spec.Config) { c.Source.Stream = "" }},
		{"source.shards", func(c *spec.Config) { c.Source = spec.Source{Shards: 1000} }},
		{"buffer.bytes", func(c *spec.Config) { c.Buffer.Bytes = 1 << 19 }},
		{"buffer.bytes", func(c *spec.Config) { c.Buffer.Bytes = 129 << 20 }},
		{"buffer.seconds", func(c *spec.Config) { c.Buffer.Seconds = 901 }},
		{"transforms", func(c *spec.Config) { c.Transforms = make([]spec.Transform, 9) }},
		{"transforms[0].kind", func(c *spec.Config) { c.Transforms[0].Kind = "magic" }},
		{"transforms[0].query", func(c *spec.Config) { c.Transforms[0].Query = "." }},
		{"transforms[2].query", func(c *spec.Config) { c.Transforms[2].Query = "" }},
		{"transforms[2].query", func(c *spec.Config) { c.Transforms[2].Query = "." + strings.Repeat(" ", spec.MaxQueryBytes) }},
		{"transforms[1].compression", func(c *spec.Config) { c.Transforms[1].Compression = spec.Zip }},
		{"transforms[4].http", func(c *spec.Config) { c.Transforms[4].HTTP = nil }},
		{"transforms[4].http.url", func(c *spec.Config) { c.Transforms[4].HTTP.URL = "ftp://x/" }},
		{"transforms[5].module", func(c *spec.Config) { c.Transforms[5].Module = nil }},
		{"transforms[5].memory_bytes", func(c *spec.Config) { c.Transforms[5].MemoryBytes = 1 }},
		{"transforms[0].timeout_millis", func(c *spec.Config) { c.Transforms[0].TimeoutMillis = 1 }},
		{"partitioning.max_active", func(c *spec.Config) { c.Partitioning.MaxActive = 20_000 }},
		{"partitioning", func(c *spec.Config) { c.Transforms = nil }},
		{"format.kind", func(c *spec.Config) { c.Format.Kind = "xml" }},
		{"format.csv", func(c *spec.Config) { c.Format = spec.Format{Kind: spec.CSVFormat} }},
		{"format.delimiter", func(c *spec.Config) { c.Format = spec.Format{Kind: spec.Raw, Delimiter: ";"} }},
		{"format.parquet", func(c *spec.Config) { c.Format.Kind = spec.Raw }},
		{"format.parquet.columns[0].type", func(c *spec.Config) { c.Format.Parquet.Columns[0].Type = "uuid" }},
		{"format.parquet.compression", func(c *spec.Config) { c.Format.Parquet.Compression = spec.Zip }},
		{"compression", func(c *spec.Config) { c.Compression = spec.Gzip }},
		{"compression", func(c *spec.Config) { c.Compression = "rar" }},
		{"naming.time_zone", func(c *spec.Config) { c.Naming.TimeZone = "Mars/Olympus" }},
		{"naming.extension", func(c *spec.Config) { c.Naming.Extension = "gz" }},
		{"naming.prefix", func(c *spec.Config) { c.Naming.Prefix = strings.Repeat("a", 2000) }},
		{"destination", func(c *spec.Config) { c.Destination.S3 = nil }},
		{"destination", func(c *spec.Config) { c.Destination.HTTP = &spec.HTTP{URL: "http://x"} }},
		{"destination.s3.bucket", func(c *spec.Config) { c.Destination.S3.Bucket = "A_b" }},
		{"destination.s3.endpoint", func(c *spec.Config) { c.Destination.S3.Endpoint = "s3.example" }},
		{"destination.s3.endpoint", func(c *spec.Config) { c.Destination.S3.Endpoint = "http://a:b@s3.example" }},
		{"destination.s3.access_key", func(c *spec.Config) { c.Destination.S3.SecretKey = "" }},
		{"destination.s3.access_key", func(c *spec.Config) { c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = "", "" }},
		{"backup", func(c *spec.Config) {
			c.Destination = spec.Destination{HTTP: &spec.HTTP{URL: "http://x"}}
			c.Backup = nil
		}},
		{"format", func(c *spec.Config) { c.Destination = spec.Destination{HTTP: &spec.HTTP{URL: "http://x"}} }},
		{"backup.s3.bucket", func(c *spec.Config) { c.Backup.S3.Bucket = "x" }},
		{"backup.compression", func(c *spec.Config) { c.Backup.Compression = "rar" }},
		{"backup.naming.time_zone", func(c *spec.Config) { c.Backup.Naming.TimeZone = "x" }},
		{"hold_seconds", func(c *spec.Config) { c.HoldSeconds = -1 }},
	} {
		c := full()
		tc.spoil(&c)
		err := c.Validate()
		var e *leat.Error
		if !errors.As(err, &e) || e.Kind != leat.KindInvalidArgument || e.Field != tc.field {
			t.Errorf("want %s refused, got %v", tc.field, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{"a": true, "orders.v2_x-y": true, "": false, "a b": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "ä": false} {
		if err := spec.ValidateName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
