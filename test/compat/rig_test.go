// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/test/e2e/rig"
)

// region is where every node here says it is.
const region = "us-east-1"

// account is whose the streams of `leat dev` and of the first account of `leat serve` are.
const account = "000000000000"

// dev starts a `leat dev` of the test's own.
func dev(tb testing.TB, args ...string) *rig.Node {
	tb.Helper()
	n := rig.Dev(tb, "dev", filepath.Join(tb.TempDir(), "data"), args...)
	n.Start(tb)
	return n
}

// client is a Kinesis client of the Go SDK over HTTP/1.1, which does not repeat a call: a test that counts must see
// each answer. Any credentials do for `leat dev`.
func client(tb testing.TB, n *rig.Node, change ...func(*kinesis.Options)) *kinesis.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	return clientOver(tb, n, transport, change...)
}

// clientH2C is the same over HTTP/2 without TLS.
func clientH2C(tb testing.TB, n *rig.Node, change ...func(*kinesis.Options)) *kinesis.Client {
	tb.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return clientOver(tb, n, transport, change...)
}

func clientOver(tb testing.TB, n *rig.Node, transport *http.Transport, change ...func(*kinesis.Options)) *kinesis.Client {
	tb.Helper()
	tb.Cleanup(transport.CloseIdleConnections)
	o := kinesis.Options{
		Region:           region,
		BaseEndpoint:     aws.String("http://" + n.HTTP),
		Credentials:      credentials.NewStaticCredentialsProvider("any", "any", ""),
		HTTPClient:       wholeBodies{http.Client{Transport: transport}},
		RetryMaxAttempts: 1,
	}
	return kinesis.New(o, change...)
}

// wholeBodies hands request bodies to net/http in memory.
//
// The SDK's own body reports an error where net/http, having written it, looks whether there is more of it, once the SDK
// has closed it. It closes it when the answer is there: on a busy machine an answer of a server nearby may come before
// that look, and then net/http closes the connection under the answer ("use of closed network connection"). The SDK's
// retries hide that from users, but not from tests that count. Bodies in memory are written in one go with the headers.
type wholeBodies struct{ http.Client }

// Do sends a request.
func (c wholeBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return c.Client.Do(r)
}

// create makes a stream and waits until it is ACTIVE, as the SDK's own waiter sees it.
func create(tb testing.TB, k *kinesis.Client, name string, shards int32) {
	tb.Helper()
	_, err := k.CreateStream(tb.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	must(tb, err)
	active(tb, k, name)
}

// active waits until a stream is ACTIVE, and returns what it then is.
func active(tb testing.TB, k *kinesis.Client, name string) *types.StreamDescription {
	tb.Helper()
	out, err := kinesis.NewStreamExistsWaiter(k, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 200*time.Millisecond
	}).WaitForOutput(tb.Context(), &kinesis.DescribeStreamInput{StreamName: &name}, rig.Patience)
	must(tb, err)
	return out.StreamDescription
}

// shards lists all shards of a stream, open and closed, page by page.
func shards(tb testing.TB, k *kinesis.Client, name string, filter *types.ShardFilter) (all []types.Shard) {
	tb.Helper()
	in := &kinesis.ListShardsInput{StreamName: &name, ShardFilter: filter}
	for {
		out, err := k.ListShards(tb.Context(), in)
		must(tb, err)
		all = append(all, out.Shards...)
		if out.NextToken == nil {
			return all
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// open keeps the shards that are open.
func open(all []types.Shard) (open []types.Shard) {
	for _, s := range all {
		if s.SequenceNumberRange.EndingSequenceNumber == nil {
			open = append(open, s)
		}
	}
	return open
}

// arnOf is the ARN of a stream of account.
func arnOf(name string) *string {
	return aws.String("arn:aws:kinesis:" + region + ":" + account + ":stream/" + name)
}

// iterator returns an iterator of shard at the horizon.
func iterator(tb testing.TB, k *kinesis.Client, stream, shard string) *string {
	tb.Helper()
	out, err := k.GetShardIterator(tb.Context(), &kinesis.GetShardIteratorInput{
		StreamName: &stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	must(tb, err)
	return out.ShardIterator
}

// read reads a shard from an iterator until it has want records.
func read(tb testing.TB, k *kinesis.Client, iterator *string, want int) (all []types.Record) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), rig.Patience)
	defer cancel()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		out, err := k.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		must(tb, err)
		if all = append(all, out.Records...); len(all) >= want {
			return all
		}
		if iterator = out.NextShardIterator; iterator == nil {
			tb.Fatalf("the shard ended after %d records of %d", len(all), want)
		}
		<-pause.C
	}
}

// errNotYet makes rig.Eventually ask again.
var errNotYet = errors.New("not yet")

// must fails the test at once on an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// fails expects an error of the SDK's type E that says part.
func fails[E error](tb testing.TB, err error, part string) {
	tb.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		var want E
		tb.Errorf("%v (%T) is no %T", err, errors.Unwrap(err), want)
		return
	}
	if !strings.Contains(e.Error(), part) {
		tb.Errorf("%q does not say %q", e.Error(), part)
	}
}
