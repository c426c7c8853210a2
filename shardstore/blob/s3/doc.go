// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package s3 is a blob.Store in a bucket of any S3-compatible server.
//
// Each call is one HTTP request, never repeated by this package (Stat asks a
// second time before it says "not found"). A Create is one PUT of the whole body
// with If-None-Match: * and a CRC32C, never a multipart upload: completing one
// would drop the condition. Replace is that PUT without the condition; Forget
// makes as many requests as there are versions.
//
// # What an answer means
//
//	PUT  200 with an ETag        nil
//	PUT  412                     blob.ErrExists
//	GET  404, S3's NoSuchKey     blob.ErrNotFound
//	GET  416                     an empty result
//	HEAD 404 (has no body)       whatever a GET of one byte answers
//	else                         an error whose outcome is unknown
//
// A 404 that is not NoSuchKey (the bucket is gone, a proxy has no route) is
// never blob.ErrNotFound: a vanished bucket must not look like missing objects.
// For the same reason a listing that is not one (a proxy's page) is an error.
//
// # What signing costs
//
// Client CPU and throughput of 4 MiB PUTs over plain HTTP to MinIO on the same
// two cores, one at a time:
//
//	aws-chunked, signed chunks (minio-go's default)   4.6 ms   280 MB/s
//	signed SHA-256 of the payload                     3.8 ms   270 MB/s
//	UNSIGNED-PAYLOAD and Content-MD5                  6.7 ms   255 MB/s
//	UNSIGNED-PAYLOAD and signed CRC32C header         1.8 ms   380 MB/s
//	UNSIGNED-PAYLOAD alone                            1.5 ms   395 MB/s
//
// So the fourth is used: the store checks what arrived, and the header with the
// sum is itself signed. Options.SignPayload takes the second, for stores that
// refuse unsigned payloads over plain HTTP.
package s3
