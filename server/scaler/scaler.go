// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"context"
	"log/slog"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
)

// Streams is what the scaler looks at and acts through; broker.Broker satisfies it.
type Streams interface {
	// OnDemandStreams returns the streams in on-demand mode.
	OnDemandStreams() []leat.Stream
	// ShardRates returns what this node has counted of a stream's shards.
	ShardRates(stream leat.StreamID) []broker.ShardRate
	// ScaleFloors returns the least number of shards of each stream in on-demand mode.
	ScaleFloors(ctx context.Context) (map[leat.StreamID]int, error)
	// ScaleOnDemand begins splits and merges; KindInUse when the stream has another version by now, or the shards another
	// owner.
	ScaleOnDemand(ctx context.Context, stream leat.Stream, session leat.SessionID, decisions []catalog.ScaleDecision) error
	// ShardRoom returns how many more shards an account may have; below 0 it has too many.
	ShardRoom(account string) int
	// HoldScaling keeps why a hot shard is not split.
	HoldScaling(ctx context.Context, stream leat.StreamID, shard uint64, reason string) error
}

// Config is what a scaler needs; Clock and Logger have defaults.
type Config struct {
	Streams Streams
	Session func() leat.SessionID // this node's open session; zero while there is none
	// Owns tells whether that session owns a shard. It MUST NOT wait.
	Owns   func(shard leat.ShardKey) bool
	Params Params
	Clock  leat.Clock
	Logger *slog.Logger
}

// Scaler is the loop that scales streams in on-demand mode.
type Scaler struct {
	cfg     Config
	session leat.SessionID // that the watches belong to
	watches map[leat.StreamID]*Watch
	floors  map[leat.StreamID]int // they do not change while a stream stays in its mode
	away    bool                  // the floors could not be read
}

// New makes a scaler; Run starts it.
func New(c Config) (*Scaler, error) {
	c.Params.Defaults()
	if err := c.Params.Validate(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Scaler{cfg: c, watches: map[leat.StreamID]*Watch{}}, nil
}

// Run looks at all streams every Params.Every until ctx ends, then returns nil. It is called once.
func (s *Scaler) Run(ctx context.Context) error {
	for {
		c, stop := s.cfg.Clock.NewTimer(s.cfg.Params.Every)
		select {
		case <-c:
			s.look(ctx)
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// look goes over all streams once.
func (s *Scaler) look(ctx context.Context) {
	session := s.cfg.Session()
	if session != s.session {
		s.session, s.watches = session, map[leat.StreamID]*Watch{}
	}
	if session.IsZero() {
		return // this node stands by: what it has counted says nothing
	}
	streams := s.cfg.Streams.OnDemandStreams()
	s.readFloors(ctx, streams)
	rooms := map[string]int{} // of accounts, less what this look has begun
	watches := map[leat.StreamID]*Watch{}
	for i := range streams {
		st := &streams[i]
		shards, mine := s.openShards(st.ID)
		if !mine {
			continue
		}
		w := s.watches[st.ID]
		if w == nil {
			w = &Watch{}
		}
		watches[st.ID] = w
		if _, asked := rooms[st.Account]; !asked {
			rooms[st.Account] = s.cfg.Streams.ShardRoom(st.Account)
		}
		rooms[st.Account] -= s.scale(ctx, st, w, shards, rooms[st.Account])
	}
	s.watches = watches
}

// openShards returns a stream's open shards, ordered by range; mine is false when the session owns none of them.
func (s *Scaler) openShards(id leat.StreamID) (shards []Shard, mine bool) {
	for _, r := range s.cfg.Streams.ShardRates(id) {
		if !r.Shard.Open() {
			continue
		}
		own := s.cfg.Owns(r.Shard.Key)
		mine = mine || own
		shards = append(shards, Shard{
			Foreign: !own,
			Ordinal: r.Shard.Key.Ordinal, Range: r.Shard.Range, Balance: r.Balance,
			Short: Flow{r.Last15s.BytesIn, r.Last15s.RecordsIn}, Long: Flow{r.Last5m.BytesIn, r.Last5m.RecordsIn},
		})
	}
	slices.SortFunc(shards, func(a, b Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	return shards, mine
}

// scale looks at one stream, whose account may have as many more shards as there is room, and does what has to be done. It returns how many
// more there will be.
func (s *Scaler) scale(ctx context.Context, st *leat.Stream, w *Watch, shards []Shard, room int) (more int) {
	now, p := s.cfg.Clock.Now(), s.cfg.Params
	w.Look(now, p, shards)
	if st.Status != leat.StreamActive {
		return 0
	}
	least, known := s.floors[st.ID]
	if !known {
		least = len(shards) // nothing is merged until it is known what must stay
	}
	plan := w.Decide(now, p, Bounds{Least: least, Warm: st.WarmThroughput, Most: max(1, len(shards)+room)}, shards)
	log := s.cfg.Logger.With("account", st.Account, "stream", st.Name)
	for _, h := range plan.Holds {
		log.Info("on-demand scaling holds", "shard", leat.ShardID(h.Shard), "reason", h.Reason)
		if err := s.cfg.Streams.HoldScaling(ctx, st.ID, h.Shard, h.Reason); err != nil && leat.KindOf(err) != leat.KindNotFound && ctx.Err() == nil {
			log.Warn("on-demand scaling cannot keep a reason", "error", err)
		}
	}
	if len(plan.Decisions) == 0 {
		return 0
	}
	err := s.cfg.Streams.ScaleOnDemand(ctx, *st, s.session, plan.Decisions)
	switch {
	case err == nil:
		w.Acted(now)
		for _, d := range plan.Decisions {
			logDecision(log, d)
			if d.Step.Kind == catalog.StepSplit {
				more++
			}
		}
	case leat.KindOf(err) == leat.KindInUse || leat.KindOf(err) == leat.KindNotFound || ctx.Err() != nil:
		log.Debug("on-demand scaling looks again", "reason", err) // the stream has changed since it was looked at
	default:
		log.Warn("on-demand scaling waits", "error", err)
	}
	return more
}

func logDecision(log *slog.Logger, d catalog.ScaleDecision) {
	if d.Step.Kind == catalog.StepMerge {
		log.Info("on-demand scaling merges", "shard", leat.ShardID(d.Step.Shard), "adjacent", leat.ShardID(d.Step.Adjacent), "reason", d.Reason)
		return
	}
	log.Info("on-demand scaling splits", "shard", leat.ShardID(d.Step.Shard), "at", d.Step.NewStart, "reason", d.Reason)
}

// readFloors asks for the least numbers of shards when a stream's is not known. That they cannot be read is said once.
func (s *Scaler) readFloors(ctx context.Context, streams []leat.Stream) {
	missing := func(st leat.Stream) bool { _, ok := s.floors[st.ID]; return !ok }
	if !slices.ContainsFunc(streams, missing) {
		return
	}
	floors, err := s.cfg.Streams.ScaleFloors(ctx)
	if err != nil {
		if !s.away && ctx.Err() == nil {
			s.cfg.Logger.Warn("on-demand scaling merges nothing for now", "error", err)
		}
		s.away = true
		return
	}
	s.away, s.floors = false, floors
}
