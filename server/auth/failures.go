// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// Failures bounds how often an address may fail to sign in: failureBurst at once, and failuresPerSecond in the long run. While
// it has failed too often nothing that comes from it is looked at, right or wrong, but for what CheckUnless lets through. Requests whose address is not
// known share one bound. It is counted on each node alone.
type Failures struct {
	clock leat.Clock
	tell  func(Failure)
	mu    sync.Mutex
	left  map[netip.Addr]allowance
}

// Failure is an attempt to sign in that failed, as others may be told of it: of what was presented it has nothing but the
// name of a credential that there is.
type Failure struct {
	Origin     leat.Origin
	Reason     string // one of a few
	Account    string // whose credential it was; empty: of nobody that is known
	Credential string // its id
}

// reasonTooMany is that of attempts that were not looked at.
const reasonTooMany = "too many failures have come from this address: not looked at"

type allowance struct {
	tokens float64
	at     time.Time
}

const (
	failureBurst      = 200
	failuresPerSecond = 10
	mostAddresses     = 10_000
)

// NewFailures makes one; a nil clock is the machine's. tell hears of each failure, and MUST return at once; nil: nobody does.
func NewFailures(clock leat.Clock, tell func(Failure)) *Failures {
	if clock == nil {
		clock = leat.SystemClock{}
	}
	if tell == nil {
		tell = func(Failure) {}
	}
	return &Failures{clock: clock, tell: tell, left: map[netip.Addr]allowance{}}
}

// Check returns KindThroughputExceeded for an address that has failed too often.
func (f *Failures) Check(o leat.Origin) error {
	return f.CheckUnless(o, func() bool { return false })
}

// CheckUnless is Check, but for those whom a node knows well enough: behind a load balancer all clients have one address, and one of them that goes on
// failing would keep out the rest. known is asked when the address has failed too often, as often as somebody likes: it MUST cost next to
// nothing, and MUST NOT tell a good guess at what can be guessed.
func (f *Failures) CheckUnless(o leat.Origin, known func() bool) error {
	if f == nil || f.mayTry(o.Source) || known() {
		return nil
	}
	f.tell(Failure{Origin: grouped(o), Reason: reasonTooMany})
	return &leat.Error{Kind: leat.KindThroughputExceeded, Message: "too many failures to sign in have come from this address: wait before the next", After: time.Second}
}

func (f *Failures) mayTry(from netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.left[group(from)]
	return !known || f.filled(a) >= 1
}

// Failed counts a failure to sign in, for which err was the reason.
func (f *Failures) Failed(o leat.Origin, err error) {
	fail := Failure{Origin: o}
	fail.Reason, fail.Account, fail.Credential = reasonOf(err)
	f.Count(fail)
}

// Count is Failed of a failure whose reason is told already. One without a reason is told nobody: nothing was presented.
func (f *Failures) Count(fail Failure) {
	if f == nil {
		return
	}
	f.spend(group(fail.Origin.Source))
	if fail.Reason != "" {
		fail.Origin = grouped(fail.Origin)
		f.tell(fail)
	}
}

func (f *Failures) spend(from netip.Addr) {
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

// reasonOf says why signing in failed, and whose credential it was.
func reasonOf(err error) (reason, account, credential string) {
	var s *SignatureError
	if errors.As(err, &s) {
		return signatureReasons[s.Type], s.key.Account, s.key.ID
	}
	var e *leat.Error
	if errors.Is(err, errNothing) || !errors.As(err, &e) {
		return "", "", ""
	}
	return e.Message, "", ""
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

func grouped(o leat.Origin) leat.Origin {
	o.Source = group(o.Source)
	return o
}

// GuardedSignatures is a verifier of the AWS wire whose failures are bounded: those of requests that name a key which this node does not know. Of a key that it
// knows each signature is verified, and its failures are counted; there is nothing to guess in a secret of 240 bits.
type GuardedSignatures struct {
	Verifier Signatures
	Failures *Failures
	Edge     leat.Edge
}

// Admit refuses what needs no body for that, and whoever has failed too often.
func (g *GuardedSignatures) Admit(r *http.Request) error {
	from := Origin(r, g.Edge, "")
	known := func() bool {
		keys, ok := g.Verifier.(interface{ Knows(r *http.Request) bool })
		return ok && keys.Knows(r)
	}
	if err := g.Failures.CheckUnless(from, known); err != nil {
		return errTooManyFailures(err)
	}
	err := g.Verifier.Admit(r)
	g.count(from, err)
	return err
}

// Verify returns who signed a request that Admit let through.
func (g *GuardedSignatures) Verify(r *http.Request, body []byte) (leat.Principal, error) {
	who, err := g.Verifier.Verify(r, body)
	g.count(Origin(r, g.Edge, ""), err)
	return who, err
}

func (g *GuardedSignatures) count(from leat.Origin, err error) {
	if isFailure(err) {
		g.Failures.Failed(from, err)
	}
}

// Origin says where a request came in, and from where.
func Origin(r *http.Request, edge leat.Edge, id string) leat.Origin {
	o := leat.Origin{Request: id, Agent: r.UserAgent(), Edge: edge}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		o.Source = at.Addr().Unmap()
	}
	return o
}
