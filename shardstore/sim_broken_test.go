// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// Each of these worlds breaks one rule below the engine. The simulation must see it: this shows that it can fail, and
// that the rule is needed.
func TestSimulationSeesBrokenRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules string // what may be complained of
		wreck func(*sim)
	}{
		{"rule 2: a 412 is success", `I[1-4]`, func(w *sim) {
			w.wrap = func(d wal.Driver) wal.Driver { return trusting{d} }
		}},
		{"rule 1: an answer without a write", `I[1-4]|fsck|cannot be re`, func(w *sim) {
			w.wrap = func(d wal.Driver) wal.Driver {
				return &forgetful{Driver: d, rng: rand.New(rand.NewPCG(w.rng.Uint64(), 1))}
			}
		}},
		{"rule 13: a probe that never sees the fence", `I13`, func(w *sim) {
			w.wrap = func(d wal.Driver) wal.Driver { return blind{d} }
		}},
		{"rule 13: the successor does not wait", `I13`, func(w *sim) { w.noWait = true }},
		{"rule 15: a shard is handed over before it is released", `I[1-7]|I13|fsck|I15|no session can be opened`, func(w *sim) { w.hasty = true }},
		{"rule 8: fences are deleted", `I[1-6]`, func(w *sim) {
			w.meddle = func(ctx context.Context, b blob.Store, id leat.SessionID, fence uint64) {
				_ = b.Delete(ctx, wal.Key(id, fence))
			}
		}},
		{"rule 11: the second recoverer ignores closed/", `I5`, func(w *sim) {
			w.recoverer = func(o shardstore.Recovery, i int) shardstore.Recovery {
				if i == 1 {
					o.Blobs = unclosed{o.Blobs}
				}
				return o
			}
		}},
		{"rule 7: a registration whose answer was lost is done again", `I15|fsck|I[1-7]|no session can be opened`, func(w *sim) {
			w.index.broken = brokenIndex{noNumbers: true, anyTrim: true, anyPlace: true}
			w.chaos = 0.03
		}},
		{"rule 6: trim is taken of sessions that are not live", `I15|fsck|I[1-7]|no session can be opened`, func(w *sim) {
			w.index.broken = brokenIndex{anyState: true, anyTrim: true, anyPlace: true}
		}},
		{"rule 6: a segment is deleted that an extent stays in", `fsck|I[1-7]|missing`, func(w *sim) {
			w.index.broken = brokenIndex{trimsAll: true}
			w.params.KeepBytes, w.params.KeepRows = 1, 100
			w.keepFor(24 * time.Hour) // or nothing would be missed
		}},
		{"rule 17: an object goes with the first of its extents", `fsck|I[1-7]|missing`, func(w *sim) {
			w.index.broken = brokenIndex{hasty: true}
			w.params.KeepBytes, w.params.KeepRows = 1, 100
			w.keepFor(24 * time.Hour) // or nothing would be missed
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sawBroken(t, regexp.MustCompile(c.rules), c.wreck)
		})
	}
}

// sawBroken runs wrecked worlds until one is noticed for what it is: what follows from a broken rule may be seen first.
func sawBroken(t *testing.T, rules *regexp.Regexp, wreck func(*sim)) {
	t.Helper()
	const tries = 150
	base := rand.Uint64()
	t.Logf("seeds from %d on", base)
	var found, other error
	for i := range uint64(tries) {
		synctest.Test(t, func(t *testing.T) {
			w := newSim(t, base+i)
			wreck(w)
			found = w.run(4, 60)
			for _, nd := range w.nodes {
				nd.s.Fail(errors.New("over"))
			}
		})
		if found != nil && rules.MatchString(found.Error()) {
			return
		}
		other = cmp.Or(found, other)
	}
	if other != nil {
		t.Fatalf("only something else was noticed: %v", other)
	}
	t.Fatal("nobody noticed")
}

// trusting takes every 412 for its own earlier try.
type trusting struct{ wal.Driver }

func (d trusting) Write(ctx context.Context, s leat.SessionID, n uint64, b []byte) error {
	if err := d.Driver.Write(ctx, s, n, b); !errors.Is(err, wal.ErrFenced) {
		return err
	}
	return nil
}

func (d trusting) Verify(ctx context.Context, s leat.SessionID, n uint64, h []byte) (wal.State, error) {
	state, err := d.Driver.Verify(ctx, s, n, h)
	if state == wal.StateForeign && len(h) > 0 {
		state = wal.StateOurs
	}
	return state, err
}

// forgetful answers some writes without doing them.
type forgetful struct {
	wal.Driver
	rng *rand.Rand
}

func (d *forgetful) Write(ctx context.Context, s leat.SessionID, n uint64, b []byte) error {
	if n > 0 && rand.N(20) == 0 {
		return nil
	}
	return d.Driver.Write(ctx, s, n, b)
}

// blind finds nothing wherever it looks.
type blind struct{ wal.Driver }

func (d blind) Verify(context.Context, leat.SessionID, uint64, []byte) (wal.State, error) {
	return wal.StateAbsent, nil
}

// unclosed hides closed/<session> and writes it whether it exists or not.
type unclosed struct{ blob.Store }

func (u unclosed) Stat(ctx context.Context, key string) (blob.Info, error) {
	if isClosing(key) {
		return blob.Info{}, fmt.Errorf("%s: %w", key, blob.ErrNotFound)
	}
	return u.Store.Stat(ctx, key)
}

func (u unclosed) Read(ctx context.Context, key string, off, length int64) ([]byte, error) {
	if isClosing(key) {
		return nil, fmt.Errorf("%s: %w", key, blob.ErrNotFound)
	}
	return u.Store.Read(ctx, key, off, length)
}

func (u unclosed) Create(ctx context.Context, key string, body []byte) error {
	if isClosing(key) {
		if err := u.Delete(ctx, key); err != nil {
			return err
		}
	}
	return u.Store.Create(ctx, key, body)
}

func isClosing(key string) bool {
	return len(key) > 7 && key[:7] == "closed/"
}
