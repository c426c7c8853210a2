// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// clock stands still unless a test moves it.
type clock struct {
	leat.SystemClock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// keyMap is a few keys.
type keyMap map[string]auth.Key

func (m keyMap) Key(_ context.Context, id string) (auth.Key, error) {
	k, ok := m[id]
	if !ok {
		return k, auth.ErrUnknownKey
	}
	return k, nil
}

func verifier(tb testing.TB, service string, now time.Time, keys ...auth.Key) *auth.SigV4 {
	tb.Helper()
	m := keyMap{}
	for _, k := range keys {
		m[k.ID] = k
	}
	v, err := auth.NewSigV4(auth.SigV4Options{Keys: m, Region: "us-east-1", Service: service, Clock: &clock{now: now}})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
