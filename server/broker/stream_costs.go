// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
)

// StreamCosts promises: what each stream of the caller's account costs this month, as far as hours are booked, to those who may see the
// account's invoice. It is for a list that is asked for every few seconds: one count of an account is kept for a minute, and for fifty times as
// long as it took, so that however many streams there are and however many people look, counting takes a fiftieth of one connection's time. Nobody
// waits longer than costsWithin for it.
//
// AWS has no such operation, and the native API has none either: the console alone asks.

const (
	costsWithin   = 60 * time.Millisecond
	costsKept     = time.Minute
	costsRest     = 50               // times what a count took
	costsForgot   = 10 * time.Minute // after nobody has asked
	costsTakeLong = 5 * time.Minute  // then a count is given up
)

// StreamCosts returns the costs; known is false while they are being counted for the first time. Whoever may not see them is refused, and that is
// not in the audit log: a list that is shown without them has asked for nothing.
func (b *Broker) StreamCosts(ctx context.Context, who leat.Principal) (c billing.Costs, known bool, err error) {
	if err := b.decide(ctx, who, ActionGetInvoice, Resource{Account: who.Account}); err != nil {
		return c, false, err
	}
	if b.billing == nil {
		return c, false, leat.Errorf(leat.KindUnsupported, "this server keeps no bills")
	}
	if done := b.costs.ask(who.Account, b.clock.Now()); done != nil {
		soon, stop := b.clock.NewTimer(costsWithin)
		defer stop()
		select {
		case <-done:
		case <-soon:
		case <-ctx.Done():
		}
	}
	c, known = b.costs.find(who.Account)
	return c, known, nil
}

// costs are what was counted of accounts lately. Accounts are counted one after the other.
type costs struct {
	asks chan string

	mu sync.Mutex
	of map[string]*accountCosts
}

type accountCosts struct {
	billing.Costs
	known bool
	until time.Time     // then it is counted anew, if anybody asks
	asked time.Time     // last
	done  chan struct{} // closed when the count under way is over; nil: there is none
}

func newCosts() *costs {
	return &costs{asks: make(chan string, 64), of: map[string]*accountCosts{}}
}

// ask has an account counted where that is due. It returns what is closed when the count is over; nil where there is nothing to wait for.
func (k *costs) ask(account string, now time.Time) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.of[account]
	if a == nil {
		a = &accountCosts{}
		k.of[account] = a
	}
	a.asked = now
	if a.done == nil && !now.Before(a.until) {
		select {
		case k.asks <- account:
			a.done = make(chan struct{})
		default: // many are waiting: the next one to ask may have more luck
		}
	}
	if a.done == nil {
		return nil
	}
	return a.done
}

func (k *costs) find(account string) (c billing.Costs, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.of[account]; a != nil {
		return a.Costs, a.known
	}
	return c, false
}

// counted keeps a count; what cannot be counted now stays as it was.
func (k *costs) counted(account string, c billing.Costs, err error, now time.Time, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.of[account]
	a.until = now.Add(max(costsKept, costsRest*took))
	if err == nil {
		a.Costs, a.known = c, true
	}
	close(a.done)
	a.done = nil
}

// forget drops accounts that nobody asks for.
func (k *costs) forget(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for account, a := range k.of {
		if a.done == nil && now.Sub(a.asked) > costsForgot {
			delete(k.of, account)
		}
	}
}

// countCosts counts accounts as they are asked for, until ctx ends.
func (b *Broker) countCosts(ctx context.Context) error {
	for {
		select {
		case account := <-b.costs.asks:
			began := b.clock.Now()
			within, cancel := context.WithTimeout(ctx, costsTakeLong)
			c, err := b.billing.Costs(within, account)
			cancel()
			if err != nil && ctx.Err() == nil {
				b.log.Warn("what streams cost this month cannot be counted now", "account", account, "error", err)
			}
			now := b.clock.Now()
			b.costs.counted(account, c, err, now, now.Sub(began))
		case <-ctx.Done():
			return nil
		}
	}
}
