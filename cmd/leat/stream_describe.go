// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

type streamDescribeCmd struct {
	Name string `arg:"" help:"Name of the stream."`
}

// Run describes a stream, its tags and its shards.
func (cmd *streamDescribeCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: cmd.Name})
		if err != nil {
			return err
		}
		shards, err := listShards(ctx, cl, cmd.Name, nil)
		if err != nil {
			return err
		}
		v := viewStream(res.GetStream())
		if v.Tags, err = tagsOf(ctx, cl, cmd.Name); err != nil {
			return err
		}
		if c.Output == formatJSON {
			v.Shards = shards
			return newEncoder(t.out).Encode(v)
		}
		p := newPrinter(t.out, c.Output)
		for _, row := range describeRows(&v, res) {
			if err := p.Row(nil, row...); err != nil {
				return err
			}
		}
		if err := p.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(t.out)
		return printShards(t.out, c.Output, shards, nodeNames(ctx, cl))
	})
}

// describeRows leaves out what a stream does not have.
func describeRows(v *streamView, res *leatv1.DescribeStreamSummaryResponse) [][]string {
	rows := [][]string{
		{"Name", v.Name}, {"ARN", v.ARN}, {"Status", v.Status}, {"Mode", v.Mode},
		{"Open shards", fmt.Sprint(v.OpenShards)}, {"Retention", hours(time.Duration(v.RetentionHours) * time.Hour)},
		{"Largest record", size(float64(v.MaxRecordBytes))}, {"Consumers", fmt.Sprint(res.GetConsumerCount())},
		{"Created", local(res.GetStream().GetCreateTime())},
	}
	if v.WarmThroughput > 0 {
		rows = append(rows, []string{"Warm throughput", fmt.Sprintf("%d MiB/s", v.WarmThroughput)})
	}
	if v.EncryptionKey != "" {
		rows = append(rows, []string{"Encrypted under", v.EncryptionKey})
	}
	if len(v.Monitoring) > 0 {
		rows = append(rows, []string{"Metrics", strings.Join(v.Monitoring, ", ")})
	}
	for _, name := range slices.Sorted(maps.Keys(v.Tags)) {
		rows = append(rows, []string{"Tag " + name, v.Tags[name]})
	}
	return rows
}
