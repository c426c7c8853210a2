// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
)

// errVoid is a round that proves nothing, because the store refused to answer.
var errVoid = errors.New("the round could not be judged")

// round races for one key and judges what came of it. Rounds that were void
// before this one are counted in void, so that each race has a fresh key.
func (g *gate) round(ctx context.Context, round, void int) error {
	key := fmt.Sprintf("%s%d-%d", g.folder, round, void)
	defer g.clean(ctx, key)
	bodies := g.bodies(round)
	answers := g.race(ctx, key, bodies)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blob: conditional creation: %w", err)
	}
	winner, err := g.winner(ctx, round, key, bodies, answers)
	if err != nil {
		return err
	}
	return g.confirm(ctx, round, key, bodies[winner])
}

func (g *gate) bodies(round int) [][]byte {
	size := smallRound
	if round >= g.Rounds-2 {
		size = largeRound
	}
	bodies := make([][]byte, g.Racers)
	for i := range bodies {
		line := fmt.Appendf(nil, "racer %d of round %d\n", i, round)
		bodies[i] = bytes.Repeat(line, size/len(line)+1)
	}
	return bodies
}

// race lets all racers go at once and returns their answers.
func (g *gate) race(ctx context.Context, key string, bodies [][]byte) []error {
	answers := make([]error, g.Racers)
	start := make(chan struct{})
	var racers sync.WaitGroup
	for i := range answers {
		racers.Go(func() {
			<-start
			answers[i] = g.stores[i%len(g.stores)].Create(ctx, key, bodies[i])
		})
	}
	close(start)
	racers.Wait()
	return answers
}

// winner finds the racer whose object stands. A racer without a clear answer
// may have won; one that was told 412 may not.
func (g *gate) winner(ctx context.Context, round int, key string, bodies [][]byte, answers []error) (int, error) {
	won, unknown := -1, 0
	var last error
	for i, err := range answers {
		switch {
		case err == nil && won >= 0:
			return 0, g.unsafe(round, "racers %d and %d were both told that they created %s", won, i, key)
		case err == nil:
			won = i
		case !errors.Is(err, ErrExists):
			unknown++
			last = err
		}
	}
	if won >= 0 {
		return won, nil
	}
	if unknown == 0 {
		return 0, g.unsafe(round, "nobody was told that he created %s, yet all were told that it exists", key)
	}
	body, err := g.stores[0].Read(ctx, key, 0, -1)
	if err != nil {
		return 0, fmt.Errorf("blob: conditional creation: %w: %d of %d racers without an answer, the last: %w",
			errVoid, unknown, g.Racers, last)
	}
	for i := range bodies {
		if bytes.Equal(body, bodies[i]) && !errors.Is(answers[i], ErrExists) {
			return i, nil
		}
	}
	return 0, g.unsafe(round, "%s holds the bytes of a racer that was refused", key)
}

// confirm asks every endpoint for the winner's bytes, and has each refuse a
// late racer.
func (g *gate) confirm(ctx context.Context, round int, key string, want []byte) error {
	for i, s := range g.stores {
		if err := g.shows(ctx, round, key, i, want); err != nil {
			return err
		}
		err := s.Create(ctx, key, []byte("too late"))
		if err == nil {
			return g.unsafe(round, "%s let %s be created over an object that stood there", g.Names[i], key)
		}
		if !errors.Is(err, ErrExists) {
			return fmt.Errorf("blob: conditional creation: %w: late racer: %w", errVoid, err)
		}
		if err := g.shows(ctx, round, key, i, want); err != nil {
			return err
		}
	}
	return nil
}

func (g *gate) shows(ctx context.Context, round int, key string, i int, want []byte) error {
	got, err := g.stores[i].Read(ctx, key, 0, -1)
	switch {
	case errors.Is(err, ErrNotFound):
		return g.unsafe(round, "%s does not show %s, which was created a moment before", g.Names[i], key)
	case err != nil:
		return fmt.Errorf("blob: conditional creation: %w: read back: %w", errVoid, err)
	case !bytes.Equal(got, want):
		return g.unsafe(round, "%s shows other bytes at %s than its creator wrote", g.Names[i], key)
	}
	return nil
}

// clean removes a racing object, also when the run was cancelled. What cannot
// be removed is left: it lies under a name that nothing reads.
func (g *gate) clean(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	_ = g.stores[0].Delete(ctx, key)
}
