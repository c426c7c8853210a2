// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// streamCmd is `leat stream`.
type streamCmd struct {
	Connection connection `embed:""`

	Create   streamCreateCmd   `cmd:"" help:"Create a stream."`
	List     streamListCmd     `cmd:"" help:"List streams."`
	Describe streamDescribeCmd `cmd:"" help:"Describe a stream and its shards."`
	Update   streamUpdateCmd   `cmd:"" help:"Change retention, mode, the largest record or warm throughput."`
	Split    streamSplitCmd    `cmd:"" help:"Split a shard in two."`
	Merge    streamMergeCmd    `cmd:"" help:"Merge two adjacent shards."`
	Scale    streamScaleCmd    `cmd:"" help:"Bring a stream to a number of shards."`
	Tag      streamTagCmd      `cmd:"" help:"Add tags to a stream or a consumer."`
	Untag    streamUntagCmd    `cmd:"" help:"Remove tags from a stream or a consumer."`
	Tags     streamTagsCmd     `cmd:"" help:"List the tags of a stream or a consumer."`
	Policy   streamPolicyCmd   `cmd:"" help:"Show, set or delete the resource policy of a stream or a consumer."`
	Encrypt  streamEncryptCmd  `cmd:"" help:"Encrypt what is put from now on, at rest."`
	Decrypt  streamDecryptCmd  `cmd:"" help:"Stop to encrypt what is put from now on."`
	Monitor  streamMonitorCmd  `cmd:"" help:"Choose the shard-level metrics that are kept."`
	Events   streamEventsCmd   `cmd:"" help:"Show what on-demand scaling did, and why."`
	Delete   streamDeleteCmd   `cmd:"" help:"Delete a stream with all its records."`
	Erase    streamEraseCmd    `cmd:"" help:"Delete an encrypted stream and its keys, so that what is left of its records anywhere cannot be read."`
}

// waitFlags say whether to wait until a change is done.
type waitFlags struct {
	Wait    bool          `help:"Wait until the stream is ACTIVE." default:"true" negatable:""`
	WaitFor time.Duration `help:"How long to wait at most." default:"60s" placeholder:"TIME"`
}

// streamFlags are what can be set and changed.
type streamFlags struct {
	OnDemand       bool          `help:"Let the server set the number of shards by load." xor:"mode"`
	Retention      time.Duration `help:"How long records are kept: 24h to 8760h." placeholder:"TIME"`
	MaxRecordBytes int64         `help:"The largest record, data and key together: 1048576 to 10485760 bytes." placeholder:"BYTES"`
	WarmThroughput *int32        `help:"MiB/s that an on-demand stream keeps room for: up to 10240; 0 for none." placeholder:"N"`
}

// hours checks a retention for what the API cannot carry.
func (f *streamFlags) hours() (int32, error) {
	if f.Retention == 0 {
		return 0, nil
	}
	return int32(f.Retention / time.Hour), leat.ValidateRetention(f.Retention)
}

type streamCreateCmd struct {
	Name   string      `arg:"" help:"Name of the stream."`
	Shards int32       `help:"Number of shards." xor:"mode" placeholder:"N"`
	Flags  streamFlags `embed:""`
	Tag    []string    `help:"A tag; may be given more than once." placeholder:"NAME=VALUE" sep:"none"`
	Wait   waitFlags   `embed:""`
}

// Run creates a stream; without a number of shards it is on-demand.
func (cmd *streamCreateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	retention, err := cmd.Flags.hours()
	if err != nil {
		return err
	}
	tags, err := parseTags(cmd.Tag)
	if err != nil {
		return err
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := &leatv1.CreateStreamRequest{
		Stream: cmd.Name, ShardCount: cmd.Shards, RetentionHours: retention, MaxRecordBytes: cmd.Flags.MaxRecordBytes, Tags: tags,
	}
	if cmd.Flags.WarmThroughput != nil {
		req.WarmThroughputMibps = *cmd.Flags.WarmThroughput
	}
	if cmd.Flags.OnDemand {
		req.Mode = leatv1.StreamMode_STREAM_MODE_ON_DEMAND
	}
	res, err := cl.Streams.CreateStream(ctx, req)
	if err != nil {
		return err
	}
	return cmd.Wait.finish(ctx, c, t, cl, res.GetStream(), "created")
}

// finish waits if asked to, and says how the stream is now.
func (w *waitFlags) finish(ctx context.Context, c *connection, t *terminal, cl *client.Client, s *leatv1.Stream, verb string) error {
	if w.Wait {
		var err error
		if s, err = w.active(ctx, cl, s.GetName()); err != nil {
			return err
		}
	}
	p := newPrinter(t.out, c.Output)
	if err := p.Row(viewStream(s), fmt.Sprintf("stream %s %s: %s, %s", s.GetName(), verb, short(s.GetStatus().String()), plural(int(s.GetOpenShardCount()), "shard"))); err != nil {
		return err
	}
	return p.Flush()
}

// active polls until the stream is ACTIVE. It asks again after a pause that grows from a few milliseconds to a second.
func (w *waitFlags) active(ctx context.Context, cl *client.Client, name string) (*leatv1.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, w.WaitFor)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		res, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: name})
		if err == nil && res.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return res.GetStream(), nil
		}
		if err != nil && leat.KindOf(err) != leat.KindUnavailable {
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, leat.Errorf(leat.KindUnavailable, "stream %s is not ACTIVE after %s: `leat stream describe %s` shows how it is", name, w.WaitFor, name)
		}
	}
}

type streamListCmd struct{}

// maxPages bounds listings.
const maxPages = 10_000

// Run lists all streams.
func (streamListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		p := newPrinter(t.out, c.Output, "NAME", "STATUS", "MODE", "SHARDS", "RETENTION", "CREATED")
		req := &leatv1.ListStreamsRequest{PageSize: 1000}
		for range maxPages {
			res, err := cl.Streams.ListStreams(ctx, req)
			if err != nil {
				return err
			}
			for _, s := range res.GetStreams() {
				v := viewStream(s)
				if err := p.Row(v, v.Name, v.Status, v.Mode, fmt.Sprint(v.OpenShards), hours(time.Duration(v.RetentionHours)*time.Hour), local(s.GetCreateTime())); err != nil {
					return err
				}
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if p.empty() {
			fmt.Fprintln(t.err, "no streams: make one with `leat stream create NAME --shards 1`")
		}
		return p.Flush()
	})
}

type streamUpdateCmd struct {
	Name        string      `arg:"" help:"Name of the stream."`
	Flags       streamFlags `embed:""`
	Provisioned bool        `help:"Set the number of shards by hand." xor:"mode"`
	Wait        waitFlags   `embed:""`
}

// Run changes what its flags name.
func (cmd *streamUpdateCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	retention, err := cmd.Flags.hours()
	if err != nil {
		return err
	}
	set := &leatv1.StreamSettings{RetentionHours: retention, MaxRecordBytes: cmd.Flags.MaxRecordBytes}
	mask := &fieldmaskpb.FieldMask{}
	if retention != 0 {
		mask.Paths = append(mask.Paths, "retention_hours")
	}
	if set.MaxRecordBytes != 0 {
		mask.Paths = append(mask.Paths, "max_record_bytes")
	}
	if cmd.Flags.OnDemand || cmd.Provisioned {
		mask.Paths = append(mask.Paths, "mode")
		set.Mode = leatv1.StreamMode_STREAM_MODE_PROVISIONED
		if cmd.Flags.OnDemand {
			set.Mode = leatv1.StreamMode_STREAM_MODE_ON_DEMAND
		}
	}
	if cmd.Flags.WarmThroughput != nil {
		mask.Paths, set.WarmThroughputMibps = append(mask.Paths, "warm_throughput_mibps"), *cmd.Flags.WarmThroughput
	}
	if len(mask.Paths) == 0 {
		return leat.Invalid("settings", "nothing to change: give --retention, --max-record-bytes, --warm-throughput, --on-demand or --provisioned")
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	res, err := cl.Streams.UpdateStream(ctx, &leatv1.UpdateStreamRequest{Stream: cmd.Name, Settings: set, UpdateMask: mask})
	if err != nil {
		return err
	}
	return cmd.Wait.finish(ctx, c, t, cl, res.GetStream(), "updated")
}

type streamDeleteCmd struct {
	Name      string        `arg:"" help:"Name of the stream."`
	Yes       bool          `short:"y" help:"Do not ask."`
	Consumers bool          `help:"Deregister its consumers too."`
	Wait      bool          `help:"Wait until the stream is gone." default:"true" negatable:""`
	WaitFor   time.Duration `help:"How long to wait at most." default:"60s" placeholder:"TIME"`
}

// Run deletes a stream after asking for its name.
func (cmd *streamDeleteCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	if !cmd.Yes {
		if err := cmd.ask(ctx, t); err != nil {
			return err
		}
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = cl.Streams.DeleteStream(ctx, &leatv1.DeleteStreamRequest{Stream: cmd.Name, EnforceConsumerDeletion: cmd.Consumers})
	if err != nil {
		return err
	}
	if cmd.Wait {
		if err := cmd.gone(ctx, cl); err != nil {
			return err
		}
	}
	p := newPrinter(t.out, c.Output)
	if err := p.Row(map[string]string{"name": cmd.Name, "status": "DELETED"}, "stream "+cmd.Name+" deleted"); err != nil {
		return err
	}
	return p.Flush()
}

func (cmd *streamDeleteCmd) ask(ctx context.Context, t *terminal) error {
	if !isTerminal(t.in) {
		return leat.Invalid("yes", "deleting stream %s takes all its records with it: give --yes to do so without being asked", cmd.Name)
	}
	fmt.Fprintf(t.err, "This deletes stream %s with all its records, for ever. Type its name to go on: ", cmd.Name)
	answer, err := bufio.NewReader(t.input(ctx)).ReadString('\n')
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || strings.TrimSpace(answer) != cmd.Name {
		return leat.Invalid("name", "that is not its name: nothing was deleted")
	}
	return nil
}

// gone polls until the stream is not found.
func (cmd *streamDeleteCmd) gone(ctx context.Context, cl *client.Client) error {
	return untilGone(ctx, "stream "+cmd.Name, cmd.WaitFor, func(ctx context.Context) error {
		_, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: cmd.Name})
		return err
	})
}

// untilGone looks until what is being deleted is not found.
func untilGone(ctx context.Context, what string, within time.Duration, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := look(ctx)
		switch kind := leat.KindOf(err); {
		case err != nil && kind == leat.KindNotFound:
			return nil
		case err != nil && kind != leat.KindUnavailable && ctx.Err() == nil:
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return leat.Errorf(leat.KindUnavailable, "%s is still being deleted after %s: that goes on by itself", what, within)
		}
	}
}
