// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

// spoiled is memory of messages in which nothing that was given back can be taken for what it was: whoever still reads it
// then reads 0xdb, and races with whoever writes that.
type spoiled struct{ wiremem.Pool }

func (s *spoiled) Put(b *[]byte) {
	all := (*b)[:cap(*b)]
	for i := range all {
		all[i] = 0xdb
	}
	s.Pool.Put(b)
}

// Puts that are given the memory of their message, at the node that owns the shards and at one that forwards, in part
// refused and in part given up by their callers meanwhile, write what was sent and nothing else.
func TestPutsKeepTheirMemory(t *testing.T) {
	owner, gateway := forwarding(t, new(spoiled))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	acked := &ackedRecords{data: map[string]string{}}
	var wg sync.WaitGroup
	for i, address := range []string{owner, gateway, gateway} {
		for worker := range 4 {
			p := &putter{t: t, records: recordsAt(t, address), random: rand.New(rand.NewPCG(seed, uint64(i*100+worker))), acked: acked}
			wg.Go(func() {
				for turn := range 12 {
					p.put(fmt.Sprintf("%d-%d-%d", i, worker, turn))
				}
			})
		}
	}
	wg.Wait()
	if len(acked.data) == 0 || !acked.refused {
		t.Fatalf("%d records were acked; refused: %v", len(acked.data), acked.refused)
	}
	acked.check(t, recordsAt(t, owner))
}

func recordsAt(t *testing.T, address string) leatv1.RecordServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return leatv1.NewRecordServiceClient(conn)
}

// ackedRecords has the key of each record that was acked, by shard and sequence number.
type ackedRecords struct {
	mu      sync.Mutex
	data    map[string]string
	refused bool
}

// dataOf is what a record with a key carries.
func dataOf(key string) []byte {
	return bytes.Repeat([]byte(key+"|"), 1+8*len(key)*int(key[len(key)-1]-'0'))
}

// putter puts batches.
type putter struct {
	t       *testing.T
	records leatv1.RecordServiceClient
	random  *rand.Rand
	acked   *ackedRecords
}

func (p *putter) put(name string) {
	req := &leatv1.PutRecordsRequest{Stream: "s"}
	for i := range 1 + p.random.IntN(120) {
		e := &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprintf("%s-%d", name, i)}
		if e.Data = dataOf(e.GetPartitionKey()); i%5 == 0 {
			e.ExplicitHashKey = fmt.Sprint(p.random.Uint64())
		}
		req.Records = append(req.Records, e)
	}
	ctx, impatient := p.t.Context(), false
	bad := p.random.IntN(8) == 0
	switch {
	case bad:
		req.Records[len(req.GetRecords())-1].ExplicitHashKey = "no-number-" + name
	case p.random.IntN(3) == 0: // the caller goes away, mostly while its records are being written
		impatient = true
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(p.random.IntN(6000))*time.Microsecond)
		defer cancel()
	}
	res, err := p.records.PutRecords(ctx, req)
	switch {
	case bad:
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "no-number-"+name) {
			p.t.Errorf("a bad hash key was answered %v", err)
		}
		p.acked.mu.Lock()
		p.acked.refused = true
		p.acked.mu.Unlock()
	case err == nil:
		p.acked.add(p.t, req, res)
	case !impatient:
		p.t.Error(err)
	}
}

func (a *ackedRecords) add(t *testing.T, req *leatv1.PutRecordsRequest, res *leatv1.PutRecordsResponse) {
	if len(res.GetRecords()) != len(req.GetRecords()) {
		t.Errorf("%d outcomes for %d records", len(res.GetRecords()), len(req.GetRecords()))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, o := range res.GetRecords() {
		if o.GetErrorCode() == 0 {
			a.data[o.GetShardId()+"/"+o.GetSequenceNumber()] = req.GetRecords()[i].GetPartitionKey()
		}
	}
}

// check reads everything: what was acked is where its ack said, and whatever is there is what somebody sent.
func (a *ackedRecords) check(t *testing.T, records leatv1.RecordServiceClient) {
	t.Helper()
	for shard := range uint64(4) {
		id := leat.ShardID(shard)
		start := &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}
		it, err := records.GetShardIterator(t.Context(), &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: id, Start: start})
		if err != nil {
			t.Fatal(err)
		}
		for next := it.GetShardIterator(); ; {
			page, err := records.GetRecords(t.Context(), &leatv1.GetRecordsRequest{ShardIterator: next})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.GetRecords() {
				if !bytes.Equal(r.GetData(), dataOf(r.GetPartitionKey())) {
					t.Fatalf("record %s of %s, %q, has other data: %.80q", r.GetSequenceNumber(), id, r.GetPartitionKey(), r.GetData())
				}
				at := id + "/" + r.GetSequenceNumber()
				if key, ok := a.data[at]; ok && key != r.GetPartitionKey() {
					t.Errorf("%s is %q, acked was %q", at, r.GetPartitionKey(), key)
				}
				delete(a.data, at)
			}
			if next = page.GetNextShardIterator(); len(page.GetRecords()) == 0 && page.GetMillisBehindLatest() == 0 {
				break
			}
		}
	}
	if len(a.data) > 0 {
		t.Errorf("%d acked records are not there", len(a.data))
	}
}
