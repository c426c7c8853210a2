// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore/blob"
)

// manifestPrefix is where manifests are in the bucket: usage/<YYYY-MM>/<session>/<number>, JSON under zstd. Nothing deletes them.
const manifestPrefix = "usage/"

// manifestsAtOnce is how many are read from the database at once.
const manifestsAtOnce = 50

// queued is a manifest on its way into the bucket.
type queued struct {
	session leat.SessionID
	number  uint64
	month   string
	body    string
}

func (q *queued) key() string { return catalog.ManifestKey(q.month, q.session, q.number) }

// WriteManifests moves what registered packs hold into the bucket. Each is written if it is absent, and leaves the database once it stands
// there; nodes may do this at the same time.
func (b *Billing) WriteManifests(ctx context.Context) (n int, err error) {
	if b.opts.Blobs == nil {
		return 0, nil
	}
	for {
		some, err := b.queuedManifests(ctx, manifestsAtOnce)
		if err != nil || len(some) == 0 {
			return n, err
		}
		for i := range some {
			if err := b.writeManifest(ctx, &some[i]); err != nil {
				return n, err
			}
			n++
		}
	}
}

func (b *Billing) queuedManifests(ctx context.Context, limit int) (all []queued, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT session, number, month, body FROM manifests ORDER BY month, session, number LIMIT $1", func(scan sqldb.Scan) error {
			var q queued
			err := scan(sqldb.ID(&q.session), sqldb.U64(&q.number), &q.month, &q.body)
			all = append(all, q)
			return err
		}, limit)
	})
	return all, err
}

func (b *Billing) writeManifest(ctx context.Context, q *queued) error {
	body, err := compress([]byte(q.body))
	if err != nil {
		return err
	}
	err = b.opts.Blobs.Create(ctx, q.key(), body)
	if errors.Is(err, blob.ErrExists) {
		var there []byte
		if there, err = readManifest(ctx, b.opts.Blobs, q.key()); err == nil && !bytes.Equal(there, []byte(q.body)) {
			err = leat.Errorf(leat.KindCorrupt, "object %s is not what the database says of that pack", q.key())
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", q.key(), err)
	}
	return b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM manifests WHERE session = $1 AND number = $2 AND month = $3", q.session, q.number, q.month)
		return err
	})
}

// EachManifest reads the manifests in a bucket of the sessions that are wanted, several at once, and hands over one at a time, in no
// order. It ends with the first error.
func EachManifest(ctx context.Context, blobs blob.Store, wanted func(leat.SessionID) bool, each func(*catalog.Manifest) error) error {
	const parallel = 16
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for info, err := range blob.All(gctx, blobs, manifestPrefix) {
		if err != nil {
			if worker := g.Wait(); worker != nil {
				return worker // it ended the walk
			}
			return fmt.Errorf("list %s: %w", manifestPrefix, err)
		}
		if parts := strings.Split(info.Key, "/"); len(parts) == 4 {
			if session, err := leat.ParseID[leat.SessionID](parts[2]); err == nil && !wanted(session) {
				continue
			}
		}
		g.Go(func() error {
			text, err := readManifest(gctx, blobs, info.Key)
			if err != nil {
				return fmt.Errorf("read %s: %w", info.Key, err)
			}
			m, err := parseManifest(info.Key, text)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return each(m)
		})
	}
	return g.Wait()
}

func compress(text []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.EncodeAll(text, nil), nil
}

// largestManifest bounds what a damaged object may decompress to.
const largestManifest = 256 << 20

func readManifest(ctx context.Context, blobs blob.Store, key string) ([]byte, error) {
	body, err := blobs.Read(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(largestManifest))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := r.DecodeAll(body, nil)
	if err != nil {
		return nil, leat.Errorf(leat.KindCorrupt, "object %s: %v", key, err)
	}
	return text, nil
}

func parseManifest(key string, text []byte) (*catalog.Manifest, error) {
	var m catalog.Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, leat.Errorf(leat.KindCorrupt, "object %s: %v", key, err)
	}
	if m.Format != 1 {
		return nil, leat.Errorf(leat.KindUnsupported, "object %s has format %d: use a newer leat", key, m.Format)
	}
	if want := catalog.ManifestKey(m.Month, m.Session, m.Number); want != key {
		return nil, leat.Errorf(leat.KindCorrupt, "object %s says that it is %s", key, want)
	}
	return &m, nil
}
