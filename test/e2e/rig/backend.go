// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

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
	Alone  bool   // one node serves all shards and the others stand by; otherwise nodes share them
	Door   string // HOST:PORT by which nodes reach the S3 server; empty: its own
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
	door := b.S3.Endpoint
	if b.Door != "" {
		door = b.Door
	}
	env := []string{
		"LEAT_POSTGRES=" + b.DSN,
		"LEAT_S3_ENDPOINT=http://" + door, "LEAT_S3_BUCKET=" + b.Bucket, "LEAT_S3_REGION=" + b.S3.Region,
		"LEAT_S3_ACCESS_KEY=" + b.S3.AccessKey, "LEAT_S3_SECRET_KEY=" + b.S3.SecretKey,
		"LEAT_TOKEN=" + b.Token,
	}
	if b.Alone {
		env = append(env, "LEAT_SHARE_SHARDS=false")
	}
	return env
}

// Fsck is what leat fsck has counted.
type Fsck struct {
	Shards   int `json:"shards"`
	Extents  int `json:"extents"`
	Records  int `json:"records"`
	Problems int `json:"problems"`
	Open     int `json:"open_sessions"` // their logs were not looked at
}

// Check runs leat fsck over the database and the bucket, and fails the test when it finds anything.
func (b *Backend) Check(tb testing.TB) Fsck {
	tb.Helper()
	return check(tb, b.Env())
}

// CheckDev runs leat fsck over the folder of a `leat dev` that is not running, and fails the test when it finds
// anything.
func CheckDev(tb testing.TB, dataDir string) Fsck {
	tb.Helper()
	return check(tb, nil, "--data-dir", dataDir)
}

// Verified is what leat billing verify has counted.
type Verified struct {
	Records  int      `json:"records"`
	Packs    int      `json:"packs"`
	Problems []string `json:"problems"`
}

// Verify runs leat billing verify over the database and the bucket, for the last day and this hour, and fails the test when
// there is any difference.
func (b *Backend) Verify(tb testing.TB) Verified {
	tb.Helper()
	return verify(tb, b.Env())
}

// VerifyDev runs leat billing verify over the folder of a `leat dev` that is not running.
func VerifyDev(tb testing.TB, dataDir string) Verified {
	tb.Helper()
	return verify(tb, nil, "--data-dir", dataDir)
}

func verify(tb testing.TB, env []string, args ...string) (v Verified) {
	tb.Helper()
	hour := time.Now().UTC().Truncate(time.Hour)
	from, to := hour.Add(-24*time.Hour), hour.Add(time.Hour)
	r := Run(tb, env, append([]string{"billing", "verify", "-o", "json", "--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339)}, args...)...)
	if err := json.Unmarshal([]byte(r.Stdout), &v); err != nil || r.Code != 0 || len(v.Problems) != 0 {
		tb.Fatalf("leat billing verify: exit status %d (%v)\n%s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	tb.Logf("billing verify: %+v", v)
	return v
}

// checkWithin is how long leat fsck may take: after an hour of faults there are thousands of objects.
const checkWithin = 5 * time.Minute

func check(tb testing.TB, env []string, args ...string) (f Fsck) {
	tb.Helper()
	r := Exec(tb, Command{Env: env, Args: append([]string{"fsck", "-o", "json"}, args...), Limit: checkWithin})
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &f); err != nil || r.Code != 0 || len(lines) != 1 || f.Problems != 0 {
		tb.Fatalf("leat fsck: exit status %d (%v)\n%s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	tb.Logf("fsck: %+v", f)
	return f
}
