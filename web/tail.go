// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// Bounds of a live tail. It is a sample: what it costs the node depends on what is shown, and a reader that does not keep up
// holds nothing but its own connection, for tailWrite at most.
const (
	tailsAtOnce = 64 // on a node
	tailShown   = 20 // records a second
	tailSifted  = 200
	tailPreview = 1 << 10
	tailBeat    = 10 * time.Second
	tailWrite   = 10 * time.Second // that one write may take
)

func (c *Console) tail(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	status, problem := http.StatusOK, ""
	if _, err := c.newFilter(r.Context(), s.who, strings.TrimSpace(r.URL.Query().Get("jq"))); err != nil {
		status, problem = statusOf(leat.KindOf(err)), told(err)
	}
	shards, err := c.allShards(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	page := c.streamPage(d, "tail", map[string]any{"Stream": d, "Shards": shards, "Shard": q.Get("shard"), "JQ": q.Get("jq"), "Text": q.Get("text"), "PerSecond": tailShown, "Filters": c.Broker.MayTransform(r.Context(), s.who), "Error": problem})
	page.Copy = c.copyTail(d)
	c.show(w, r, s, status, "tail", page)
	return nil
}

// tailRecord is a record as an event has it. The page shows each member as text.
type tailRecord struct {
	Shard    string `json:"shard"`
	Sequence string `json:"sequence"`
	Link     string `json:"link"`
	At       string `json:"at"`
	Key      string `json:"key"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
	Size     int    `json:"size"`
}

// tailEvent is one event.
type tailEvent struct {
	Records []tailRecord `json:"records"`
	Skipped uint64       `json:"skipped"` // passed over by sampling
	Hidden  int          `json:"hidden"`  // left out by the filter
}

// tailEvents follows a stream as server-sent events. What fails is an event too: script that asks for events sees no other answer.
func (c *Console) tailEvents(w http.ResponseWriter, r *http.Request, s *session) error {
	q := r.URL.Query()
	t := &tailing{w: w, out: http.NewResponseController(w), text: strings.ToLower(q.Get("text")), stream: r.PathValue("stream")}
	var err error
	if t.filter, err = c.newFilter(r.Context(), s.who, strings.TrimSpace(q.Get("jq"))); err != nil {
		t.failed(err)
		return nil
	}
	select {
	case c.tails <- struct{}{}:
		defer func() { <-c.tails }()
	default:
		t.failed(leat.Errorf(leat.KindThroughputExceeded, "This node follows %d streams for people already: close one.", tailsAtOnce))
		return nil
	}
	req := broker.TailStreamRequest{Stream: t.stream, Shard: q.Get("shard"), PerSecond: tailShown}
	if t.filter != nil || t.text != "" {
		req.PerSecond = tailSifted
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel(nil)
	beating.Go(func() {
		for {
			tick, stop := c.Clock.NewTimer(tailBeat)
			select {
			case <-tick:
				if err := t.write(": still here\n\n"); err != nil {
					cancel(err)
				}
			case <-c.draining:
				stop()
				cancel(nil)
				return
			case <-ctx.Done():
				stop()
				return
			}
		}
	})
	return t.run(func(send func(broker.TailBatch) error) error { return c.Broker.TailStream(ctx, s.who, req, send) })
}

// tailing is one connection.
type tailing struct {
	mu     sync.Mutex
	w      http.ResponseWriter
	out    *http.ResponseController
	begun  bool
	filter *filter
	text   string // that a record must have in it, in small letters
	stream string
}

// run follows until it ends.
func (t *tailing) run(follow func(send func(broker.TailBatch) error) error) error {
	if err := t.write("retry: 3000\n\n"); err != nil {
		return nil //nolint:nilerr // who has gone needs nothing
	}
	err := follow(func(b broker.TailBatch) error {
		e := t.event(b)
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return t.write(fmt.Sprintf("data: %s\n\n", text))
	})
	if err != nil {
		t.failed(err)
	}
	return nil
}

// failed says why nothing follows, if anybody is there.
func (t *tailing) failed(err error) {
	if text, bad := json.Marshal(told(err)); bad == nil {
		_ = t.write(fmt.Sprintf("event: failed\ndata: %s\n\n", text))
	}
}

// write sends a piece within its time.
func (t *tailing) write(text string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun = true
		t.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		t.w.Header().Set("X-Accel-Buffering", "no")
		t.w.WriteHeader(http.StatusOK)
	}
	_ = t.out.SetWriteDeadline(time.Now().Add(tailWrite))      // where it cannot be set the flush fails below
	defer func() { _ = t.out.SetWriteDeadline(time.Time{}) }() // over HTTP/2 a time that is over ends the stream, though nothing is written
	if _, err := t.w.Write([]byte(text)); err != nil {
		return err
	}
	return t.out.Flush()
}

// event turns a batch into what is shown of it.
func (t *tailing) event(b broker.TailBatch) tailEvent {
	e := tailEvent{Records: []tailRecord{}, Skipped: b.Skipped}
	ctx, cancel := context.WithTimeout(context.Background(), filterTime/4)
	defer cancel()
	for i := range b.Records {
		r := &b.Records[i]
		if len(e.Records) == tailShown {
			e.Skipped += uint64(len(b.Records) - i)
			break
		}
		d := decode(r.Data, previewMost)
		if t.text != "" && !strings.Contains(strings.ToLower(r.PartitionKey+"\n"+d.Text), t.text) {
			e.Hidden++
			continue
		}
		d, keep, err := t.filter.apply(ctx, d, previewMost)
		if err != nil || !keep {
			e.Hidden++
			continue
		}
		d = cut(decoded{Kind: d.Kind}, strings.Join(strings.Fields(d.Text), " "), tailPreview)
		row := row(b.Shard, r, d)
		e.Records = append(e.Records, tailRecord{
			Shard: leat.ShardID(b.Shard.Ordinal), Sequence: row.Sequence, Link: row.Link(t.stream), At: row.At.UTC().Format(time.RFC3339Nano),
			Key: r.PartitionKey, Kind: d.Kind, Text: d.Text, Size: len(r.Data),
		})
	}
	return e
}
