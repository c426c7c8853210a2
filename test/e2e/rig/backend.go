// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"testing"

	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/s3test"
)

// Backend is what `leat serve` stands on: a database and a bucket, both empty at first.
type Backend struct {
	PG     *pgtest.Cluster
	S3     *s3test.Server
	DSN    string
	Bucket string
	Token  string // the bootstrap token of its nodes
}

// token is long enough to be accepted and easy to find where it must not be.
const token = "token-that-nobody-may-print"

// NewBackend starts servers of this test's own, which it may stop, crash and freeze.
func NewBackend(tb testing.TB) *Backend {
	tb.Helper()
	return backend(tb, pgtest.New(tb), s3test.New(tb))
}

// SharedBackend makes a database and a bucket in the servers that the tests of this test binary share.
func SharedBackend(tb testing.TB) *Backend {
	tb.Helper()
	return backend(tb, pgtest.Start(tb), s3test.Start(tb))
}

func backend(tb testing.TB, pg *pgtest.Cluster, s3 *s3test.Server) *Backend {
	tb.Helper()
	return &Backend{PG: pg, S3: s3, DSN: pg.Database(tb), Bucket: s3.Bucket(tb), Token: token}
}

// Env is the environment of a node, or of another command on the database and the bucket.
func (b *Backend) Env() []string {
	return []string{
		"LEAT_POSTGRES=" + b.DSN,
		"LEAT_S3_ENDPOINT=http://" + b.S3.Endpoint, "LEAT_S3_BUCKET=" + b.Bucket, "LEAT_S3_REGION=" + b.S3.Region,
		"LEAT_S3_ACCESS_KEY=" + b.S3.AccessKey, "LEAT_S3_SECRET_KEY=" + b.S3.SecretKey,
		"LEAT_TOKEN=" + b.Token,
	}
}

// Check runs leat fsck over the database and the bucket, and fails the test when it finds anything. No node may be
// writing.
func (b *Backend) Check(tb testing.TB) {
	tb.Helper()
	tb.Logf("fsck: %s", Must(tb, b.Env(), "fsck"))
}

// CheckDev runs leat fsck over the folder of a `leat dev` that is not running.
func CheckDev(tb testing.TB, dataDir string) {
	tb.Helper()
	tb.Logf("fsck: %s", Must(tb, nil, "fsck", "--data-dir", dataDir))
}
