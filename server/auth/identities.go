// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/policy"
)

// IdentityCatalog is where accounts, roles, tokens and policies are stored; *catalog.Catalog is one.
type IdentityCatalog interface {
	Identity(ctx context.Context, since uint64) (all catalog.Identity, fresh bool, err error)
	AddToken(ctx context.Context, t catalog.StoredToken) (leat.Token, error)
	FinishDeleteAccounts(ctx context.Context) error
}

// IdentitiesOptions is what Identities need; what is not Catalog and Region has defaults.
type IdentitiesOptions struct {
	Catalog IdentityCatalog
	Region  string        // in ARNs
	Tags    DeliveryTags  // nil: there are no delivery streams
	Every   time.Duration // how often the catalog is asked whether something changed; 0 means 5 s
	Clock   leat.Clock
	Rand    io.Reader // of ids and secrets; nil means crypto/rand
	Logger  *slog.Logger
}

// Identities has all accounts, roles, tokens and resource policies in memory, and decides who may do what by them. What this
// node changes holds when the change returns; what another node changes is seen after Every at the latest. While the
// catalog is away, what is known goes on being used.
type Identities struct {
	catalog IdentityCatalog
	region  string
	every   time.Duration
	clock   leat.Clock
	rand    io.Reader
	log     *slog.Logger

	deliveries deliveryTags

	known atomic.Pointer[identities] // nil until the catalog was read once

	reading sync.Mutex // one at a time reads the catalog
	tried   time.Time  // when reading was last begun; with reading
	failing bool       // the last read failed: it has been said; with reading
}

// identities never change, but for the cache of decisions.
type identities struct {
	revision  uint64
	accounts  map[string]*leat.Account
	roles     map[roleKey]*role
	tokens    map[string]*catalog.StoredToken
	policies  map[resourceKey]*resourcePolicy
	tags      map[resourceKey]map[string]string
	decisions *decisions
}

type roleKey struct{ account, name string }

type resourceKey struct {
	stream   leat.StreamID
	consumer string
}

type role struct {
	leat.Role
	policy *policy.Document // nil: it cannot be read, and allows nothing
}

type resourcePolicy struct {
	text   string
	policy *policy.Document // nil: it cannot be read, and allows nothing
}

// NewIdentities makes them. Run MUST be running for them to see what other nodes change.
func NewIdentities(o IdentitiesOptions) (*Identities, error) {
	if o.Catalog == nil || o.Region == "" {
		return nil, errors.New("auth: catalog and region must be given")
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
	every := cmp.Or(o.Every, readEvery)
	return &Identities{
		catalog: o.Catalog, region: o.Region, every: every, clock: o.Clock, rand: o.Rand, log: o.Logger,
		deliveries: deliveryTags{read: o.Tags, every: every, clock: o.Clock},
	}, nil
}

// Run reads what has changed again and again until ctx ends. It returns nil then.
func (i *Identities) Run(ctx context.Context) error {
	for {
		i.refresh(ctx)
		i.finishDeletes(ctx)
		c, stop := i.clock.NewTimer(i.every)
		select {
		case <-c:
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// Changed reads the catalog now, if it has changed: what was committed before the call is known when it returns.
func (i *Identities) Changed(ctx context.Context) {
	i.deliveries.changes.Add(1)
	i.refresh(ctx)
}

func (i *Identities) refresh(ctx context.Context) {
	i.reading.Lock()
	defer i.reading.Unlock()
	i.read(ctx)
}

// finishDeletes forgets accounts whose streams are all gone.
func (i *Identities) finishDeletes(ctx context.Context) {
	known := i.known.Load()
	if known == nil {
		return
	}
	for _, a := range known.accounts {
		if a.State != leat.AccountDeleting {
			continue
		}
		if err := i.catalog.FinishDeleteAccounts(ctx); err != nil && ctx.Err() == nil {
			i.log.Debug("accounts that are being deleted stay for now", "error", err)
		}
		return
	}
}

// now returns what is known, after a first read where nothing is.
func (i *Identities) now(ctx context.Context) (*identities, error) {
	if known := i.known.Load(); known != nil {
		return known, nil
	}
	i.reading.Lock()
	defer i.reading.Unlock()
	if i.known.Load() == nil {
		i.read(ctx)
	}
	if known := i.known.Load(); known != nil {
		return known, nil
	}
	return nil, leat.Errorf(leat.KindUnavailable, "accounts and their policies cannot be read now: retry")
}

// again reads once more for something that is not known, but no more often than every unknownEvery. current is false
// when the catalog could not be asked.
func (i *Identities) again(ctx context.Context) (known *identities, current bool) {
	i.reading.Lock()
	defer i.reading.Unlock()
	if i.clock.Now().Sub(i.tried) >= unknownEvery {
		i.read(ctx)
	}
	return i.known.Load(), !i.failing
}

// read asks the catalog. reading is held.
func (i *Identities) read(ctx context.Context) {
	i.tried = i.clock.Now()
	was := i.known.Load()
	since := uint64(0)
	if was != nil {
		since = was.revision
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
	defer cancel()
	all, fresh, err := i.catalog.Identity(bounded, since)
	if err != nil {
		if !i.failing && ctx.Err() == nil {
			i.log.Warn("accounts and policies cannot be read; what is known goes on being used", "error", err)
		}
		i.failing = true
		return
	}
	if i.failing && was != nil {
		i.log.Info("accounts and policies are read again")
	}
	i.failing = false
	if fresh {
		i.known.Store(i.digest(&all, was))
	}
}

// digest indexes what the catalog has. Policies whose text did not change are not parsed again.
func (i *Identities) digest(all *catalog.Identity, was *identities) *identities {
	if was == nil {
		was = &identities{}
	}
	next := &identities{
		revision: all.Revision, decisions: newDecisions(),
		accounts: make(map[string]*leat.Account, len(all.Accounts)), roles: make(map[roleKey]*role, len(all.Roles)),
		tokens: make(map[string]*catalog.StoredToken, len(all.Tokens)), policies: make(map[resourceKey]*resourcePolicy, len(all.Policies)),
		tags: map[resourceKey]map[string]string{},
	}
	for n := range all.Accounts {
		next.accounts[all.Accounts[n].ID] = &all.Accounts[n]
	}
	for n := range all.Tokens {
		next.tokens[all.Tokens[n].ID] = &all.Tokens[n]
	}
	for _, r := range all.Roles {
		at := roleKey{r.Account, r.Name}
		made := &role{Role: r}
		if old := was.roles[at]; old != nil && old.Policy == r.Policy {
			made.policy = old.policy
		} else if made.policy = i.parse(policy.ParseIdentity, r.Policy, "role", r.Name, "account", r.Account); made.policy == nil {
			made.policy = nothing
		}
		next.roles[at] = made
	}
	for _, p := range all.Policies {
		at := resourceKey{p.Stream, p.Consumer}
		made := &resourcePolicy{text: p.Policy}
		if old := was.policies[at]; old != nil && old.text == p.Policy {
			made.policy = old.policy
		} else if made.policy = i.parse(policy.ParseResource, p.Policy, "stream", p.Stream.String(), "consumer", p.Consumer); made.policy == nil {
			made.policy = nothing
		}
		next.policies[at] = made
	}
	for _, t := range all.Tags {
		at := resourceKey{t.Stream, t.Consumer}
		if next.tags[at] == nil {
			next.tags[at] = map[string]string{}
		}
		next.tags[at][t.Name] = t.Value
	}
	return next
}

// nothing is a policy that cannot be read: nobody gets anything by it.
var nothing = new(policy.Document)

// parse reads a policy. One that was stored by a program that took more for a policy than this one does grants nothing.
func (i *Identities) parse(read func(string) (*policy.Document, error), text string, about ...any) *policy.Document {
	d, err := read(text)
	if err != nil {
		i.log.Warn("a policy cannot be read: nobody gets a permission by it", append(about, "error", err)...)
		return nil
	}
	if d.Twice != nil {
		i.log.Warn("a policy is not what it seems: of a member that is there twice the last one holds. Put it again, each member once", append(about, "error", d.Twice)...)
	}
	return d
}

// Account returns an account; KindNotFound when there is none.
func (i *Identities) Account(ctx context.Context, id string) (leat.Account, error) {
	known, err := i.now(ctx)
	if err != nil {
		return leat.Account{}, err
	}
	if a := known.accounts[id]; a != nil {
		return *a, nil
	}
	known, current := i.again(ctx)
	if a := known.accounts[id]; a != nil {
		return *a, nil
	}
	if !current {
		return leat.Account{}, leat.Errorf(leat.KindUnavailable, "accounts cannot be read now: retry")
	}
	return leat.Account{}, leat.Errorf(leat.KindNotFound, "Account %s not found.", id)
}

// Quotas returns an account's quotas as this node knows them; none for an account that it does not know.
func (i *Identities) Quotas(account string) leat.Quotas {
	if known := i.known.Load(); known != nil && known.accounts[account] != nil {
		return known.accounts[account].Quotas
	}
	return leat.Quotas{}
}
