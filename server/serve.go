// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/s3"
	"github.com/leatstream/leat/shardstore/wal"
)

// Remote is an opened database and bucket.
type Remote struct {
	DB    *sqldb.DB
	Blobs *s3.Store
	doors []*s3.Store
}

// OpenRemote connects to Postgres and the bucket and checks that both can be used.
func OpenRemote(ctx context.Context, postgres string, o S3, log *slog.Logger) (*Remote, error) {
	return openRemote(ctx, sqldb.Config{Postgres: postgres, Logger: log}, o)
}

func openRemote(ctx context.Context, db sqldb.Config, o S3) (r *Remote, err error) {
	if r, err = openBucket(ctx, o); err != nil {
		return r, err
	}
	if r.DB, err = openPostgres(ctx, db); err != nil {
		_ = r.Close() // the first error is the one to tell
	}
	return r, err
}

func openPostgres(ctx context.Context, c sqldb.Config) (*sqldb.DB, error) {
	db, err := sqldb.Open(ctx, c)
	if err != nil {
		return nil, bad("postgres", hidden, "%v: check that PostgreSQL runs there, and the user, password and database", err)
	}
	return db, nil
}

// openBucket is OpenRemote without a database.
func openBucket(ctx context.Context, o S3) (r *Remote, err error) {
	r = &Remote{}
	defer func() {
		if err != nil {
			_ = r.Close() // the first error is the one to tell
		}
	}()
	stores, err := o.Stores()
	if err != nil {
		return r, err
	}
	for _, one := range stores {
		door, err := s3.Open(one)
		if err != nil {
			return r, bad("s3-endpoint", one.Endpoint, "%v: check this, --s3-bucket and --s3-prefix", err)
		}
		r.doors = append(r.doors, door)
		if err := door.CheckBucket(ctx); err != nil {
			return r, bad("s3-bucket", o.Bucket, "%v: check --s3-endpoint %s, --s3-access-key %s with its --s3-secret-key, and --s3-region %s", err, one.Endpoint, one.AccessKey, one.Region)
		}
	}
	if len(r.doors) == 0 {
		return r, bad("s3-endpoint", `""`, "give the address of the object store and the other --s3 flags, as the servers have them")
	}
	r.Blobs = r.doors[0]
	return r, nil
}

// Stores says how the bucket is reached, once for each endpoint; nothing when none is named.
func (o S3) Stores() (all []s3.Options, err error) {
	ca, err := readCA("s3-ca-file", o.CAFile)
	if err != nil {
		return nil, err
	}
	if len(o.Endpoint) > 0 && o.Bucket == "" {
		return nil, bad("s3-bucket", `""`, "give the name of an existing bucket")
	}
	for _, endpoint := range o.Endpoint {
		all = append(all, s3.Options{
			Endpoint: endpoint, Region: o.Region, Bucket: o.Bucket, Prefix: o.Prefix,
			AccessKey: o.AccessKey, SecretKey: o.SecretKey, CA: ca,
		})
	}
	return all, nil
}

// prove refuses a bucket that could lose or double records: one whose rules would delete fences (data-plane.md,
// rule 8), or that does not keep conditional creation (rule 20).
func (r *Remote) prove(ctx context.Context, log *slog.Logger) error {
	note, err := r.Blobs.CheckLifecycle(ctx)
	if err != nil {
		return err
	}
	if note != "" {
		log.Warn("lifecycle rules of the bucket were not checked", "reason", note)
	}
	// Nothing stands there: it is the right to look for former versions that is tried.
	if err := r.Blobs.Forget(ctx, "keys/none/", true); err != nil {
		log.Warn("the keys of streams that are erased could not be destroyed here", "error", err)
	}
	stores, names := make([]blob.Store, len(r.doors)), make([]string, len(r.doors))
	for i, d := range r.doors {
		stores[i], names[i] = d, d.Endpoint()
	}
	if err := blob.ProveConditionalCreate(ctx, stores, "", blob.GateOptions{Names: names}); err != nil {
		return fmt.Errorf("this bucket cannot hold records safely: %w", err)
	}
	return nil
}

// Close lets go of the database and the connections.
func (r *Remote) Close() error {
	var errs []error
	for _, d := range r.doors {
		errs = append(errs, d.Close())
	}
	if r.DB != nil {
		errs = append(errs, r.DB.Close())
	}
	return errors.Join(errs...)
}

// objects is the bucket's server, for deliveries that name none of their own. Into the bucket itself nothing is delivered,
// whatever its prefix: others may be in it.
func (r *Remote) objects(o S3) delivery.S3 {
	ca, err := readCA("s3-ca-file", o.CAFile)
	if err != nil {
		ca = nil // it was read a moment ago
	}
	return delivery.S3{
		Endpoint: r.Blobs.Endpoint(), Region: o.Region, Credentials: r.Blobs.Credentials(), CA: ca, Bucket: o.Bucket, Doors: o.Endpoint,
	}
}

// journal is where the catalog's changes are kept in the bucket; log may be nil.
func (r *Remote) journal(log *slog.Logger) *journal.Log {
	l := journal.New(r.Blobs, func(ctx context.Context, s leat.SessionID) (bool, error) {
		segments, err := r.Blobs.List(ctx, "wal/"+s.String()+"/", "", 1)
		if err != nil || len(segments) > 0 {
			return len(segments) > 0, err
		}
		_, err = r.Blobs.Stat(ctx, shardstore.ClosingKey(s))
		if errors.Is(err, blob.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	l.Logger = log
	return l
}

// now asks the database for the time (data-plane.md, rule 19).
func (r *Remote) now() (time.Time, error) {
	const wait = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var micros int64
	err := r.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(&micros)
	})
	return time.UnixMicro(micros), err
}

// Serve opens `leat serve`: Postgres and an S3-compatible bucket. Whatever can be told of the settings without these is told
// before either is touched.
func Serve(ctx context.Context, c ServeConfig, version string) (_ *Server, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tracer, log, err := c.tracer(version, c.nodeName(), c.logger())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = tracer.Close()
		}
	}()
	var token *auth.Bootstrap // without it on loopback alone: Validate saw to it
	if c.Token != "" {
		if token, err = auth.NewBootstrap(c.Token, leat.DevAccount); err != nil {
			return nil, err
		}
	}
	master, err := c.masterKeys(log)
	if err != nil {
		return nil, err
	}
	book, err := priceBook(c.PriceBook)
	if err != nil {
		return nil, err
	}
	between, err := c.peerFiles(log)
	if err != nil {
		return nil, err
	}
	doors, err := openDoors(ctx, &c.Common, c.PeerAddr, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			doors.shut()
		}
	}()
	address, err := c.address(doors.forNodes())
	if err != nil {
		return nil, err
	}
	remote, err := openRemote(ctx, sqldb.Config{Postgres: c.Postgres, Logger: log, Tracer: tracer}, c.S3)
	if err != nil {
		return nil, err
	}
	if err := remote.prove(ctx, log); err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	params := shardstore.DefaultParams()
	c.tune(&params)
	blobs := newMeasuredStore(remote.Blobs, tracer)
	return build(ctx, parts{
		common: c.Common, version: version, log: log, db: remote.DB, driver: wal.NewObjects(blobs),
		logParams: c.logParams(), blobs: blobs, bucket: c.S3.Bucket, params: params, node: c.nodeName(), bootstrap: token, signed: true, master: master,
		objects: remote.objects(c.S3),
		journal: remote.journal(log), reference: remote.now, shared: c.Share, token: c.Token, settings: c.redact(), address: address,
		peerTLS: between, book: book, doors: doors, tracer: tracer, close: []io.Closer{tracer, remote},
	})
}

// peerFiles reads the certificates for calls between nodes; nil when none are given.
func (c *ServeConfig) peerFiles(log *slog.Logger) (*forward.TLS, error) {
	if c.PeerCert == "" {
		return nil, nil //nolint:nilnil // such calls are not encrypted
	}
	files, err := forward.NewTLS(forward.TLSFiles{Cert: c.PeerCert, Key: c.PeerKey, CA: c.PeerCA}, leat.SystemClock{}, log)
	if err != nil {
		return nil, bad("peer-tls-cert", c.PeerCert, "with --peer-tls-key %s and --peer-tls-ca %s it cannot be used (%v): give this node's certificate, its key and their authorities as PEM files", c.PeerKey, c.PeerCA, err)
	}
	return files, nil
}

func (c *ServeConfig) nodeName() string {
	if c.Node != "" {
		return c.Node
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "node"
}
