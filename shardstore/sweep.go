// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
)

const (
	sweepEvery = time.Hour
	sweepBatch = 500
	sweepLeast = 20 // so many orphans are never too many
)

// sweepDue looks for orphans at most once an hour. The list of a large bucket costs money, and orphans only space.
func (s *Store) sweepDue(ctx context.Context, now time.Time) error {
	if s.cfg.SessionClosed == nil || now.Sub(s.keeper.swept) < sweepEvery {
		return nil
	}
	s.keeper.swept = now
	if err := s.sweep(ctx, now); err != nil {
		return fmt.Errorf("sweep orphans: %w", err)
	}
	return nil
}

// sweep deletes packs, and second names of log files, that nothing names (data-plane.md, rule 7): written by a session that ended before it registered
// them, or by a merge that was overtaken. Only packs of closed sessions are looked at, because a closed session registers
// nothing more, and only old ones. A sweep that would delete more than a tenth of all packs deletes nothing: rather than
// with so many orphans it has to do with a catalog that is not the one of this bucket. Segments are not swept: a closed
// session's segments go with its last row (rule 12), and its fence stays for ever.
func (s *Store) sweep(ctx context.Context, now time.Time) error {
	before := now.Add(-s.cfg.Params.SweepAfter)
	w := sweeper{s: s, closed: map[leat.SessionID]bool{}}
	for _, prefix := range []string{packPrefix, keptPrefix} {
		if err := w.list(ctx, prefix, before); err != nil {
			return err
		}
	}
	if most := max(sweepLeast, w.listed/10); len(w.orphans) > most {
		return leat.Errorf(leat.KindInternal, "%d of %d packs are named by nothing, more than the %d that one sweep may delete: is this the catalog of this bucket? nothing was deleted", len(w.orphans), w.listed, most)
	}
	for _, key := range w.orphans {
		if err := s.cfg.Blobs.Delete(ctx, key); err != nil {
			return err
		}
		s.stats.swept.Add(1)
	}
	if len(w.orphans) > 0 {
		s.cfg.Logger.Info("swept orphans", "packs", len(w.orphans), "of", w.listed)
	}
	return nil
}

// sweeper is one sweep.
type sweeper struct {
	s       *Store
	listed  int
	closed  map[leat.SessionID]bool // what is known of sessions
	old     []oldPack               // to be judged
	orphans []string
}

type oldPack struct {
	key     string
	session leat.SessionID
}

// list finds the orphans among the objects with a prefix.
func (w *sweeper) list(ctx context.Context, prefix string, before time.Time) error {
	for info, err := range blob.All(ctx, w.s.cfg.Blobs, prefix) {
		if err != nil {
			return err
		}
		w.listed++
		session, ok := packSession(strings.TrimPrefix(info.Key, prefix))
		if !ok || session == w.s.cfg.Session || !info.Modified.Before(before) {
			continue
		}
		w.old = append(w.old, oldPack{info.Key, session})
		if len(w.old) == sweepBatch {
			if err := w.judge(ctx); err != nil {
				return err
			}
		}
	}
	return w.judge(ctx)
}

// judge sorts the orphans out of the old packs.
func (w *sweeper) judge(ctx context.Context) error {
	if err := w.askSessions(ctx); err != nil {
		return err
	}
	var keys []string
	for _, o := range w.old {
		if w.closed[o.session] {
			keys = append(keys, o.key)
		}
	}
	w.old = w.old[:0]
	if len(keys) == 0 {
		return nil
	}
	named, err := w.s.cfg.Index.Named(ctx, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !named[key] {
			w.orphans = append(w.orphans, key)
		}
	}
	return nil
}

// askSessions learns which sessions of the old packs are closed.
func (w *sweeper) askSessions(ctx context.Context) error {
	var ask []leat.SessionID
	for _, o := range w.old {
		if _, known := w.closed[o.session]; !known && !slices.Contains(ask, o.session) {
			ask = append(ask, o.session)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	closed, err := w.s.cfg.SessionClosed(ctx, ask)
	if err != nil {
		return err
	}
	for _, id := range ask {
		w.closed[id] = closed[id]
	}
	return nil
}

// packSession reads the session out of a pack's key, without the prefix.
func packSession(rest string) (leat.SessionID, bool) {
	id, _, ok := strings.Cut(rest, "/")
	if !ok {
		return leat.SessionID{}, false
	}
	session, err := leat.ParseID[leat.SessionID](id)
	return session, err == nil
}
