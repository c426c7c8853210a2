// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// Failures bounds how often an address may fail to sign in: failureBurst at once, and failuresPerSecond in the long run. While
// it has failed too often nothing that comes from it is looked at, right or wrong. Requests whose address is not known
// share one bound. It is counted on each node alone.
type Failures struct {
	clock leat.Clock
	mu    sync.Mutex
	left  map[netip.Addr]allowance
}

type allowance struct {
	tokens float64
	at     time.Time
}

const (
	failureBurst      = 200
	failuresPerSecond = 10
	mostAddresses     = 10_000
)

// NewFailures makes one; a nil clock is the machine's.
func NewFailures(clock leat.Clock) *Failures {
	if clock == nil {
		clock = leat.SystemClock{}
	}
	return &Failures{clock: clock, left: map[netip.Addr]allowance{}}
}

// Check returns KindThroughputExceeded for an address that has failed too often.
func (f *Failures) Check(from netip.Addr) error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.left[group(from)]
	if !known || f.filled(a) >= 1 {
		return nil
	}
	return &leat.Error{Kind: leat.KindThroughputExceeded, Message: "too many failures to sign in have come from this address: wait before the next", After: time.Second}
}

// Failed counts a failure.
func (f *Failures) Failed(from netip.Addr) {
	if f == nil {
		return
	}
	from = group(from)
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.left[from]
	tokens := float64(failureBurst)
	if known {
		tokens = f.filled(a)
	} else if len(f.left) >= mostAddresses {
		clear(f.left) // whoever has so many addresses is not held up by this
	}
	f.left[from] = allowance{tokens: max(tokens-1, 0), at: f.clock.Now()}
}

func (f *Failures) filled(a allowance) float64 {
	return min(failureBurst, a.tokens+failuresPerSecond*f.clock.Now().Sub(a.at).Seconds())
}

// group is the address itself, or of IPv6 the network that one customer has.
func group(from netip.Addr) netip.Addr {
	if from.Is6() && !from.Is4In6() {
		p, err := from.Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return from.Unmap()
}

// GuardedSignatures is a verifier of the AWS wire whose failures are bounded.
type GuardedSignatures struct {
	Verifier interface {
		Verify(r *http.Request, body []byte) (leat.Principal, error)
	}
	Failures *Failures
}

// Verify returns who signed a request.
func (g *GuardedSignatures) Verify(r *http.Request, body []byte) (leat.Principal, error) {
	var from netip.Addr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from = at.Addr()
	}
	if err := g.Failures.Check(from); err != nil {
		return leat.Principal{}, errTooManyFailures(err)
	}
	who, err := g.Verifier.Verify(r, body)
	if isFailure(err) {
		g.Failures.Failed(from)
	}
	return who, err
}

// Origin says where a request came in, and from where.
func Origin(r *http.Request, edge leat.Edge, id string) leat.Origin {
	o := leat.Origin{Request: id, Agent: r.UserAgent(), Edge: edge}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		o.Source = at.Addr().Unmap()
	}
	return o
}
