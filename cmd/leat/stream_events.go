// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

type streamEventsCmd struct {
	Name  string `arg:"" help:"Name of the stream."`
	Limit int32  `short:"n" help:"How many events to show, the latest first." default:"50" placeholder:"N"`
}

// Run shows what on-demand scaling did and why.
func (cmd *streamEventsCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		p := newPrinter(t.out, c.Output, "TIME", "ACTION", "SHARDS", "REASON")
		res, err := cl.Streams.ListScaleEvents(ctx, &leatv1.ListScaleEventsRequest{Stream: cmd.Name, PageSize: cmd.Limit})
		if err != nil {
			return err
		}
		for _, e := range res.GetEvents() {
			v := scaleEventView{Time: rfc3339(e.GetTime()), Action: short(e.GetAction().String()), Shards: e.GetShardIds(), Reason: e.GetReason()}
			if err := p.Row(v, local(e.GetTime()), v.Action, strings.Join(v.Shards, " "), v.Reason); err != nil {
				return err
			}
		}
		if p.empty() && c.Output != formatJSON {
			fmt.Fprintf(t.err, "stream %s was not scaled by its load\n", cmd.Name)
		}
		return p.Flush()
	})
}

type scaleEventView struct {
	Time   string   `json:"time"`
	Action string   `json:"action"`
	Shards []string `json:"shard_ids"`
	Reason string   `json:"reason"`
}
