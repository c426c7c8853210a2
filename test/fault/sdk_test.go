// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/test/e2e/rig"
)

// sdkLoad puts and reads by an AWS SDK, with the retries that it has by default, through a load balancer in front of all
// nodes. A call that fails all the same breaks a promise.
type sdkLoad struct {
	t       *testing.T
	c       *rig.Cluster
	args    []string // of its nodes
	history *History
	client  *kinesis.Client
	slow    atomic.Int64 // nanoseconds of the slowest call

	stopPuts, stopAll context.CancelFunc
	puts, reads       sync.WaitGroup
}

const (
	sdkShards    = 6
	sdkProducers = 4
	sdkKeys      = 8 // of each producer
)

// newSDKLoad starts three nodes of a binary, this test's own where it is empty, and the load on them.
func newSDKLoad(t *testing.T, b *rig.Backend, binary string) *sdkLoad {
	t.Helper()
	master := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(master, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &sdkLoad{t: t, args: []string{"--pack-every", "2s", "--shard-limits", "off", "--master-key-file", master}, history: NewHistory()}
	l.c = rig.NewCluster(t, b, 3, l.args...)
	for _, n := range l.c.Nodes {
		n.Binary = binary
	}
	if binary != "" {
		l.c.Nodes[0].Start(t) // alone: releases before this one take no turns at making the first table
	}
	l.c.Start(t)
	rig.Must(t, l.c.Nodes[0].Env(), "stream", "create", mainStream, "--shards", fmt.Sprint(sdkShards))
	l.c.AwaitBalance(t, 3, 1, rig.Patience)
	var key struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(rig.Must(t, l.c.Nodes[0].Env(), "key", "create", "load", "-o", "json")), &key); err != nil {
		t.Fatal(err)
	}
	var doors []string
	for _, n := range l.c.Nodes {
		doors = append(doors, n.HTTP)
	}
	l.client = kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + rig.NewProxy(t, doors...).Addr),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, nil
		}),
	})
	rig.Eventually(t, rig.Patience, "every node knows the key", func() error {
		for range 2 * len(doors) {
			if _, err := l.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err != nil {
				return err
			}
		}
		return nil
	})
	reading, stopAll := context.WithCancel(context.Background())
	putting, stopPuts := context.WithCancel(reading)
	l.stopPuts, l.stopAll = stopPuts, stopAll
	for i := range sdkProducers {
		l.puts.Go(func() { l.produce(putting, i) })
	}
	for i := range sdkShards {
		l.reads.Go(func() { l.read(reading, fmt.Sprintf("shardId-%012d", i)) })
	}
	t.Cleanup(func() {
		stopAll()
		l.puts.Wait()
		l.reads.Wait()
	})
	return l
}

// timed keeps the time of the slowest call.
func (l *sdkLoad) timed(began time.Time) {
	took := int64(time.Since(began))
	for {
		was := l.slow.Load()
		if took <= was || l.slow.CompareAndSwap(was, took) {
			return
		}
	}
}

func (l *sdkLoad) slowest() time.Duration { return time.Duration(l.slow.Load()) }

// produce puts one batch after the other; no key has two of its records on the way at once.
func (l *sdkLoad) produce(ctx context.Context, number int) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		in := &kinesis.PutRecordsInput{StreamName: aws.String(mainStream)}
		ids := make([]ID, sdkKeys)
		for k := range ids {
			ids[k] = ID{Key: number*sdkKeys + k, N: n}
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(ids[k].PartitionKey()), Data: ids[k].Data()})
		}
		began := time.Now()
		out, err := l.client.PutRecords(context.WithoutCancel(ctx), in) // an answer is waited for
		l.timed(began)
		for k, id := range ids {
			switch {
			case err != nil:
				l.history.Unknown(id)
			case out.Records[k].ErrorCode != nil:
				l.history.Unknown(id)
				l.history.Break("PutRecords: %v: %s: %s", id, *out.Records[k].ErrorCode, aws.ToString(out.Records[k].ErrorMessage))
			default:
				l.history.Acked(id, *out.Records[k].ShardId, *out.Records[k].SequenceNumber)
			}
		}
		if err != nil {
			l.history.Break("PutRecords: %v", err)
		}
	}
}

// read follows one shard.
func (l *sdkLoad) read(ctx context.Context, shard string) {
	it, err := l.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String(mainStream), ShardId: aws.String(shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		l.broke(ctx, "GetShardIterator", err)
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for next := it.ShardIterator; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		out, err := l.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
		l.timed(began)
		if err != nil {
			l.broke(ctx, "GetRecords of "+shard, err)
			continue // with the same iterator
		}
		for _, r := range out.Records {
			at, err := PlaceOf(shard, *r.SequenceNumber)
			if err != nil {
				l.history.Break("%v", err)
				continue
			}
			id, err := Identify(*r.PartitionKey, r.Data)
			if err != nil {
				l.history.Break("I1: at %v: %v", at, err)
				continue
			}
			l.history.Saw("the SDK", at, Seen{id, *r.ApproximateArrivalTimestamp})
		}
		next = out.NextShardIterator
	}
}

// broke notes a failed call, unless the load is over.
func (l *sdkLoad) broke(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		l.history.Break("%s: %v", what, err)
	}
}

// await waits until n more records were acknowledged and n more read.
func (l *sdkLoad) await(what string, n uint64) {
	l.t.Helper()
	from := l.history.Counts()
	rig.Eventually(l.t, rig.Patience, what, func() error {
		if now := l.history.Counts(); now.Acked < from.Acked+n || now.Reads < from.Reads+n {
			return fmt.Errorf("%d of %d acknowledged, %d read", now.Acked-from.Acked, n, now.Reads-from.Reads)
		}
		return nil
	})
	if broken := l.history.Broken(); len(broken) > 0 {
		l.t.Fatalf("%s: %d promises were broken, the first: %s", what, len(broken), broken[0])
	}
}

// finish ends the load and reads everything back.
func (l *sdkLoad) finish() Final {
	l.t.Helper()
	l.stopPuts()
	l.puts.Wait()
	l.stopAll()
	l.reads.Wait()
	return l.round(readBack(l.t, l.c.Nodes[0], mainStream))
}

// round gives the records the times that the AWS wire tells: milliseconds.
func (l *sdkLoad) round(final Final) Final {
	for _, log := range final {
		for i := range log {
			log[i].Arrival = log[i].Arrival.Truncate(time.Millisecond).UTC()
		}
	}
	return final
}
