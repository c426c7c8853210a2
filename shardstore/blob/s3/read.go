// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/shardstore/blob"
)

// Read implements blob.Store.
func (s *Store) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	if length == 0 { // no Range header says "nothing"
		if _, err := s.Stat(ctx, key); err != nil {
			return nil, err
		}
		return []byte{}, nil
	}
	body, err := s.get(ctx, key, off, length)
	switch {
	case err == nil && off < 0 && length > 0:
		return body[:min(length, int64(len(body)))], nil
	case err == nil:
		return body, nil
	case isNoSuchKey(err):
		return nil, fmt.Errorf("s3: read %s: %w", key, blob.ErrNotFound)
	case status(err) == http.StatusRequestedRangeNotSatisfiable:
		return []byte{}, nil // the object stands and ends before off
	}
	return nil, s.fail("read", key, err)
}

// get reads a range with one GET. Its errors are raw.
func (s *Store) get(ctx context.Context, key string, off, length int64) ([]byte, error) {
	opts := minio.GetObjectOptions{}
	if r := rangeHeader(off, length); r != "" {
		opts.Set("Range", r)
	}
	rc, info, header, err := s.core.GetObject(ctx, s.bucket, s.prefix+key, opts)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }()
	size := info.Size
	part, whole := span{to: size}, true
	if text := header.Get("Content-Range"); text != "" {
		whole = false
		if part, size, err = parseRange(text); err != nil {
			return nil, err
		}
	}
	if size < 0 {
		return nil, errors.New("the answer does not tell the object's size")
	}
	var want span
	want.from, want.to = wanted(size, off, length)
	if !whole && part != want {
		return nil, fmt.Errorf("asked for bytes [%d, %d), the store answered with [%d, %d)", want.from, want.to, part.from, part.to)
	}
	body := make([]byte, part.to-part.from)
	if _, err := io.ReadFull(rc, body); err != nil {
		return nil, fmt.Errorf("the answer's body broke off: %w", err)
	}
	if whole { // no Range was sent, or the store ignores it
		body = body[want.from:want.to]
	}
	return body, nil
}

// wanted is the range that rangeHeader asks an object of size bytes for.
func wanted(size, off, length int64) (from, to int64) {
	from, to = blob.Span(size, off, length)
	if off < 0 {
		to = size // cut afterwards
	}
	return from, to
}

// rangeHeader is Read's range as HTTP says it, empty for a whole object. A suffix
// is asked for to its end, because its start is not known.
func rangeHeader(off, length int64) string {
	switch {
	case off < 0:
		return fmt.Sprintf("bytes=%d", off)
	case length < 0 && off == 0:
		return ""
	case length < 0 || off+length-1 < off: // the sum may overflow
		return fmt.Sprintf("bytes=%d-", off)
	}
	return fmt.Sprintf("bytes=%d-%d", off, off+length-1)
}

// span is a half-open range of bytes.
type span struct{ from, to int64 }

// parseRange reads a Content-Range: bytes 0-99/1000.
func parseRange(text string) (part span, size int64, err error) {
	var last int64
	if _, err := fmt.Sscanf(text, "bytes %d-%d/%d", &part.from, &last, &size); err != nil {
		return span{}, 0, fmt.Errorf("Content-Range %q: %w", text, err)
	}
	part.to = last + 1
	if size == 0 && part == (span{}) {
		return part, 0, nil // MinIO's "bytes 0--1/0" for a suffix of nothing
	}
	if part.from < 0 || part.to <= part.from || part.to > size {
		return span{}, 0, fmt.Errorf("Content-Range %q makes no sense", text)
	}
	return part, size, nil
}
