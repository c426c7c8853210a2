// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"testing"
	"time"

	"github.com/leatstream/leat/billing"
)

// However many ask, an account is counted once at a time, and again when it has rested.
func TestCostsAreCountedOnceForAll(t *testing.T) {
	k, now := newCosts(), time.Unix(1_000_000, 0)
	over := func(done <-chan struct{}) bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	first := k.ask("a", now)
	if again := k.ask("a", now.Add(time.Second)); again != first || len(k.asks) != 1 || over(first) {
		t.Fatalf("a second one has it counted again: %d counts are asked for", len(k.asks))
	}
	if _, known := k.find("a"); known {
		t.Error("it is known before it was counted")
	}
	<-k.asks
	k.counted("a", billing.Costs{Month: "2026-11"}, nil, now, 3*time.Second)
	if c, known := k.find("a"); !known || c.Month != "2026-11" || !over(first) {
		t.Errorf("after the count: %+v, %t", c, known)
	}
	const rest = costsRest * 3 * time.Second
	if k.ask("a", now.Add(rest-time.Millisecond)) != nil || len(k.asks) != 0 {
		t.Error("it is counted again before it has rested")
	}
	if k.ask("a", now.Add(rest)) == nil || len(k.asks) != 1 {
		t.Error("it is not counted again")
	}
	<-k.asks
	k.counted("a", billing.Costs{}, errors.New("away"), now.Add(rest), time.Millisecond)
	if c, known := k.find("a"); !known || c.Month != "2026-11" {
		t.Errorf("a count that failed took away what was known: %+v", c)
	}
	if k.ask("a", now.Add(rest+costsKept-time.Millisecond)) != nil {
		t.Error("after a failure it is tried again at once")
	}
	k.forget(now.Add(rest + costsKept + costsForgot))
	if _, known := k.find("a"); known {
		t.Error("what nobody asks for is kept")
	}
	for range 2 * cap(k.asks) { // more than can wait
		k.ask(time.Now().String(), now)
	}
	if len(k.asks) != cap(k.asks) {
		t.Errorf("%d wait of %d", len(k.asks), cap(k.asks))
	}
}
