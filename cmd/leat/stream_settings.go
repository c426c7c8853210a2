// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

type streamEncryptCmd struct {
	Name string    `arg:"" help:"Name of the stream."`
	Key  string    `help:"What to call the key. The server's master key protects it, whatever this is." default:"alias/leat" placeholder:"NAME"`
	Wait waitFlags `embed:""`
}

// Run encrypts what is put from now on.
func (cmd *streamEncryptCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return cmd.Wait.change(ctx, c, t, cmd.Name, "encrypted", func(cl *client.Client) error {
		_, err := cl.Streams.StartStreamEncryption(ctx, &leatv1.StartStreamEncryptionRequest{Stream: cmd.Name, Key: cmd.Key})
		return err
	})
}

type streamDecryptCmd struct {
	Name string    `arg:"" help:"Name of the stream."`
	Wait waitFlags `embed:""`
}

// Run stops to encrypt.
func (cmd *streamDecryptCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return cmd.Wait.change(ctx, c, t, cmd.Name, "no longer encrypted", func(cl *client.Client) error {
		_, err := cl.Streams.StopStreamEncryption(ctx, &leatv1.StopStreamEncryptionRequest{Stream: cmd.Name})
		return err
	})
}

type streamMonitorCmd struct {
	Name    string   `arg:"" help:"Name of the stream."`
	Enable  []string `help:"Metrics to keep, with the names of AWS, or ALL." placeholder:"METRIC,…"`
	Disable []string `help:"Metrics not to keep any more, or ALL." placeholder:"METRIC,…"`
}

// Run chooses shard-level metrics, and shows those that are kept.
func (cmd *streamMonitorCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	enable, err := metricsNamed(cmd.Enable)
	if err != nil {
		return err
	}
	disable, err := metricsNamed(cmd.Disable)
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		kept, err := cmd.set(ctx, cl, enable, disable)
		if err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output, "METRIC")
		for _, m := range monitored(kept) {
			if err := p.Row(map[string]string{"metric": m}, m); err != nil {
				return err
			}
		}
		if p.empty() && c.Output != formatJSON {
			fmt.Fprintf(t.err, "stream %s keeps no shard-level metrics: choose some with --enable\n", cmd.Name)
		}
		return p.Flush()
	})
}

// set changes nothing when nothing is named.
func (cmd *streamMonitorCmd) set(ctx context.Context, cl *client.Client, enable, disable []leatv1.ShardMetric) ([]leatv1.ShardMetric, error) {
	if len(enable)+len(disable) == 0 {
		res, err := cl.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: cmd.Name})
		return res.GetStream().GetMonitoring(), err
	}
	res, err := cl.Streams.SetStreamMonitoring(ctx, &leatv1.SetStreamMonitoringRequest{Stream: cmd.Name, Enable: enable, Disable: disable})
	return res.GetStream().GetMonitoring(), err
}

// metricNames are the names of AWS, in the order of the API's numbers.
var metricNames = [...]leat.ShardMetric{
	leatv1.ShardMetric_SHARD_METRIC_INCOMING_BYTES:                        leat.MetricIncomingBytes,
	leatv1.ShardMetric_SHARD_METRIC_INCOMING_RECORDS:                      leat.MetricIncomingRecords,
	leatv1.ShardMetric_SHARD_METRIC_OUTGOING_BYTES:                        leat.MetricOutgoingBytes,
	leatv1.ShardMetric_SHARD_METRIC_OUTGOING_RECORDS:                      leat.MetricOutgoingRecords,
	leatv1.ShardMetric_SHARD_METRIC_WRITE_PROVISIONED_THROUGHPUT_EXCEEDED: leat.MetricWriteExceeded,
	leatv1.ShardMetric_SHARD_METRIC_READ_PROVISIONED_THROUGHPUT_EXCEEDED:  leat.MetricReadExceeded,
	leatv1.ShardMetric_SHARD_METRIC_ITERATOR_AGE_MILLISECONDS:             leat.MetricIteratorAgeMillis,
}

func metricsNamed(names []string) (out []leatv1.ShardMetric, err error) {
	asked := make([]leat.ShardMetric, len(names))
	for i, n := range names {
		asked[i] = leat.ShardMetric(strings.TrimSpace(n))
	}
	all, err := leat.ParseShardMetrics(asked)
	for _, m := range all {
		out = append(out, leatv1.ShardMetric(slices.Index(metricNames[:], m)))
	}
	return out, err
}

// monitored names metrics; one that this program does not know keeps the API's name.
func monitored(metrics []leatv1.ShardMetric) []string {
	var out []string
	for _, m := range metrics {
		if m > 0 && int(m) < len(metricNames) {
			out = append(out, string(metricNames[m]))
		} else {
			out = append(out, m.String())
		}
	}
	return out
}
