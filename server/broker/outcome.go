// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// Hints for retries.
const (
	retryOverload = 100 * time.Millisecond
	retryMoved    = 200 * time.Millisecond
)

// putOutcome classes what the engine said of one record. nil stays nil. Whatever it does not know may have been
// executed.
func putOutcome(err error) error {
	var known *leat.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, shardstore.ErrUnknownOutcome):
		return &leat.Error{Kind: leat.KindUnknownOutcome, Message: "the record may or may not have been written: reading the shard tells", Err: err}
	case errors.Is(err, shardstore.ErrOverloaded):
		return overloaded(err)
	case errors.Is(err, shardstore.ErrNotOwned), errors.Is(err, shardstore.ErrResharded):
		return moving(err)
	case errors.As(err, &known):
		return err
	default:
		return &leat.Error{Kind: leat.KindUnknownOutcome, Message: "the record may or may not have been written: reading the shard tells", Err: err}
	}
}

// refusal classes the error of a call that changed nothing: a read, or puts that were refused as a whole.
func refusal(err error) error {
	var known *leat.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &leat.Error{Kind: leat.KindCanceled, Message: "the caller went away or ran out of time", Err: err}
	case errors.Is(err, shardstore.ErrOverloaded):
		return overloaded(err)
	case errors.Is(err, shardstore.ErrNotOwned):
		return moving(err)
	case errors.As(err, &known):
		return err
	default:
		return leat.Errorf(leat.KindInternal, "engine: %w", err)
	}
}

func overloaded(err error) error {
	return &leat.Error{Kind: leat.KindThroughputExceeded, Message: "the node has too many records that are not yet durable: retry after a pause", After: retryOverload, Err: err}
}

func moving(err error) error {
	return &leat.Error{Kind: leat.KindUnavailable, Message: "the shard is being opened or moved; nothing was executed: retry", After: retryMoved, Err: err}
}
