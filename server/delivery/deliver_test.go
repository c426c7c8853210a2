// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/leatstream/leat/server/delivery/spec"
)

// empty holds nothing.
type empty struct{}

func (empty) Add([]byte) error { return nil }

func (empty) Close() error { return nil }

// Whoever is stopped before all objects of a plan are begun has not written them.
func TestWriteThatIsStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	j := &job{t: &tools{encode: func(io.Writer) (spec.Encoder, error) { return empty{}, nil }}, objects: []*draft{{}, {}}, room: &room{most: 1 << 20}}
	if err := j.write(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a write that was stopped: %v", err)
	}
}
