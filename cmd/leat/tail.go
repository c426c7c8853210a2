// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// tailCmd is `leat tail`.
type tailCmd struct {
	Connection connection `embed:""`

	Name     string `arg:"" help:"Name of the stream."`
	Follow   bool   `short:"f" help:"Go on with records as they are put, until Ctrl-C."`
	Number   int    `short:"n" help:"Show this many of the last records first." default:"10" placeholder:"N"`
	Consumer string `help:"Name of a registered consumer to follow as. One is registered for the time by default." placeholder:"NAME"`
	Poll     bool   `help:"Ask for records instead of being pushed to."`
	Verbose  bool   `short:"v" help:"Show shard, sequence number, time and key too."`
}

// Run shows the last records, then follows.
func (cmd *tailCmd) Run(ctx context.Context, c *connection, t *terminal, random *rand.Rand) error {
	if cmd.Number < 0 {
		return leat.Invalid("number", "-n %d: give 0 or more", cmd.Number)
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	out := newRecordPrinter(t.out, c.Output, cmd.Verbose)
	begin, at, err := cmd.last(ctx, cl, out)
	if err != nil || !cmd.Follow {
		return err
	}
	consumer, release := cmd.consumer(ctx, cl, t, random)
	defer release()
	r, err := client.NewReader(cl, cmd.Name, begin, client.ReaderOptions{Checkpoints: at, Consumer: consumer})
	if err != nil {
		return err
	}
	defer r.Close()
	return follow(ctx, r, out)
}

// follow prints records as they come, until ctx ends.
func follow(ctx context.Context, r *client.Reader, out *recordPrinter) error {
	for rec, err := range r.All(ctx) {
		switch {
		case err != nil && ctx.Err() != nil:
			return out.Flush() // Ctrl-C is how this command ends
		case err != nil:
			return errors.Join(out.Flush(), err)
		}
		if err := errors.Join(out.Print(rec), out.Flush()); errors.Is(err, syscall.EPIPE) {
			return nil // whoever reads has had enough, as in tail -f | head
		} else if err != nil {
			return err
		}
	}
	return out.Flush()
}

// windows are how far back the last records are looked for, until there are enough of them. They grow by a factor, so
// that at most a few times as many are read as are shown.
func windows() []time.Duration {
	var out []time.Duration
	for d := time.Second; d < leat.MaxRetention; d *= 8 {
		out = append(out, d)
	}
	return out
}

// last prints the last records and returns where to go on.
func (cmd *tailCmd) last(ctx context.Context, cl *client.Client, out *recordPrinter) (begin client.Start, at client.Checkpoints, err error) {
	if cmd.Number == 0 {
		return client.Latest(), nil, nil
	}
	var kept []*client.ReadRecord
	starts := []client.Start{}
	for _, back := range windows() {
		starts = append(starts, client.AtTime(time.Now().Add(-back)))
	}
	for _, begin = range append(starts, client.TrimHorizon()) {
		kept, at, err = cmd.since(ctx, cl, begin)
		ahead := leat.KindOf(err) == leat.KindInvalidArgument && begin != client.TrimHorizon() // our clock is
		if err != nil && !ahead {
			return begin, nil, err
		}
		if len(kept) == cmd.Number {
			break
		}
	}
	for _, rec := range kept {
		if err := out.Print(rec); err != nil {
			return begin, nil, err
		}
	}
	return begin, at, out.Flush()
}

// since returns the last records that arrived from a time on, oldest first.
func (cmd *tailCmd) since(ctx context.Context, cl *client.Client, begin client.Start) ([]*client.ReadRecord, client.Checkpoints, error) {
	r, err := client.NewReader(cl, cmd.Name, begin, client.ReaderOptions{ToPresent: true})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	byTime := func(a, b *client.ReadRecord) int { return a.Arrival.Compare(b.Arrival) }
	var kept []*client.ReadRecord
	for rec, err := range r.All(ctx) {
		if err != nil {
			return nil, nil, err
		}
		if kept = append(kept, rec); len(kept) >= 2*cmd.Number+1000 {
			slices.SortStableFunc(kept, byTime)
			kept = slices.Clone(kept[len(kept)-cmd.Number:])
		}
	}
	slices.SortStableFunc(kept, byTime)
	return kept[max(0, len(kept)-cmd.Number):], r.Checkpoints(), nil
}

// consumer returns whom to follow as, "" to ask for records, and what to do at the end. Where none can be registered the
// records are asked for.
func (cmd *tailCmd) consumer(ctx context.Context, cl *client.Client, t *terminal, random *rand.Rand) (name string, release func()) {
	if cmd.Poll || cmd.Consumer != "" {
		return cmd.Consumer, func() {}
	}
	name = fmt.Sprintf("leat-tail-%08x", random.Uint32())
	release = func() { cmd.deregister(ctx, cl, t, name) }
	signal.Ignore(syscall.SIGPIPE) // a write to a pipe that nobody reads any more fails instead, so that release is reached
	within, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	_, err := cl.Consumers.RegisterStreamConsumer(within, &leatv1.RegisterStreamConsumerRequest{Stream: cmd.Name, Consumer: name})
	refused := err != nil && within.Err() == nil
	if err == nil {
		_, err = awaitActive(within, cl, cmd.Name, name)
	}
	if err == nil {
		return name, release
	}
	if !refused {
		release() // it is registered, or may be
	}
	if ctx.Err() == nil {
		say(t.err, "asking for records instead of being pushed to: %v", err)
	}
	return "", func() {}
}

// deregister removes a consumer, though ctx may have ended.
func (cmd *tailCmd) deregister(ctx context.Context, cl *client.Client, t *terminal, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
	defer cancel()
	_, err := cl.Consumers.DeregisterStreamConsumer(ctx, &leatv1.DeregisterStreamConsumerRequest{Stream: cmd.Name, Consumer: name})
	if err != nil && leat.KindOf(err) != leat.KindNotFound {
		say(t.err, "consumer %s stays registered: %v", name, err)
	}
}

// say tells a person something on the side.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "leat: "+format+"\n", args...)
}
