// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	ktypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// watch is a CloudWatch client of the Go SDK.
func watch(tb testing.TB, n *rig.Node, k key) *cloudwatch.Client {
	tb.Helper()
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return cloudwatch.New(cloudwatch.Options{
		Region: region, BaseEndpoint: aws.String("http://" + n.HTTP), RetryMaxAttempts: 1, HTTPClient: wholeBodies{http.Client{Transport: transport}},
		Credentials: credentials.NewStaticCredentialsProvider(k.id, k.secret, ""),
	})
}

// stat asks for a statistic of a metric of a stream.
func stat(id, metric, statistic string, dimensions ...string) types.MetricDataQuery {
	q := types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{Period: aws.Int32(60), Stat: &statistic, Metric: &types.Metric{Namespace: aws.String("AWS/Kinesis"), MetricName: &metric}}}
	for i := 0; i < len(dimensions); i += 2 {
		q.MetricStat.Metric.Dimensions = append(q.MetricStat.Metric.Dimensions, types.Dimension{Name: &dimensions[i], Value: &dimensions[i+1]})
	}
	return q
}

// TestCloudWatch reads what was done to a stream with the clients that people have, each in its own protocol: the Go SDK
// speaks CBOR, the AWS CLI and boto3 forms and XML.
func TestCloudWatch(t *testing.T) {
	t.Parallel()
	n := serve(t)
	k := newKey(t, n, "watcher")
	cw := watch(t, n, k)
	ks := client(t, n, func(o *kinesis.Options) { o.Credentials = credentials.NewStaticCredentialsProvider(k.id, k.secret, "") })
	create(t, ks, "watched", 1)
	_, err := ks.EnableEnhancedMonitoring(t.Context(), &kinesis.EnableEnhancedMonitoringInput{StreamName: aws.String("watched"), ShardLevelMetrics: []ktypes.MetricsName{ktypes.MetricsNameIncomingBytes}})
	must(t, err)

	began := time.Now().Add(-time.Minute)
	put := func() {
		t.Helper()
		_, err := ks.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("watched"), Records: []ktypes.PutRecordsRequestEntry{
			{PartitionKey: aws.String("k"), Data: []byte("123456789")}, {PartitionKey: aws.String("k"), Data: []byte("1234")},
		}})
		must(t, err)
	}
	put()
	_, err = ks.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("watched"), PartitionKey: aws.String("k"), Data: []byte("1")})
	must(t, err)
	it, err := ks.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("watched"), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: ktypes.ShardIteratorTypeTrimHorizon})
	must(t, err)
	page, err := ks.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	must(t, err)
	if len(page.Records) != 3 {
		t.Fatalf("%d records", len(page.Records))
	}

	in := &cloudwatch.GetMetricDataInput{StartTime: &began, EndTime: aws.Time(began.Add(time.Hour)), ScanBy: types.ScanByTimestampAscending, MetricDataQueries: []types.MetricDataQuery{
		stat("bytes", "IncomingBytes", "Sum", "StreamName", "watched"),
		stat("records", "IncomingRecords", "Sum", "StreamName", "watched"),
		stat("calls", "PutRecords.TotalRecords", "SampleCount", "StreamName", "watched"),
		stat("most", "PutRecords.Bytes", "Maximum", "StreamName", "watched"),
		stat("one", "PutRecord.Success", "Average", "StreamName", "watched"),
		stat("latency", "PutRecords.Latency", "Average", "StreamName", "watched"),
		stat("age", "GetRecords.IteratorAgeMilliseconds", "Maximum", "StreamName", "watched"),
		stat("read", "GetRecords.Bytes", "Sum", "StreamName", "watched"),
		stat("exceeded", "WriteProvisionedThroughputExceeded", "Sum", "StreamName", "watched"),
		stat("other", "IncomingBytes", "Sum", "StreamName", "another"),
		stat("none", "NoSuchMetric", "Sum", "StreamName", "watched"),
	}}
	sums := map[string]float64{}
	rig.Eventually(t, rig.Patience, "the datapoints of the minute", func() error {
		out, err := cw.GetMetricData(t.Context(), in)
		must(t, err)
		clear(sums)
		for _, r := range out.MetricDataResults {
			if r.StatusCode != types.StatusCodeComplete || len(r.Timestamps) != len(r.Values) {
				t.Fatalf("result %+v", r)
			}
			for i, v := range r.Values {
				sums[*r.Id] += v
				if r.Timestamps[i].Second() != 0 || r.Timestamps[i].Before(began.Truncate(time.Minute)) {
					t.Errorf("%s has a datapoint of %v", *r.Id, r.Timestamps[i])
				}
			}
		}
		if len(out.MetricDataResults) != len(in.MetricDataQueries) || sums["read"] == 0 {
			return fmt.Errorf("so far %v", sums)
		}
		return nil
	})
	for id, want := range map[string]float64{"bytes": 17, "records": 3, "calls": 1, "most": 15, "one": 1, "read": 17, "exceeded": 0, "other": 0, "none": 0} {
		if sums[id] != want {
			t.Errorf("%s is %g, want %g", id, sums[id], want)
		}
	}
	if sums["latency"] <= 0 || sums["latency"] > 60_000 {
		t.Errorf("the latency of puts is %g ms", sums["latency"])
	}
	t.Run("shard", func(t *testing.T) { // counted from the first look at the stream on
		rig.Eventually(t, 2*rig.Patience, "the datapoints of a shard", func() error {
			put()
			in := &cloudwatch.GetMetricStatisticsInput{
				Namespace: aws.String("AWS/Kinesis"), MetricName: aws.String("IncomingBytes"), StartTime: &began, EndTime: aws.Time(began.Add(time.Hour)), Period: aws.Int32(300),
				Statistics: []types.Statistic{types.StatisticSum, types.StatisticSampleCount}, Unit: types.StandardUnitBytes,
				Dimensions: []types.Dimension{{Name: aws.String("StreamName"), Value: aws.String("watched")}, {Name: aws.String("ShardId"), Value: aws.String("shardId-000000000000")}},
			}
			out, err := cw.GetMetricStatistics(t.Context(), in)
			must(t, err)
			for _, d := range out.Datapoints {
				if *d.Sum > 0 {
					if d.Unit != types.StandardUnitBytes || d.Average != nil || d.Timestamp.Unix()%300 != 0 {
						t.Errorf("datapoint %+v", d)
					}
					return nil
				}
			}
			return fmt.Errorf("%d datapoints", len(out.Datapoints))
		})
	})
	t.Run("list", func(t *testing.T) {
		out, err := cw.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/Kinesis"), RecentlyActive: types.RecentlyActivePt3h, Dimensions: []types.DimensionFilter{{Name: aws.String("StreamName"), Value: aws.String("watched")}}})
		must(t, err)
		var names []string
		for _, m := range out.Metrics {
			names = append(names, *m.MetricName)
		}
		for _, want := range []string{"IncomingBytes", "PutRecords.Latency", "GetRecords.IteratorAgeMilliseconds"} {
			if !slices.Contains(names, want) {
				t.Errorf("%s is not listed: %q", want, names)
			}
		}
		if slices.Contains(names, "SubscribeToShard.Success") {
			t.Error("a metric without datapoints is listed")
		}
	})
	t.Run("cli", func(t *testing.T) {
		program(t, "", k.env(), "/bin/bash", "testdata/cloudwatch_cli.sh", "http://"+n.HTTP)
	})
	t.Run("boto3", func(t *testing.T) {
		program(t, "", k.env(), "/usr/bin/python3", "testdata/cloudwatch_boto3.py", "http://"+n.HTTP)
	})
}

// TestCloudWatchRefuses shows what is not built, refused by its name, and who may not ask.
func TestCloudWatchRefuses(t *testing.T) {
	t.Parallel()
	n := serve(t)
	k := newKey(t, n, "watcher")
	cw := watch(t, n, k)
	now := time.Now()
	data := func(change func(*cloudwatch.GetMetricDataInput)) error {
		in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-time.Hour)), EndTime: &now, MetricDataQueries: []types.MetricDataQuery{stat("a", "IncomingBytes", "Sum", "StreamName", "s")}}
		change(in)
		_, err := cw.GetMetricData(t.Context(), in)
		return err
	}
	statistics := func(change func(*cloudwatch.GetMetricStatisticsInput)) error {
		in := &cloudwatch.GetMetricStatisticsInput{Namespace: aws.String("AWS/Kinesis"), MetricName: aws.String("IncomingBytes"), StartTime: aws.Time(now.Add(-time.Hour)), EndTime: &now, Period: aws.Int32(60), Statistics: []types.Statistic{types.StatisticSum}}
		change(in)
		_, err := cw.GetMetricStatistics(t.Context(), in)
		return err
	}
	for about, tc := range map[string]struct {
		err        error
		code, says string
	}{
		"math": {data(func(in *cloudwatch.GetMetricDataInput) {
			in.MetricDataQueries = []types.MetricDataQuery{{Id: aws.String("m"), Expression: aws.String("a*2")}}
		}), "InvalidParameterValue", "Expression is not supported"},
		"percentile":  {data(func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Stat = aws.String("p99") }), "InvalidParameterValue", "give SampleCount, Average, Sum, Minimum or Maximum"},
		"ten seconds": {data(func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Period = aws.Int32(10) }), "InvalidParameterValue", "multiple of 60"},
		"a token":     {data(func(in *cloudwatch.GetMetricDataInput) { in.NextToken = aws.String("x") }), "InvalidNextToken", "NextToken"},
		"another's": {data(func(in *cloudwatch.GetMetricDataInput) {
			in.MetricDataQueries[0].AccountId = aws.String("123456789012")
		}), "InvalidParameterValue", "other accounts"},
		"backwards": {data(func(in *cloudwatch.GetMetricDataInput) { in.StartTime = aws.Time(now.Add(time.Hour)) }), "InvalidParameterValue", "StartTime must be less"},
		"a label":   {data(func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[0].Label = aws.String("${MAX}") }), "InvalidParameterValue", "Label"},
		"too many":  {statistics(func(in *cloudwatch.GetMetricStatisticsInput) { in.StartTime = aws.Time(now.Add(-48 * time.Hour)) }), "InvalidParameterCombination", "1440"},
		"extended": {statistics(func(in *cloudwatch.GetMetricStatisticsInput) {
			in.ExtendedStatistics, in.Statistics = []string{"p50"}, nil
		}), "InvalidParameterValue", "ExtendedStatistics"},
		"no statistic": {statistics(func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = nil }), "MissingParameter", "Statistics"},
		"linked account": {func() error {
			_, err := cw.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{IncludeLinkedAccounts: aws.Bool(true)})
			return err
		}(), "InvalidParameterValue", "IncludeLinkedAccounts"},
		"alarms": {func() error { _, err := cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}); return err }(), "InvalidAction", "DescribeAlarms"},
		"own metrics": {func() error {
			_, err := cw.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("a"), MetricData: []types.MetricDatum{{MetricName: aws.String("a"), Value: aws.Float64(1)}}})
			return err
		}(), "InvalidAction", "PutMetricData"},
		"a wrong key": {func() error {
			_, err := watch(t, n, key{k.id, "wrong"}).ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
			return err
		}(), "InvalidSignature", ""},
	} {
		var api smithy.APIError
		if !errors.As(tc.err, &api) || !strings.Contains(tc.code, strings.TrimSuffix(api.ErrorCode(), "Exception")) && !strings.Contains(api.ErrorCode(), tc.code) || !strings.Contains(api.ErrorMessage(), tc.says) {
			t.Errorf("%s: %v; want %s with %q", about, tc.err, tc.code, tc.says)
		}
	}
	// A role that may read streams may not read their metrics, until it is allowed to.
	allow := func(action string) {
		t.Helper()
		_, err := n.Dial(t).Identity.PutRole(t.Context(), &leatv1.PutRoleRequest{Name: "reader", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`})
		must(t, err)
	}
	allow("kinesis:*")
	var made struct{ ID, Secret string }
	must(t, json.Unmarshal([]byte(rig.Must(t, n.Env(), "key", "create", "limited", "--role", "reader", "-o", "json")), &made))
	limited := watch(t, n, key{made.ID, made.Secret})
	_, err := limited.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
	var api smithy.APIError
	if !errors.As(err, &api) || !strings.Contains(api.ErrorCode(), "AccessDenied") || !strings.Contains(api.ErrorMessage(), "cloudwatch:ListMetrics") {
		t.Errorf("a role without permission: %v", err)
	}
	allow("cloudwatch:ListMetrics")
	rig.Eventually(t, rig.Patience, "the permission", func() error {
		_, err := limited.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
		return err
	})
}
