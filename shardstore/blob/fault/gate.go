// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"sync"
)

// Gate holds calls back until a test opens it; its Wait is meant for Fault.Wait
// and Fault.Hold. Create one with NewGate.
type Gate struct {
	open   chan struct{}
	once   sync.Once
	arrive chan struct{}
}

// NewGate returns a shut gate.
func NewGate() *Gate {
	return &Gate{open: make(chan struct{}), arrive: make(chan struct{}, 1<<10)}
}

// Wait blocks until the gate is open or ctx ends, and then returns ctx's error.
func (g *Gate) Wait(ctx context.Context) error {
	select {
	case g.arrive <- struct{}{}:
	default: // nobody counts that many
	}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Arrived gives one value for each call that has come to the gate.
func (g *Gate) Arrived() <-chan struct{} { return g.arrive }

// Open lets all calls through, now and later. It may be called twice.
func (g *Gate) Open() { g.once.Do(func() { close(g.open) }) }
