// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// laterClock is the machine's, moved on by hand.
type laterClock struct {
	leat.SystemClock
	by atomic.Int64
}

func (c *laterClock) Now() time.Time { return c.SystemClock.Now().Add(time.Duration(c.by.Load())) }

// A lane whose last record failed long ago gives the next one its time all the same.
func TestALaneThatRanEmptyIsNotStuck(t *testing.T) {
	f := newFake(1)
	refusals := []error{
		wireError(leat.KindAccessDenied, "no", 0),
		wireError(leat.KindThroughputExceeded, "too much", 0),
	}
	f.beforePut = func(*leatv1.PutRecordsRequest) (err error) {
		if len(refusals) > 0 {
			err, refusals = refusals[0], refusals[1:]
		}
		return err
	}
	clock := &laterClock{}
	o := quick(client.ProducerOptions{Lanes: 1, Clock: clock})
	p := producer(t, f.dial(t), o)
	put := func() (client.Placed, error) {
		t.Helper()
		ack, err := p.Put(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Wait(t.Context())
	}
	if _, err := put(); leat.KindOf(err) != leat.KindAccessDenied {
		t.Fatalf("the first one: %v", err)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.by.Store(int64(10 * time.Minute))
	if placed, err := put(); err != nil || placed.Attempts != 2 {
		t.Errorf("%+v, %v; want it written by the second attempt", placed, err)
	}
}
