// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// RecoverOptions are what Recover needs beside the session.
type RecoverOptions struct {
	Cluster leat.ClusterID // of the fence; segments of another cluster are refused unless it is zero
	// ClosedExists tells whether closed/<session> stands. It is asked at every first missing segment.
	ClosedExists func(ctx context.Context) (bool, error)
	Clock        leat.Clock   // nil for the machine's
	Rand         io.Reader    // the fence's nonce; nil for crypto/rand
	Logger       *slog.Logger // nil for none
}

// Recovered is what the log of a session holds that is over.
type Recovered struct {
	Fence    uint64             // all acked segments lie below; what lies beyond never counts
	Segments []RecoveredSegment // from trim to Fence, without a gap
	Clean    bool               // the last segment closes the session in order
}

// RecoveredSegment is one segment's table of contents; its extents name the object that they are in.
type RecoveredSegment struct {
	N      uint64
	Footer *segment.Footer
}

func (o *RecoverOptions) fill() error {
	if o.ClosedExists == nil {
		return errors.New("wal: RecoverOptions need ClosedExists")
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// add appends segment n.
func (r *Recovered) add(s leat.SessionID, n uint64, f *segment.Footer) {
	for i := range f.Extents {
		f.Extents[i].Object = Key(s, n)
	}
	r.Clean = false
	for _, c := range f.Controls {
		r.Clean = r.Clean || c.Kind == segment.ControlClose
	}
	r.Segments = append(r.Segments, RecoveredSegment{n, f})
}

// fenceOf makes the fence for place n.
func (o *RecoverOptions) fenceOf(s leat.SessionID, n, trim uint64) []byte {
	return segment.Fence(segment.Header{
		Cluster: o.Cluster, Session: s, N: n, Trim: trim,
		Nonce: leat.NewID[leat.SessionID](o.Rand), Created: leat.Micros(o.Clock.Now()),
	})
}

// check tells whether a header belongs at place n of the session.
func (o *RecoverOptions) check(s leat.SessionID, n uint64, h *segment.Header) error {
	switch {
	case h.Session != s || h.N != n:
		return leat.Errorf(leat.KindCorrupt, "%s holds segment %d of session %s", Key(s, n), h.N, h.Session)
	case h.Kind != segment.KindSegment && h.Kind != segment.KindFence:
		return leat.Errorf(leat.KindCorrupt, "%s holds a %s", Key(s, n), h.Kind)
	case o.Cluster != leat.ClusterID{} && h.Cluster != o.Cluster:
		return leat.Errorf(leat.KindCorrupt, "%s belongs to cluster %s, not to %s", Key(s, n), h.Cluster, o.Cluster)
	}
	return nil
}

// closed answers ErrClosed when the session's end is decided.
func (o *RecoverOptions) closed(ctx context.Context, s leat.SessionID) error {
	return o.retry(ctx, func() error {
		exists, err := o.ClosedExists(ctx)
		if err == nil && exists {
			return fmt.Errorf("session %s: %w", s, ErrClosed)
		}
		return err
	})
}

// stale is the refusal of a catalog that is older than the log.
func stale(s leat.SessionID, n uint64, format string, args ...any) error {
	return &leat.Error{
		Kind: leat.KindCorrupt, Err: ErrStaleCatalog,
		Message: fmt.Sprintf("session %s: segment %d is missing, but %s: the catalog is older than the log (was it restored from a backup?); run `leat rebuild`", s, n, fmt.Sprintf(format, args...)),
	}
}

// Recovery asks a store that does not answer so often before it gives up; each pause is twice the one before.
const (
	recoverTries = 6
	recoverPause = 100 * time.Millisecond
)

// retry calls f until it succeeds or says something final. An error other than those below says nothing about what is
// in the store, and even data that fails its checks may have been spoilt on its way.
func (o *RecoverOptions) retry(ctx context.Context, f func() error) error {
	pause := recoverPause
	for try := 1; ; try++ {
		err := f()
		final := err == nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrExists) || errors.Is(err, ErrClosed)
		if final || try == recoverTries || ctx.Err() != nil {
			return err
		}
		o.Logger.Debug("recovery tries again", "error", err)
		c, stop := o.Clock.NewTimer(pause)
		select {
		case <-c:
		case <-ctx.Done():
			stop()
			return errors.Join(ctx.Err(), err)
		}
		pause *= 2
	}
}
