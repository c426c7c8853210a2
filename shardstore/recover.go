// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// Recovery is what Recover needs.
type Recovery struct {
	Cluster leat.ClusterID
	Driver  wal.Driver
	Blobs   blob.Store
	Clock   leat.Clock
	Rand    io.Reader
	Logger  *slog.Logger
	// Lost says that there is no catalog: trim is any segment below which everything is in registered packs. With a
	// catalog a log that was trimmed further than it knows is refused: the catalog is older than the log.
	Lost bool
}

// ClosingKey is the key of the object that decides how a session ended: closed/<session>.
func ClosingKey(s leat.SessionID) string { return "closed/" + s.String() }

// Recover decides how a session that is over ended (data-plane.md, rules 10 and 11). The caller MUST have moved the
// session from live to fencing before and read trim after that. It may run twice, or on two nodes at once: whoever
// writes closed/<session> first decides, and the others return the same.
func Recover(ctx context.Context, o Recovery, session leat.SessionID, trim uint64) (Closing, error) {
	if c, err := ReadClosing(ctx, o.Blobs, session); err == nil || !errors.Is(err, blob.ErrNotFound) {
		return c, err
	}
	rec, err := o.Driver.Recover(ctx, session, trim, wal.RecoverOptions{
		Cluster: o.Cluster,
		Clock:   o.Clock,
		Rand:    o.Rand,
		ClosedExists: func(ctx context.Context) (bool, error) {
			_, err := o.Blobs.Stat(ctx, ClosingKey(session))
			if errors.Is(err, blob.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		},
	})
	if errors.Is(err, wal.ErrClosed) {
		return ReadClosing(ctx, o.Blobs, session)
	}
	if err != nil {
		return Closing{}, fmt.Errorf("recover the log of session %s: %w", session, err)
	}
	if err := notOlder(session, trim, rec); err != nil && !o.Lost {
		return Closing{}, err
	}
	c, err := closingOf(session, trim, rec)
	if err != nil {
		return Closing{}, err
	}
	return decide(ctx, o.Blobs, c)
}

// decide writes the outcome unless another recoverer did; then that one counts.
func decide(ctx context.Context, blobs blob.Store, c Closing) (Closing, error) {
	body, err := encodeClosing(c)
	if err != nil {
		return Closing{}, err
	}
	const tries = 5
	for try := 1; ; try++ {
		err = blobs.Create(ctx, ClosingKey(c.Session), body)
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, blob.ErrExists):
			return ReadClosing(ctx, blobs, c.Session)
		case try == tries || ctx.Err() != nil:
			return Closing{}, fmt.Errorf("write %s: %w", ClosingKey(c.Session), err)
		}
	}
}

// notOlder refuses a trim below one that was committed when a segment was written. Nothing of the log needs to be
// missing yet; but packs that were registered since are in no catalog, and shards that were released rely on them.
func notOlder(session leat.SessionID, trim uint64, rec wal.Recovered) error {
	for _, seg := range rec.Segments {
		if t := seg.Footer.Header.Trim; t > trim {
			return &leat.Error{
				Kind: leat.KindCorrupt, Err: wal.ErrStaleCatalog,
				Message: fmt.Sprintf("session %s: its log was trimmed to segment %d, and the catalog knows of %d: the catalog is older than the log (was it restored from a backup?); run `leat rebuild`", session, t, trim),
			}
		}
	}
	return nil
}

// closingOf sums up the segments that a recovery found.
func closingOf(session leat.SessionID, trim uint64, rec wal.Recovered) (Closing, error) {
	c := Closing{Session: session, Trim: trim, Fence: rec.Fence}
	shards := map[leat.ShardKey]*ClosedShard{}
	for _, seg := range rec.Segments {
		for _, e := range seg.Footer.Extents {
			cs := shards[e.Shard]
			if cs == nil {
				cs = &ClosedShard{Shard: e.Shard, Epoch: e.Epoch, Final: e.First}
				shards[e.Shard] = cs
			}
			if e.First != cs.Final || e.MinTime < cs.LastTime {
				return Closing{}, leat.Errorf(leat.KindCorrupt, "segment %s: shard %s goes on at offset %d where %d was expected", e.Object, e.Shard, e.First, cs.Final)
			}
			cs.Final, cs.LastTime = e.End(), e.MaxTime
			cs.Extents = append(cs.Extents, e)
		}
		for _, ctl := range seg.Footer.Controls {
			switch ctl.Kind {
			case segment.ControlReshard:
				c.Reshards = append(c.Reshards, *ctl.Reshard)
			case segment.ControlRelease:
				if err := leaveOut(shards, ctl, seg.Footer.Header.Trim); err != nil {
					return Closing{}, err
				}
			}
		}
	}
	for _, cs := range shards {
		c.Shards = append(c.Shards, *cs)
	}
	slices.SortFunc(c.Shards, func(a, b ClosedShard) int { return a.Shard.Compare(b.Shard) })
	return c, nil
}

// leaveOut takes a shard that the session released out of what it left: another session may own it. All its records were
// in the index by then, so only a scan from below the trim that RELEASE's own segment names finds some of them.
func leaveOut(shards map[leat.ShardKey]*ClosedShard, released segment.Control, trim uint64) error {
	cs := shards[released.Shard]
	if cs == nil {
		return nil
	}
	last := cs.Extents[len(cs.Extents)-1].Object
	if _, n, ok := wal.ParseKey(last); !ok || n >= trim || cs.Final != released.Final {
		return leat.Errorf(leat.KindCorrupt, "shard %s was released at %d in epoch %d, but %s ends at %d and was in no pack", released.Shard, released.Final, released.Epoch, last, cs.Final)
	}
	delete(shards, released.Shard)
	return nil
}
