// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// Recover implements Driver, rule 10 to the letter.
func (d *Objects) Recover(ctx context.Context, s leat.SessionID, trim uint64, o RecoverOptions) (Recovered, error) {
	if err := o.fill(); err != nil {
		return Recovered{}, err
	}
	r := &objectsRecovery{d: d, s: s, trim: trim, o: &o}
	scan := newAhead(ctx, r.look)
	defer scan.stop()
	var rec Recovered
	lost := 0 // races for the fence at one place
	for n := trim; ; {
		f, err := scan.at(n)
		switch {
		case errors.Is(err, blob.ErrNotFound):
			fenced, err := r.missing(ctx, n)
			if err != nil {
				return Recovered{}, err
			}
			if fenced {
				rec.Fence = n
				return rec, nil
			}
			if lost++; lost == recoverTries {
				return Recovered{}, leat.Errorf(leat.KindInternal, "the store says that %s exists and that it does not", Key(s, n))
			}
			scan.again() // somebody was faster: look what stands there
		case err != nil:
			return Recovered{}, err
		case f.Header.Kind == segment.KindFence:
			rec.Fence = n
			return rec, nil
		default:
			rec.add(s, n, f)
			n, lost = n+1, 0
		}
	}
}

// objectsRecovery is one run of Recover.
type objectsRecovery struct {
	d    *Objects
	s    leat.SessionID
	trim uint64
	o    *RecoverOptions
}

// look reads the footer of object n. blob.ErrNotFound only when the store said so.
func (r *objectsRecovery) look(ctx context.Context, n uint64) (f *segment.Footer, err error) {
	err = r.o.retry(ctx, func() error {
		if f, err = r.d.footer(ctx, Key(r.s, n)); err != nil {
			return err
		}
		return r.o.check(r.s, n, &f.Header)
	})
	return f, err
}

// footer reads an object's footer with one request if the object is small, two or three otherwise.
func (d *Objects) footer(ctx context.Context, key string) (*segment.Footer, error) {
	suffix, err := d.store.Read(ctx, key, -segment.SuffixSize, -1)
	if err != nil {
		return nil, err
	}
	size := int64(len(suffix))
	if size == segment.SuffixSize {
		info, err := d.store.Stat(ctx, key)
		if err != nil {
			return nil, err
		}
		size = info.Size
	}
	f, need, err := segment.ParseFooter(suffix, size)
	if err == nil && need > 0 {
		if suffix, err = d.store.Read(ctx, key, -need, -1); err != nil {
			return nil, err
		}
		if f, need, err = segment.ParseFooter(suffix, size); err == nil && need > 0 {
			err = leat.Errorf(leat.KindCorrupt, "the end of the object came short")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return f, nil
}

// missing deals with the first segment that is not there: unless that proves something else, a fence goes in its place.
// false: another object came to stand there meanwhile.
func (r *objectsRecovery) missing(ctx context.Context, n uint64) (fenced bool, err error) {
	if err := r.o.closed(ctx, r.s); err != nil {
		return false, err
	}
	if err := r.beyond(ctx, n); err != nil {
		if errors.Is(err, ErrStaleCatalog) {
			// A session that still writes, or another recoverer, may have filled the gap and gone on between the look and
			// the listing: then there is no gap.
			if _, again := r.look(ctx, n); again == nil {
				return false, nil
			}
		}
		return false, err
	}
	fence := r.o.fenceOf(r.s, n, r.trim)
	err = r.o.retry(ctx, func() error { return r.d.store.Create(ctx, Key(r.s, n), fence) })
	switch {
	case errors.Is(err, blob.ErrExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("fence session %s at segment %d: %w", r.s, n, err)
	}
	r.o.Logger.Info("session fenced", "session", r.s, "segment", n)
	return true, nil
}

// beyond looks at what lies behind a missing segment. The session never went WindowSize ahead of it, trimmed nothing
// that was not durable, and nobody fences behind a gap: such objects say that segment n was there once.
func (r *objectsRecovery) beyond(ctx context.Context, n uint64) error {
	var page []blob.Info
	err := r.o.retry(ctx, func() (err error) {
		page, err = r.d.store.List(ctx, prefix(r.s), Key(r.s, n), 2*WindowSize)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the log of session %s: %w", r.s, err)
	}
	for _, info := range page {
		s, m, ok := ParseKey(info.Key)
		if !ok || s != r.s {
			return leat.Errorf(leat.KindCorrupt, "%s has no place in a session's log", info.Key)
		}
		if m >= n+WindowSize {
			return stale(r.s, n, "%s stands", info.Key)
		}
		h, err := r.header(ctx, m)
		if err != nil {
			return err
		}
		if h.Trim > n {
			return stale(r.s, n, "%s was written when segments below %d were trimmed", info.Key, h.Trim)
		}
		if h.Kind == segment.KindFence {
			return stale(r.s, n, "the fence %s stands", info.Key)
		}
	}
	return nil
}

// header reads the header of object n.
func (r *objectsRecovery) header(ctx context.Context, n uint64) (h segment.Header, err error) {
	err = r.o.retry(ctx, func() error {
		b, err := r.d.store.Read(ctx, Key(r.s, n), 0, segment.HeaderSize)
		if err != nil {
			return err
		}
		if h, err = segment.ParseHeader(b); err != nil {
			return err
		}
		return r.o.check(r.s, n, &h)
	})
	if err != nil {
		err = fmt.Errorf("header of %s: %w", Key(r.s, n), err)
	}
	return h, err
}
