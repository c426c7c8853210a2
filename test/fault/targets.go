// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
)

// Targets are the nodes of one cluster, any of which may be dead or stand by. Each user keeps to one node until that
// fails it.
type Targets []*client.Client

// pick is one user's choice of node.
type pick struct {
	all Targets
	at  atomic.Uint32
}

func (t Targets) pick(random *rand.Rand) *pick {
	p := &pick{all: t}
	p.at.Store(random.Uint32N(uint32(len(t))))
	return p
}

// now is the number of the node that is used now.
func (p *pick) now() int { return int(p.at.Load()) % len(p.all) }

func (p *pick) client() *client.Client { return p.all[p.now()] }

// turn goes to the next node.
func (p *pick) turn() { p.at.Add(1) }

// leave goes to the next node unless somebody else has left that node already.
func (p *pick) leave(node int) {
	if at := p.at.Load(); int(at)%len(p.all) == node {
		p.at.CompareAndSwap(at, at+1)
	}
}

// certain tells whether a put that failed with err was certainly not executed.
func certain(err error) bool {
	switch leat.KindOf(err) {
	case leat.KindUnavailable, leat.KindThroughputExceeded, leat.KindLimitExceeded:
		return true
	}
	return false
}

// expected tells whether faults explain an error: a node that is dead, stands by, hangs or has enough. Anything else
// (INTERNAL, CORRUPT, NOT_FOUND, INVALID_ARGUMENT) is a fault of Leat's own.
func expected(err error) bool {
	switch leat.KindOf(err) {
	case leat.KindUnavailable, leat.KindThroughputExceeded, leat.KindLimitExceeded, leat.KindUnknownOutcome, leat.KindCanceled:
		return true
	}
	return false
}
