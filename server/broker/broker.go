// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/datapoints"
	"github.com/leatstream/leat/shardstore"
)

// Put is one record on its way into a shard, with its outcome.
type Put = shardstore.Put

// Engine is the shards that this node serves, or, where nodes share them, all the cluster's (server/forward). While nobody
// serves a shard its methods return shardstore.ErrNotOwned or a KindUnavailable error.
type Engine interface {
	// Append gives each record its place and returns when all that were taken are durable; outcomes stand in the puts.
	// An error is returned only when nothing at all was executed.
	Append(ctx context.Context, puts []shardstore.Put) error
	// Read returns records of a shard from an offset on.
	Read(ctx context.Context, shard leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error)
	// Wait returns when a record at an offset >= from is visible, or the shard is closed at from;
	// shardstore.ErrNotOwned when ownership ends.
	Wait(ctx context.Context, shard leat.ShardKey, from uint64) error
	// Locate returns the offset of the first record whose time is at or after a time in microseconds; the tail when
	// there is none.
	Locate(ctx context.Context, shard leat.ShardKey, at int64) (offset uint64, err error)
	// Bounds returns where a shard begins and ends now.
	Bounds(ctx context.Context, shard leat.ShardKey) (shardstore.Bounds, error)
}

// Control is the loop that carries out what the catalog intends.
type Control interface {
	// Kick wakes it; it never blocks.
	Kick()
	// ClockWrong tells what is wrong with this node's clock, as KindUnavailable; nil: nothing that is known.
	ClockWrong() error
	// HoldsExpiry tells whether nothing may be taken for expired now: the clock is wrong, or has just jumped and may be.
	HoldsExpiry() bool
}

// ShardLimits says whether the per-shard limits of AWS hold on this server.
type ShardLimits string

// The values of --shard-limits.
const (
	LimitsAWS ShardLimits = "aws"
	LimitsOff ShardLimits = "off"
)

// ScaleLimits says whether ScaleStream has the bounds of AWS on this server: at most double and at least half at once, ten
// times in 24 hours.
type ScaleLimits string

// The values of --scale-limits.
const (
	ScaleLimitsAWS ScaleLimits = "aws"
	ScaleLimitsOff ScaleLimits = "off"
)

// Config is what a broker needs; Authorizer, ScaleLimits, Quotas, TransitionDelay, Clock and Logger have defaults.
type Config struct {
	Engine Engine
	// Shared says that other nodes own some of the shards, and that Engine asks their owners. A shard's limits hold, and
	// what it takes and gives is counted, where it is owned: this node MUST hand its own session out as Metered alone.
	Shared bool
	// Owner tells who owns a shard now, where shards move from node to node: the directory does not hear of that. ok is
	// false when nobody is known to. nil: what the directory says.
	Owner       func(leat.ShardKey) (session leat.SessionID, epoch uint64, ok bool)
	Peers       Peers // nil: there are no other nodes, or nothing is asked of them
	Catalog     *catalog.Catalog
	Control     Control
	Authorizer  Authorizer  // nil: everybody may do everything in their own account
	ShardLimits ShardLimits // of streams in provisioned mode
	ScaleLimits ScaleLimits // empty: off
	Quotas      Quotas
	Region      string // in ARNs
	Secret      []byte // of the cluster, 16 bytes or more: authenticates iterators and page tokens
	// TransitionDelay is how long a new consumer stays CREATING: tools want to see it; 0 means 20 ms.
	TransitionDelay time.Duration
	// RateStep is what rates are made of: their windows are 3, 12 and 60 of it. 0 means 5 s; tests make it shorter.
	RateStep   time.Duration
	Clock      leat.Clock
	Logger     *slog.Logger
	Tracer     *tracing.Tracer  // nil: requests are not followed
	Points     *datapoints.Log  // nil: there are no datapoints
	AccessKeys AccessKeys       // nil: there are none
	StreamKeys StreamKeys       // nil: streams cannot be encrypted
	Meter      Meter            // nil: reads and pushes are not counted
	Billing    *billing.Billing // nil: there are no bills
	Deliveries Deliveries       // nil: there are no delivery streams
	ReadOnly   bool             // maintenance: puts and changes are refused as KindUnavailable
	Audit      *audit.Log       // nil: there is no audit log
	Identities Identities       // nil: there are no tokens, and nobody keeps accounts in memory
}

// Validate tells everything that is wrong, joined.
func (c *Config) Validate() error {
	var errs []error
	if c.Engine == nil || c.Catalog == nil || c.Control == nil {
		errs = append(errs, errors.New("broker: engine, catalog and control must be given"))
	}
	if c.ShardLimits != LimitsAWS && c.ShardLimits != LimitsOff {
		errs = append(errs, errors.New("broker: shard limits must be aws or off"))
	}
	if c.ScaleLimits != "" && c.ScaleLimits != ScaleLimitsAWS && c.ScaleLimits != ScaleLimitsOff {
		errs = append(errs, errors.New("broker: scale limits must be aws or off"))
	}
	if c.Quotas.Shards < 0 || c.Quotas.OnDemandStreams < 0 {
		errs = append(errs, errors.New("broker: a quota is negative"))
	}
	if c.Region == "" {
		errs = append(errs, errors.New("broker: region is empty"))
	}
	if len(c.Secret) < 16 {
		errs = append(errs, errors.New("broker: the cluster's secret must have 16 bytes or more"))
	}
	return errors.Join(errs...)
}

// Broker does the operations. All its methods may be called concurrently.
type Broker struct {
	engine     Engine
	shared     bool
	owner      func(leat.ShardKey) (session leat.SessionID, epoch uint64, ok bool) // may be nil
	peers      *peers
	catalog    *catalog.Catalog
	control    Control
	authorize  Authorizer
	limits     ShardLimits
	scaling    ScaleLimits
	quotas     Quotas
	region     string
	transition time.Duration
	clock      leat.Clock
	tracer     *tracing.Tracer
	points     *datapoints.Log
	log        *slog.Logger

	directory *Directory
	meters    *meters
	rates     *accountRates
	flows     *flows
	subs      *subscriptions
	known     *knownConsumers
	places    *places
	costs     *costs
	iterators sealer
	pages     sealer

	accessKeys AccessKeys
	identities Identities
	audit      *audit.Log
	readOnly   bool
	streamKeys StreamKeys
	meter      Meter
	billing    *billing.Billing
	deliveries Deliveries
	spread     atomic.Uint64 // spreads direct puts over shards

	draining  chan struct{} // closed by Drain
	drainOnce sync.Once
}

// New makes a broker. Run MUST be running for it to see what other nodes and the control loop change.
func New(c Config) (*Broker, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TransitionDelay == 0 {
		c.TransitionDelay = 20 * time.Millisecond
	}
	if c.RateStep == 0 {
		c.RateStep = 5 * time.Second
	}
	if c.Authorizer == nil {
		c.Authorizer = SameAccount{}
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	c.Quotas.Shards = cmp.Or(c.Quotas.Shards, 100_000)
	c.Quotas.OnDemandStreams = cmp.Or(c.Quotas.OnDemandStreams, 10_000)
	return &Broker{
		engine: c.Engine, shared: c.Shared, owner: c.Owner, peers: newPeers(c.Peers, c.Clock), catalog: c.Catalog, control: c.Control, authorize: c.Authorizer,
		limits: c.ShardLimits, scaling: c.ScaleLimits, quotas: c.Quotas, region: c.Region, transition: c.TransitionDelay, clock: c.Clock, log: c.Logger,
		directory: NewDirectory(c.Catalog, c.Clock, c.Logger),
		meters:    newMeters(c.Clock),
		rates:     newAccountRates(c.Clock),
		flows:     newFlows(c.Clock, c.RateStep),
		subs:      newSubscriptions(),
		known:     newKnownConsumers(),
		places:    newPlaces(),
		costs:     newCosts(),
		iterators: newSealer(c.Secret, "shard iterator"),
		pages:     newSealer(c.Secret, "page token"),

		tracer:     c.Tracer,
		points:     c.Points,
		streamKeys: c.StreamKeys,
		accessKeys: c.AccessKeys,
		meter:      c.Meter,
		billing:    c.Billing,
		deliveries: c.Deliveries,
		identities: c.Identities,
		audit:      c.Audit,
		readOnly:   c.ReadOnly,
		draining:   make(chan struct{}),
	}, nil
}

// Drain ends all subscriptions as if their time were over, so that they do not keep this node from stopping: their
// readers go on where they were, at another node. It may be called twice.
func (b *Broker) Drain() { b.drainOnce.Do(func() { close(b.draining) }) }

// Directory is what the broker knows of streams and shards without asking the catalog.
func (b *Broker) Directory() *Directory { return b.directory }

// ShardLimits says whether the per-shard limits of AWS hold.
func (b *Broker) ShardLimits() ShardLimits { return b.limits }

// Region is the region in this server's ARNs.
func (b *Broker) Region() string { return b.region }

// tidyEvery is how often what is kept of idle shards and streams that are gone is dropped.
const tidyEvery = time.Minute

// Run keeps the directory fresh until ctx ends. It returns nil then.
func (b *Broker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.directory.Run(ctx) })
	g.Go(func() error { return b.countCosts(ctx) })
	g.Go(func() error {
		for {
			c, stop := b.clock.NewTimer(tidyEvery)
			select {
			case <-c:
				b.meters.forgetIdle()
				b.flows.forget(b.directory)
				b.known.forgetGone(b.directory)
				b.places.forgetGone(b.directory)
				b.costs.forget(b.clock.Now())
				b.peers.forget()
			case <-ctx.Done():
				stop()
				return nil
			}
		}
	})
	g.Go(func() error {
		for {
			b.lookAtStored(ctx)
			c, stop := b.clock.NewTimer(storedEvery)
			select {
			case <-c:
			case <-ctx.Done():
				stop()
				return nil
			}
		}
	})
	return g.Wait()
}
