// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/gob"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore/blob"
)

// What must be the same at every try and cannot be made again is kept in Leat's own bucket until the plan is committed for ever:
// with a ledger, when that says so. For an encrypted stream it is sealed, as the stream's records are:
//
//	delivery/<plan>         gob of stagedResult, the outcome of transforms, or, of an encrypted stream,
//	    "leat-outcome 1\n" · 16 the stream's key · 32 salt · the gob, sealed with AES-256-GCM: nonce 0, the rest before it as
//	    additional data, the key by HKDF-SHA256 from the stream's key, the salt, and the object's name
//	delivery/<plan>-sent    JSON: requests that were given up (send.go)

const stagingRoot = "delivery/"

// stagingKey is where the outcome of a plan's transforms is kept.
func stagingKey(plan string) string { return stagingRoot + plan }

// stagedResult is how the outcome of transforms is kept.
type stagedResult struct {
	Version int // 1
	Result  spec.Result
	Counts  []uint64 // how many records of each part of the plan were there
}

// staged runs transforms whose outcome may be another one next time. The first outcome that is kept counts, whoever it
// came from.
func (j *job) staged(ctx context.Context) (spec.Result, error) {
	if r, err := j.readStaged(ctx); !errors.Is(err, blob.ErrNotFound) {
		return r, err
	}
	r, err := j.apply(ctx)
	if err != nil {
		return r, err
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(stagedResult{Version: 1, Result: r, Counts: j.counts()}); err != nil {
		return r, err
	}
	body := b.Bytes()
	if len(j.records) > 0 { // otherwise the stream may be no more
		if body, err = j.e.sealOutcome(j.delivery.Stream, stagingKey(j.p.id), body); err != nil {
			return r, err
		}
	}
	switch err := j.e.cfg.Blobs.Create(ctx, stagingKey(j.p.id), body); {
	case errors.Is(err, blob.ErrExists):
		return j.readStaged(ctx)
	case err != nil:
		return r, err
	}
	return r, nil
}

func (j *job) readStaged(ctx context.Context) (spec.Result, error) {
	info, err := j.e.cfg.Blobs.Stat(ctx, stagingKey(j.p.id))
	if err != nil {
		return spec.Result{}, err
	}
	for j.room.made.Add(info.Size); j.room.left() < 0; {
		if err := j.room.more(ctx); err != nil {
			return spec.Result{}, err
		}
	}
	body, err := j.e.cfg.Blobs.Read(ctx, stagingKey(j.p.id), 0, -1)
	if err == nil {
		body, err = j.e.openOutcome(stagingKey(j.p.id), body)
	}
	if err != nil {
		return spec.Result{}, err
	}
	var s stagedResult
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&s); err != nil || s.Version != 1 {
		return spec.Result{}, leat.Errorf(leat.KindCorrupt, "what is kept of the transforms of plan %s cannot be read", j.p.id)
	}
	err = j.relocate(&s.Result, s.Counts)
	return s.Result, err
}

const (
	outcomeForm = "leat-outcome 1\n"
	outcomeSalt = 32
	outcomeHead = len(outcomeForm) + len(leat.KeyID{}) + outcomeSalt
)

// sealOutcome seals what is kept of an encrypted stream's records, and leaves others' as it is.
func (e *Engine) sealOutcome(stream leat.StreamID, name string, plain []byte) ([]byte, error) {
	if e.cfg.Keys == nil {
		return plain, nil
	}
	key, err := e.cfg.Keys.Current(stream)
	if err != nil || key.ID.IsZero() {
		return plain, err
	}
	head := append(make([]byte, 0, outcomeHead+len(plain)+16), outcomeForm...)
	head = append(head, key.ID[:]...)
	head = head[:outcomeHead]
	if _, err := io.ReadFull(rand.Reader, head[outcomeHead-outcomeSalt:]); err != nil {
		return nil, err
	}
	aead, err := outcomeCipher(key.Secret, head, name)
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, make([]byte, aead.NonceSize()), plain, head), nil
}

// openOutcome undoes sealOutcome.
func (e *Engine) openOutcome(name string, body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte(outcomeForm)) || len(body) < outcomeHead {
		return body, nil
	}
	if e.cfg.Keys == nil {
		return nil, leat.Errorf(leat.KindUnavailable, "what is kept of the transforms is sealed, and no master key was given here (--master-key-file)")
	}
	head := body[:outcomeHead:outcomeHead]
	secret, err := e.cfg.Keys.Key(leat.KeyID(head[len(outcomeForm):]))
	if err != nil {
		return nil, err
	}
	aead, err := outcomeCipher(secret, head, name)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), body[outcomeHead:], head)
	if err != nil {
		return nil, leat.Errorf(leat.KindCorrupt, "%s does not open: its bytes or its name were changed", name)
	}
	return plain, nil
}

// outcomeCipher is an object's own cipher: no other one has the same key.
func outcomeCipher(secret, head []byte, name string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, head[outcomeHead-outcomeSalt:], "leat outcome 1 "+name, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// unstage lets go of what was kept of a plan.
func (e *Engine) unstage(ctx context.Context, plan string) {
	for _, key := range []string{stagingKey(plan), sentKey(plan)} {
		if err := e.cfg.Blobs.Delete(ctx, key); err != nil {
			e.cfg.Logger.Warn("what was kept of a committed plan stays", "plan", plan, "error", err)
		}
	}
}

// settle lets go of what was kept of the last plans of a shard, after which none comes whose entry in the ledger would say that
// they were committed: an entry of their own does.
func (e *Engine) settle(ctx context.Context, delivery, track string, ordinal uint64) error {
	if !e.cfg.Ledger {
		return nil
	}
	last, err := e.tables.before(ctx, delivery, &plan{track: track, parts: []Part{{Shard: ordinal}}})
	if err != nil {
		return err
	}
	for i := range last {
		p := &last[i]
		kept, err := e.cfg.Blobs.List(ctx, stagingKey(p.id), "", 1)
		if err != nil {
			return err
		}
		if len(kept) == 0 {
			continue
		}
		if err := e.enterAt(ctx, ledgerKey(delivery, track, p)+"-committed", &posted{Delivery: delivery, Track: track, Plan: post(p)}); err != nil {
			return err
		}
		e.unstage(ctx, p.id)
	}
	return nil
}

// sweep lets go of what others left behind: of plans of delivery streams that are no more, and, without a ledger, of plans that are
// committed. A plan is in the catalog before anything is kept of it.
func (e *Engine) sweep(ctx context.Context) {
	for info, err := range blob.All(ctx, e.cfg.Blobs, stagingRoot) {
		var over bool
		id := planOf(info.Key)
		if err == nil {
			over, err = e.over(ctx, id)
		}
		if err != nil {
			e.cfg.Logger.Debug("what is kept of plans cannot be looked through", "error", err)
			return
		}
		if over {
			e.unstage(ctx, id)
		}
	}
}

// over tells whether nobody will ask for what was kept of a plan.
func (e *Engine) over(ctx context.Context, id string) (bool, error) {
	p, err := e.tables.planned(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return err == nil && !e.cfg.Ledger && p.state != planned, err
}

// removeAll takes a delivery stream out of the catalog. What was kept of its plans goes from the bucket beside that: there may be many,
// and the bucket may not answer.
func (e *Engine) removeAll(ctx context.Context, delivery string) error {
	left, err := e.tables.leftAt(ctx, delivery)
	if err != nil {
		return err
	}
	if err := e.tables.remove(ctx, delivery); err != nil || len(left) == 0 {
		return err
	}
	e.mu.Lock()
	e.left = append(e.left, left...)
	e.mu.Unlock()
	select {
	case e.tidy <- struct{}{}:
	default: // it is told
	}
	return nil
}

// tidyUp lets go of what others left behind, and then, until ctx ends, of what is kept of plans of delivery streams that are deleted.
func (e *Engine) tidyUp(ctx context.Context) {
	for e.sweep(ctx); ; {
		select {
		case <-e.tidy:
		case <-ctx.Done():
			return
		}
		e.mu.Lock()
		left := e.left
		e.left = nil
		e.mu.Unlock()
		if err := e.unstageAll(ctx, left); err != nil {
			e.cfg.Logger.Warn("what was kept of plans of deleted delivery streams stays until a server is started", "plans", len(left), "error", err)
		}
	}
}

// The bounds of unstageAll.
const (
	unstageTakes  = 5 * time.Minute
	unstageAtOnce = 16
)

// unstageAll lets go of what is kept of plans, of most of which there is nothing: it looks.
func (e *Engine) unstageAll(ctx context.Context, plans []string) error {
	ctx, cancel := context.WithTimeout(ctx, unstageTakes)
	defer cancel()
	over := map[string]bool{}
	for _, id := range plans {
		over[id] = true
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(unstageAtOnce)
	for info, err := range blob.All(gctx, e.cfg.Blobs, stagingRoot) {
		if err != nil {
			return errors.Join(g.Wait(), err)
		}
		if over[planOf(info.Key)] {
			g.Go(func() error { return e.cfg.Blobs.Delete(gctx, info.Key) })
		}
	}
	return g.Wait()
}

// planOf is the plan that an object is kept of.
func planOf(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, stagingRoot), sentSuffix)
}

// leftAt are the plans of a delivery stream of which something may be kept: those that its cursors are tied to, or were last.
func (t *tables) leftAt(ctx context.Context, delivery string) (ids []string, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		ids = nil
		return tx.Each("SELECT plan FROM delivery_cursors WHERE delivery = $1 AND plan <> '' UNION SELECT last FROM delivery_cursors WHERE delivery = $1 AND last <> ''", func(scan sqldb.Scan) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		}, delivery)
	})
	return ids, err
}
