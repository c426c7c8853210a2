// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// The quotas of accounts. What is counted (streams, shards, consumers) is checked against what this node and the catalog
// know, so calls at the same time on several nodes can go a little beyond. Bytes a second are counted by the node that a
// client asks, so an account that uses n nodes has up to n times the rate. Stored bytes are looked up every storedEvery, so
// an account can go beyond by what it puts in that time.

// quotasOf are an account's own quotas; zeros where it has none.
func (b *Broker) quotasOf(account string) leat.Quotas {
	if b.identities == nil {
		return leat.Quotas{}
	}
	return b.identities.Quotas(ownerOf(account))
}

// ownerOf is the account whose quotas hold: what it puts into deliveries directly is kept by a hidden one (spec.HiddenAccount).
func ownerOf(account string) string { return strings.TrimPrefix(account, ".") }

// errQuota names a quota that a change would exceed.
func errQuota(account, quota string, limit any) error {
	return leat.Errorf(leat.KindLimitExceeded, "This request would exceed the quota %s of account %s, which is %v.", quota, account, limit)
}

// roomForStream checks what a new stream takes of its account's quotas.
func (b *Broker) roomForStream(account string, retention time.Duration) error {
	q := b.quotasOf(account)
	if q.Streams > 0 {
		n := int64(0)
		for _, v := range b.directory.account(account) {
			if v.Status != leat.StreamDeleting {
				n++
			}
		}
		if n >= q.Streams {
			return errQuota(account, "streams", q.Streams)
		}
	}
	return b.roomForRetention(account, retention)
}

func (b *Broker) roomForRetention(account string, retention time.Duration) error {
	if most := b.quotasOf(account).Retention; most > 0 && retention > most {
		return errQuota(account, "retention", most)
	}
	return nil
}

func (b *Broker) roomForConsumer(ctx context.Context, account string) error {
	most := b.quotasOf(account).Consumers
	if most == 0 {
		return nil
	}
	n, err := b.catalog.CountConsumers(ctx, account)
	if err != nil {
		return away(err)
	}
	if n >= most {
		return errQuota(account, "consumers", most)
	}
	return nil
}

// roomForDelivery checks whether an account may have one more delivery stream.
func (b *Broker) roomForDelivery(ctx context.Context, account string) error {
	most := b.quotasOf(account).Deliveries
	if most == 0 {
		return nil
	}
	all, err := b.deliveries.List(ctx, account, "", int(min(most, math.MaxInt32)))
	if err != nil {
		return away(err)
	}
	if int64(len(all)) >= most {
		return errQuota(account, "deliveries", most)
	}
	return nil
}

// accountRates are the buckets of accounts with quotas of bytes a second.
type accountRates struct {
	clock leat.Clock
	mu    sync.Mutex
	in    map[string]*bucket
	out   map[string]*bucket

	stored map[string]int64 // bytes, of accounts with a quota of them, as of the last look
}

func newAccountRates(clock leat.Clock) *accountRates {
	return &accountRates{clock: clock, in: map[string]*bucket{}, out: map[string]*bucket{}, stored: map[string]int64{}}
}

// take spends n bytes of an account's rate, or tells how long until it can. A rate that has changed begins with a full second.
func (a *accountRates) take(of map[string]*bucket, account string, rate int64, n int) (wait time.Duration) {
	now := a.clock.Now()
	account = ownerOf(account)
	a.mu.Lock()
	defer a.mu.Unlock()
	b := of[account]
	if b == nil || b.rate != float64(rate) {
		made := newBucket(float64(rate), now)
		b = &made
		of[account] = b
	}
	if wait = b.lacks(now, float64(max(n, 1))); wait == 0 {
		b.spend(float64(n))
	}
	return wait
}

// charge spends what an answer turned out to have.
func (a *accountRates) charge(account string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b := a.out[ownerOf(account)]; b != nil {
		b.fill(a.clock.Now())
		b.spend(float64(n))
	}
}

// owed is how long a push has to wait for its account's rate; 0 where there is none.
func (a *accountRates) owed(account string, rate int64) time.Duration {
	if rate == 0 {
		return 0
	}
	return a.take(a.out, account, rate, 0)
}

func errRate(account, quota string, rate int64, wait time.Duration) error {
	return &leat.Error{Kind: leat.KindThroughputExceeded, After: wait,
		Message: errQuota(account, quota, rate).Error() + " Retry after a pause."}
}

// admitBytesIn takes a put's share of its account's quotas, or refuses it as a whole.
func (b *Broker) admitBytesIn(v *streamView, puts []Put) error {
	if b.billing != nil {
		if err := b.billing.Admit(v.Account, v.ID); err != nil {
			return err
		}
	}
	q := b.quotasOf(v.Account)
	if q.StoredBytes > 0 {
		b.rates.mu.Lock()
		stored := b.rates.stored[ownerOf(v.Account)]
		b.rates.mu.Unlock()
		if stored >= q.StoredBytes {
			return errQuota(ownerOf(v.Account), "stored_bytes", q.StoredBytes)
		}
	}
	if q.BytesIn == 0 {
		return nil
	}
	n := 0
	for i := range puts {
		n += puts[i].Record.Size()
	}
	if wait := b.rates.take(b.rates.in, v.Account, q.BytesIn, n); wait > 0 {
		return errRate(ownerOf(v.Account), "bytes_in", q.BytesIn, wait)
	}
	return nil
}

// admitBytesOut refuses a read while its account has to wait for what it has read.
func (b *Broker) admitBytesOut(v *streamView) error {
	rate := b.quotasOf(v.Account).BytesOut
	if wait := b.rates.owed(v.Account, rate); wait > 0 {
		return errRate(v.Account, "bytes_out", rate, wait)
	}
	return nil
}

// storedEvery is how often what accounts store is looked up, of those that have a quota of it.
const storedEvery = 30 * time.Second

func (b *Broker) lookAtStored(ctx context.Context) {
	sums, unknown := map[string]int64{}, map[string]bool{}
	for account := range b.directory.accounts() {
		if b.quotasOf(account).StoredBytes == 0 {
			continue
		}
		n, err := b.catalog.StoredBytes(ctx, account)
		unknown[ownerOf(account)] = unknown[ownerOf(account)] || err != nil
		sums[ownerOf(account)] += n
	}
	b.rates.mu.Lock()
	defer b.rates.mu.Unlock()
	for account, n := range sums {
		if !unknown[account] { // else what was known goes on holding
			b.rates.stored[account] = n
		}
	}
}

// accounts are those that have streams.
func (d *Directory) accounts() map[string]bool {
	all := map[string]bool{}
	for key := range d.snap.Load().byName {
		all[key.account] = true
	}
	return all
}
