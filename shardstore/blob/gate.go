// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// ErrUnsafe is matched by ProveConditionalCreate's error when the store was
// caught creating one key twice. No record may be put into such a store.
var ErrUnsafe = errors.New("blob: the store does not keep If-None-Match")

// GateOptions say how ProveConditionalCreate races. The zero value is the
// protocol's: 32 racers, 20 rounds.
type GateOptions struct {
	Racers int
	Rounds int

	// Names of the stores' endpoints, in their order; for messages, and so that
	// a new endpoint is proved anew. Without names the count stands for them.
	Names []string

	Rand io.Reader // of key names; crypto/rand if nil
}

// largeRound is the body size in bytes of the last two rounds. Servers treat
// small objects apart (MinIO keeps them inside their metadata), so both ways
// have to be raced. cleanTime bounds the removal of racing objects.
const (
	smallRound = 1 << 10
	largeRound = 256 << 10
	voidRounds = 5
	cleanTime  = 30 * time.Second
)

// ProveConditionalCreate races creations of fresh keys under prefix through all
// stores, which MUST be one bucket seen through each of its endpoints. In each
// round exactly one racer must win, every endpoint must then show the winner's
// bytes, and a later creation must be refused. (Rule 20 of the data plane;
// stores that got this wrong exist.)
//
// On success it leaves a marker at <prefix>gate/v1/…, and does nothing when that
// marker is there. An error that matches ErrUnsafe is final; any other means
// that the store could not be asked often enough, and the caller may try again.
// Racing objects are removed in both cases.
func ProveConditionalCreate(ctx context.Context, stores []Store, prefix string, opts GateOptions) error {
	if len(stores) == 0 {
		return errors.New("blob: conditional creation: no endpoint to prove")
	}
	g, err := newGate(stores, prefix, opts)
	if err != nil {
		return err
	}
	proved, err := g.proved(ctx)
	if proved || err != nil {
		return err
	}
	for round, void := 0, 0; round < g.Rounds; {
		err := g.round(ctx, round, void)
		switch {
		case err == nil:
			round++
		case errors.Is(err, errVoid) && void < voidRounds && ctx.Err() == nil:
			void++
		default:
			return err
		}
	}
	return g.mark(ctx)
}

type gate struct {
	GateOptions
	stores []Store
	marker string
	folder string // of this run's racing objects, ends in a slash
}

func newGate(stores []Store, prefix string, opts GateOptions) (*gate, error) {
	if opts.Racers <= 0 {
		opts.Racers = 32
	}
	if opts.Rounds <= 0 {
		opts.Rounds = 20
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	if len(opts.Names) != len(stores) {
		opts.Names = make([]string, len(stores))
		for i := range stores {
			opts.Names[i] = fmt.Sprintf("endpoint %d", i+1)
		}
	}
	// A key of its own for each run: nodes may start together.
	var id [16]byte
	if _, err := io.ReadFull(opts.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("blob: conditional creation: no randomness: %w", err)
	}
	names := slices.Sorted(slices.Values(opts.Names))
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	return &gate{
		GateOptions: opts,
		stores:      stores,
		marker:      prefix + "gate/v1/proved-" + hex.EncodeToString(sum[:8]),
		folder:      prefix + "gate/v1/race-" + hex.EncodeToString(id[:]) + "/",
	}, nil
}

func (g *gate) proved(ctx context.Context) (bool, error) {
	_, err := g.stores[0].Stat(ctx, g.marker)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNotFound):
		return false, nil
	}
	return false, fmt.Errorf("blob: conditional creation: look for marker: %w", err)
}

func (g *gate) mark(ctx context.Context) error {
	text := fmt.Sprintf("conditional creation proved: %d racers, %d rounds, through %s\n",
		g.Racers, g.Rounds, strings.Join(g.Names, ", "))
	err := g.stores[0].Create(ctx, g.marker, []byte(text))
	if err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("blob: conditional creation: proved, but the marker could not be written: %w", err)
	}
	return nil
}

func (g *gate) unsafe(round int, format string, args ...any) error {
	return fmt.Errorf("%w: %s (round %d of %d, %d racers, through %s). "+
		"Two servers could overwrite each other's records there, so Leat does not use this store. "+
		"Use a store with conditional writes (AWS S3, MinIO, versitygw, Ceph from Squid on), "+
		"upgrade it, or take away the proxy or replica that ignores If-None-Match",
		ErrUnsafe, fmt.Sprintf(format, args...), round+1, g.Rounds, g.Racers, strings.Join(g.Names, ", "))
}
