// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat"
)

// s3Flags name an object store for the floor of a server on S3.
type s3Flags struct {
	Endpoint  string `help:"Measure PUTs of 4 MiB to this object store too." placeholder:"URL" env:"ENDPOINT"`
	Bucket    string `help:"Its bucket; objects are written under leat-bench/ and deleted again." placeholder:"NAME" env:"BUCKET"`
	Region    string `help:"Its region." default:"us-east-1" env:"REGION"`
	AccessKey string `help:"Access key id." placeholder:"ID" env:"ACCESS_KEY"`
	SecretKey string `help:"Secret access key; better given in the environment." placeholder:"SECRET" env:"SECRET_KEY"`
}

// objectBytes is the size of a full segment.
const objectBytes = 4 << 20

// floor puts objects of the size of a segment, n at a time. Four names a caller are overwritten in turn, so that the
// bucket stays small.
func (f *s3Flags) floor(n int) (sample, error) {
	u, err := url.Parse(f.Endpoint)
	if err != nil || u.Host == "" || f.Bucket == "" {
		return nil, leat.Invalid("s3-endpoint", "--s3-endpoint %q must be http(s)://host:port, with --s3-bucket", f.Endpoint)
	}
	s3, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(f.AccessKey, f.SecretKey, ""), Secure: u.Scheme == "https", Region: f.Region, MaxRetries: 1,
	})
	if err != nil {
		return nil, err
	}
	body := make([]byte, objectBytes)
	if _, err := rand.Read(body); err != nil {
		return nil, err
	}
	return func(ctx context.Context, d time.Duration) (map[string]float64, error) {
		var serial atomic.Int64
		calls, took, latencies, err := crowd(ctx, n, d, func(ctx context.Context, caller int) error {
			name := fmt.Sprintf("leat-bench/%d-%d", caller, serial.Add(1)%4)
			_, err := s3.PutObject(ctx, f.Bucket, name, bytes.NewReader(body), objectBytes, minio.PutObjectOptions{DisableMultipart: true})
			return err
		})
		for caller := range n {
			for i := range 4 {
				// What cannot be deleted is in the way of nobody: the next run overwrites it.
				_ = s3.RemoveObject(ctx, f.Bucket, fmt.Sprintf("leat-bench/%d-%d", caller, i), minio.RemoveObjectOptions{})
			}
		}
		return map[string]float64{"s3 MB/s": mbs(float64(calls*objectBytes), took), "s3 ms": median(latencies)}, err
	}, nil
}
