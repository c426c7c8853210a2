// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/shardstore/blob"
)

// Store is a blob.Store in a bucket. Create one with Open.
type Store struct {
	core        *minio.Core
	creds       *credentials.Credentials
	transport   http.RoundTripper
	endpoint    string
	bucket      string
	prefix      string
	secret      string // to keep it out of errors
	signPayload bool
	castagnoli  *crc32.Table
}

// Open makes a Store. It sends nothing; CheckBucket does.
func Open(o Options) (*Store, error) {
	host, secure, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	if o.Bucket == "" {
		return nil, errors.New("s3: the bucket is missing")
	}
	prefix, err := o.prefix()
	if err != nil {
		return nil, err
	}
	creds, err := o.credentials()
	if err != nil {
		return nil, err
	}
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	region := o.Region
	if region == "" {
		region = "us-east-1" // without one minio-go asks before the first request
	}
	core, err := minio.NewCore(host, &minio.Options{
		Creds: creds, Secure: secure, Region: region, BucketLookup: o.lookup(),
		Transport: listCheck{pace{transport}}, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: endpoint %s: %w", host, err)
	}
	return &Store{
		core: core, creds: creds, transport: transport, endpoint: core.EndpointURL().String(),
		bucket: o.Bucket, prefix: prefix, secret: o.SecretKey,
		signPayload: o.SignPayload, castagnoli: crc32.MakeTable(crc32.Castagnoli),
	}, nil
}

// Endpoint is the URL through which the Store reaches its bucket.
func (s *Store) Endpoint() string { return s.endpoint }

// Credentials are what the Store signs its requests with, for other buckets of the same server. They are renewed where they expire.
func (s *Store) Credentials() *credentials.Credentials { return s.creds }

// Close lets go of idle connections. It may be called twice.
func (s *Store) Close() error {
	if t, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	opts := s.putOptions(body)
	opts.SetMatchETagExcept("*")
	return s.put(ctx, "create", key, body, opts)
}

func (s *Store) crc(body []byte) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, s.castagnoli))
	return base64.StdEncoding.EncodeToString(sum)
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	info, err := s.core.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	if err != nil && status(err) == http.StatusNotFound {
		// A HEAD's 404 cannot say what is missing, the object or the bucket.
		return blob.Info{}, s.whatIsMissing(ctx, key)
	}
	if err != nil {
		return blob.Info{}, s.fail("stat", key, err)
	}
	return blob.Info{Key: key, Size: info.Size, Modified: info.LastModified}, nil
}

// whatIsMissing explains a HEAD's 404 by a GET.
func (s *Store) whatIsMissing(ctx context.Context, key string) error {
	_, err := s.get(ctx, key, 0, 1)
	switch {
	case err == nil:
		return fmt.Errorf("s3: stat %s: 404, yet a GET finds it", key)
	case isNoSuchKey(err):
		return fmt.Errorf("s3: stat %s: %w", key, blob.ErrNotFound)
	}
	return s.fail("stat", key, err)
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	err := s.core.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
	// Some stores answer 200, which minio-go takes for an error, and some 404.
	if err == nil || status(err) == http.StatusOK || isNoSuchKey(err) {
		return nil
	}
	return s.fail("delete", key, err)
}

// listSlack is asked for on top of each page. MinIO (RELEASE.2025, 2026) stops a
// walk after 4 + 17/16 of the keys that were asked for, counting some that lie
// before the start ("a-b" when the start is "a/c"), and then answers with a page
// that has a hole. With the slack 8 such siblings do no harm; keys whose parts
// have a fixed width, as Leat's, have none.
const listSlack = 64

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	if err := blob.CheckList(prefix, after); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = blob.PageSize
	}
	opts := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, MaxKeys: min(limit+listSlack, blob.PageSize)}
	if after != "" {
		opts.StartAfter = s.prefix + after
	}
	noOwner := false
	opts.FetchOwner = &noOwner
	var page []blob.Info
	last := after
	for o := range s.core.ListObjectsIter(ctx, s.bucket, opts) {
		if o.Err != nil {
			return nil, s.fail("list", prefix, o.Err)
		}
		key, ok := strings.CutPrefix(o.Key, s.prefix)
		if !ok || !strings.HasPrefix(key, prefix) || key <= last {
			return nil, fmt.Errorf("s3: list %s: the store answered %q after %q, out of order or place", prefix, o.Key, s.prefix+last)
		}
		last = key
		page = append(page, blob.Info{Key: key, Size: o.Size, Modified: o.LastModified})
		if len(page) == limit {
			break
		}
	}
	// A cancelled iteration ends without an error.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("s3: list %s: %w", prefix, err)
	}
	return page, nil
}
