// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
)

// learn reads what streams are sealed with before a session serves, so that no stream that is encrypted takes a record
// in the clear and the catalog may go away afterwards.
func (n *Node) learn(ctx context.Context) error {
	if err := n.cfg.Known(ctx); err != nil {
		return fmt.Errorf("learn the streams' settings: %w", err)
	}
	if n.cfg.Keys == nil {
		return nil
	}
	streams, err := n.cfg.Catalog.Streams(ctx)
	if err != nil {
		return fmt.Errorf("list streams: %w", err)
	}
	for i := range streams {
		n.fetchKey(&streams[i])
	}
	return nil
}

// fetchKey has the ring remember a stream's key. Without it the stream takes no puts; everything else goes on.
func (n *Node) fetchKey(s *leat.Stream) {
	if n.cfg.Keys == nil || s.DataKey.IsZero() {
		return
	}
	if _, err := n.cfg.Keys.Key(s.DataKey); err != nil {
		n.cfg.Logger.Error("an encrypted stream takes no puts: its key cannot be had", "stream", s.Name, "error", err)
	}
}
