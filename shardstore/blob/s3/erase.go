// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/shardstore/blob"
)

var _ blob.Eraser = (*Store)(nil)

// Replace implements blob.Eraser: one PUT without a condition. A bucket with versions keeps the former one until Forget.
func (s *Store) Replace(ctx context.Context, key string, body []byte) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return s.put(ctx, "replace", key, body, s.putOptions(body))
}

// put is one PUT of a whole body.
func (s *Store) put(ctx context.Context, op, key string, body []byte, opts minio.PutObjectOptions) error {
	sum := ""
	if s.signPayload {
		hash := sha256.Sum256(body)
		sum = hex.EncodeToString(hash[:])
	}
	lent := lend(body)
	defer lent.takeBack()
	info, err := s.core.PutObject(ctx, s.bucket, s.prefix+key, lent, int64(len(body)), "", sum, opts)
	switch {
	case err != nil && status(err) == http.StatusPreconditionFailed:
		return fmt.Errorf("s3: %s %s: %w", op, key, blob.ErrExists)
	case err != nil:
		return s.fail(op, key, err)
	case info.ETag == "":
		// Every S3 names what it stored. A proxy that says 200 to all does not.
		return fmt.Errorf("s3: %s %s: the answer has no ETag, so it is not a store's", op, key)
	}
	return nil
}

func (s *Store) putOptions(body []byte) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		DisableContentSha256: true, // no aws-chunked body
		UserMetadata:         map[string]string{"x-amz-checksum-crc32c": s.crc(body)},
	}
}

// version is one that does not stand: a former one, or the mark of a deletion.
type version struct{ key, id string }

// Forget implements blob.Eraser: it deletes former versions, and marks of deletions after these, since a version below a mark
// stands again without it. It takes s3:ListBucketVersions and s3:DeleteObjectVersion where the bucket keeps versions.
func (s *Store) Forget(ctx context.Context, prefix string, deleted bool) error {
	if err := blob.CheckList(prefix, ""); err != nil {
		return err
	}
	kinds := []kind{formerOfStanding}
	if deleted {
		kinds = []kind{former, marks}
	}
	for _, k := range kinds {
		// Again after each turn, until there are none: what is left would be told by nobody.
		for left := -1; left != 0; {
			all, err := s.versions(ctx, prefix, k)
			if err != nil {
				return err
			}
			if left >= 0 && len(all) >= left {
				return fmt.Errorf("s3: forget %s: %d versions of objects were deleted and are still there", prefix, len(all))
			}
			for _, v := range all {
				if err := s.deleteVersion(ctx, v); err != nil {
					return err
				}
			}
			left = len(all)
		}
	}
	return nil
}

// kind is what a listing of versions looks for.
type kind int

const (
	formerOfStanding kind = iota // versions below one that stands
	former                       // versions that do not stand
	marks                        // of deletions
)

func (s *Store) deleteVersion(ctx context.Context, v version) error {
	err := s.core.RemoveObject(ctx, s.bucket, v.key, minio.RemoveObjectOptions{VersionID: v.id})
	if err == nil || status(err) == http.StatusOK || status(err) == http.StatusNotFound {
		return nil // the next listing tells whether it is gone
	}
	if status(err) == http.StatusForbidden {
		return fmt.Errorf("s3: version %s of %s may not be deleted; allow s3:DeleteObjectVersion, and keep object locks away from it (%w)", v.id, v.key, s.fail("forget", v.key, err))
	}
	return s.fail("forget", v.key, err)
}

// versions lists those of a kind. Nothing where the store keeps none.
func (s *Store) versions(ctx context.Context, prefix string, k kind) (all []version, err error) {
	standing := "" // the last key whose newest version is no mark: it comes before the others of the key
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			return nil, s.noVersions(ctx, prefix, o.Err)
		}
		if !strings.HasPrefix(o.Key, s.prefix+prefix) {
			return nil, fmt.Errorf("s3: forget %s: the store answered %q, out of place", prefix, o.Key)
		}
		if o.IsLatest && !o.IsDeleteMarker {
			standing = o.Key
		}
		wanted := !o.IsLatest && !o.IsDeleteMarker
		switch k {
		case formerOfStanding:
			wanted = !o.IsLatest && o.Key == standing
		case marks:
			wanted = o.IsDeleteMarker
		}
		if wanted {
			all = append(all, version{o.Key, o.VersionID})
		}
	}
	if err := ctx.Err(); err != nil { // a cancelled iteration ends without an error
		return nil, fmt.Errorf("s3: forget %s: %w", prefix, err)
	}
	return all, nil
}

// noVersions explains the refusal of a listing of versions: nil when the bucket keeps none.
func (s *Store) noVersions(ctx context.Context, prefix string, err error) error {
	r, _ := answer(err)
	switch {
	case r.StatusCode == http.StatusNotImplemented || r.StatusCode == http.StatusMethodNotAllowed || r.Code == minio.NotImplemented:
		return nil
	case r.StatusCode == http.StatusForbidden:
		if v, asked := s.core.GetBucketVersioning(ctx, s.bucket); asked == nil && v.Status == "" {
			return nil
		}
		return fmt.Errorf("s3: bucket %s may keep former versions of keys, and they may not be listed; allow s3:ListBucketVersions and s3:DeleteObjectVersion, or s3:GetBucketVersioning where it keeps none (%w)",
			s.bucket, s.fail("forget", prefix, err))
	}
	return s.fail("forget", prefix, err)
}
