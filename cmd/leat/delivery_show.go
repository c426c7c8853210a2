// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// compactJSON writes a message of the native API on one line, with the names of its fields.
func compactJSON(m proto.Message) (json.RawMessage, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text)
	return b.Bytes(), err
}

func printDeliveries(t *terminal, c *connection, all ...*leatv1.Delivery) error {
	p := newPrinter(t.out, c.Output, "NAME", "STATE", "VERSION", "SOURCE", "DESTINATION", "FORMAT", "BUFFER")
	for _, d := range all {
		object, err := compactJSON(d)
		if err != nil {
			return err
		}
		source := "direct put"
		if s := d.GetConfig().GetSource().GetStream(); s != "" {
			source = "stream " + s
		}
		format := strings.ToLower(strings.TrimPrefix(d.GetConfig().GetFormat().GetKind().String(), "DELIVERY_FORMAT_KIND_"))
		if z := strings.ToLower(strings.TrimPrefix(d.GetConfig().GetCompression().String(), "DELIVERY_COMPRESSION_")); z != "none" && z != "unspecified" {
			format += ", " + z
		}
		b := d.GetConfig().GetBuffer()
		if err := p.Row(object, d.GetName(), strings.TrimPrefix(d.GetState().String(), "DELIVERY_STATE_"), strconv.FormatUint(d.GetVersion(), 10), source, destination(d.GetConfig()), format,
			fmt.Sprintf("%g MiB or %d s", float64(b.GetBytes())/(1<<20), b.GetSeconds())); err != nil {
			return err
		}
	}
	return p.Flush()
}

func destination(c *leatv1.DeliveryConfig) string {
	if h := c.GetHttp(); h != nil {
		return h.GetUrl()
	}
	return "s3://" + c.GetS3().GetBucket() + "/" + c.GetNaming().GetPrefix()
}

type deliveryDescribeCmd struct{ deliveryArg }

// Run describes a delivery stream.
func (cmd *deliveryDescribeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: cmd.Delivery})
		if err != nil {
			return err
		}
		if c.Output == formatJSON {
			return encodeDescription(t.out, res)
		}
		if err := printDeliveries(t, c, res.GetDelivery()); err != nil {
			return err
		}
		fmt.Fprintln(t.out)
		if err := printProgress(t, c, "", res.GetShards()); err != nil {
			return err
		}
		for _, b := range res.GetBackfills() {
			fmt.Fprintf(t.out, "\nbackfill %s of %s to %s\n", b.GetId(), rfc3339(b.GetFromTime()), rfc3339(b.GetToTime()))
			if err := printProgress(t, c, b.GetId(), b.GetShards()); err != nil {
				return err
			}
		}
		return nil
	})
}

// encodeDescription writes the delivery stream's own fields at the top, so that --config can read it.
func encodeDescription(w io.Writer, res *leatv1.DescribeDeliveryResponse) error {
	object, err := compactJSON(res.GetDelivery())
	if err != nil {
		return err
	}
	rest, err := compactJSON(&leatv1.DescribeDeliveryResponse{Shards: res.GetShards(), Backfills: res.GetBackfills()})
	if err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	if err := errors.Join(json.Unmarshal(object, &all), json.Unmarshal(rest, &all)); err != nil {
		return err
	}
	return newEncoder(w).Encode(all)
}

func printProgress(t *terminal, c *connection, _ string, shards []*leatv1.DeliveryProgress) error {
	p := newPrinter(t.out, c.Output, "SHARD", "DELIVERED", "OF", "BEHIND", "LAST", "STATE")
	for _, s := range shards {
		state := "ok"
		switch {
		case s.GetDone():
			state = "done"
		case s.GetReason() != "":
			state = "waits since " + rfc3339(s.GetReasonTime()) + ": " + s.GetReason()
		}
		if err := p.Row(s, s.GetShardId(), strconv.FormatUint(s.GetNext()-s.GetStart(), 10), strconv.FormatUint(s.GetTail()-s.GetStart(), 10),
			(time.Duration(s.GetLagMillis()) * time.Millisecond).Round(time.Second).String(), rfc3339(s.GetDeliveredTime()), state); err != nil {
			return err
		}
	}
	return p.Flush()
}

type deliveryVerifyCmd struct {
	deliveryArg
	Backfill string `placeholder:"ID" help:"A backfill instead of the live delivery."`
	Deep     bool   `help:"Read every object back and compare its SHA-256."`
}

// Run verifies; problems make it fail.
func (cmd *deliveryVerifyCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	res, err := cl.Delivery.VerifyDelivery(ctx, &leatv1.VerifyDeliveryRequest{Delivery: cmd.Delivery, Backfill: cmd.Backfill, Deep: cmd.Deep})
	if err != nil {
		return err
	}
	if c.Output == formatJSON {
		object, err := compactJSON(res)
		if err != nil {
			return err
		}
		if err := newEncoder(t.out).Encode(object); err != nil {
			return err
		}
	} else if err := printReport(t.out, res); err != nil {
		return err
	}
	if !res.GetClean() {
		return leat.Errorf(leat.KindCorrupt, "verify found %d problems", len(res.GetProblems()))
	}
	return nil
}

func printReport(w io.Writer, r *leatv1.VerifyDeliveryResponse) error {
	p := newPrinter(w, "table", "SHARD", "FIRST", "END", "RECORDS")
	for _, v := range r.GetRanges() {
		if err := p.Row(v, v.GetShardId(), strconv.FormatUint(v.GetFirst(), 10), strconv.FormatUint(v.GetEnd(), 10), strconv.FormatUint(v.GetEnd()-v.GetFirst(), 10)); err != nil {
			return err
		}
	}
	if err := p.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d records: %d in exactly one of %d objects, %d in the error prefix (%d objects), %d dropped by a filter, %d expired\n",
		r.GetRecords(), r.GetStored(), r.GetObjects(), r.GetFailed(), r.GetErrorObjects(), r.GetDropped(), r.GetExpired())
	if r.GetBackupObjects() > 0 {
		fmt.Fprintf(w, "%d objects of the backup\n", r.GetBackupObjects())
	}
	if r.GetPending() > 0 {
		fmt.Fprintf(w, "%d records are planned and not delivered yet; they are not in the ranges\n", r.GetPending())
	}
	for _, problem := range r.GetProblems() {
		fmt.Fprintf(w, "PROBLEM %s\n", problem)
	}
	if r.GetClean() {
		fmt.Fprintln(w, "clean")
	}
	return nil
}

type deliveryBackfillCmd struct {
	deliveryArg
	From        time.Time `required:"" placeholder:"TIME" help:"Records that arrived then or later: 2006-01-02T15:04:05Z."`
	To          time.Time `placeholder:"TIME" help:"And before that. Default: now."`
	Format      string    `enum:",raw,delimited,json_lines,csv,parquet" default:"" placeholder:"FORMAT" help:"Another format: raw, delimited, json_lines, csv or parquet."`
	Columns     []string  `placeholder:"NAME" help:"Columns of CSV."`
	Compression string    `enum:",none,gzip,zstd,snappy,hadoop_snappy,zip" default:"" placeholder:"NAME" help:"Another compression."`
	Prefix      string    `placeholder:"PREFIX" help:"Another prefix."`
	NoWait      bool      `help:"Do not wait until it is done."`
}

// backfillLook is how often a backfill's progress is asked for.
const backfillLook = 500 * time.Millisecond

// Run begins a backfill and shows how far it is.
func (cmd *deliveryBackfillCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := &leatv1.BackfillDeliveryRequest{Delivery: cmd.Delivery, FromTime: timestamppb.New(cmd.From), Prefix: cmd.Prefix}
	if !cmd.To.IsZero() {
		req.ToTime = timestamppb.New(cmd.To)
	}
	if cmd.Format != "" {
		req.Format = &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind(leatv1.DeliveryFormatKind_value["DELIVERY_FORMAT_KIND_"+strings.ToUpper(cmd.Format)]), CsvColumns: cmd.Columns}
	}
	if cmd.Compression != "" {
		req.Compression = compressionFlag(cmd.Compression)
	}
	res, err := cl.Delivery.BackfillDelivery(ctx, req)
	if err != nil {
		return err
	}
	b := res.GetBackfill()
	tick := time.NewTicker(backfillLook)
	defer tick.Stop()
	for !cmd.NoWait && !b.GetDone() {
		if isTerminal(t.err) {
			fmt.Fprintf(t.err, "\r%s", progressBar(b.GetShards()))
		}
		select {
		case <-ctx.Done():
			return leat.Errorf(leat.KindCanceled, "backfill %s goes on without us: leat delivery describe %s", b.GetId(), cmd.Delivery)
		case <-tick.C:
		}
		d, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: cmd.Delivery})
		if err != nil {
			return err
		}
		for _, x := range d.GetBackfills() {
			if x.GetId() == b.GetId() {
				b = x
			}
		}
	}
	if isTerminal(t.err) {
		fmt.Fprintf(t.err, "\r%s\n", progressBar(b.GetShards()))
	}
	object, err := compactJSON(b)
	if err != nil {
		return err
	}
	done, total := sums(b.GetShards())
	p := newPrinter(t.out, c.Output, "BACKFILL", "RECORDS", "OF", "DONE")
	if err := p.Row(object, b.GetId(), strconv.FormatUint(done, 10), strconv.FormatUint(total, 10), strconv.FormatBool(b.GetDone())); err != nil {
		return err
	}
	return p.Flush()
}

func sums(shards []*leatv1.DeliveryProgress) (done, total uint64) {
	for _, s := range shards {
		done += s.GetNext() - s.GetStart()
		total += s.GetTail() - s.GetStart()
	}
	return done, total
}

// progressBar draws how far a backfill is, and why it waits.
func progressBar(shards []*leatv1.DeliveryProgress) string {
	done, total := sums(shards)
	const width = 30
	full := width
	if total > 0 {
		full = int(done * width / total)
	}
	line := fmt.Sprintf("[%s%s] %d of %d records", strings.Repeat("#", full), strings.Repeat(".", width-full), done, total)
	for _, s := range shards {
		if s.GetReason() != "" {
			return line + "  waits: " + s.GetReason()
		}
	}
	return line
}
