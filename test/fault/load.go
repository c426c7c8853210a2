// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// callWithin bounds one call of the load: shorter than most faults, so that calls are cut off in flight too.
const callWithin = 4 * time.Second

// Load is producers and consumers of one stream.
type Load struct {
	Stream   string
	Targets  Targets
	History  *History
	Consumer string // a registered consumer, to be pushed to
	Seed     uint64

	Producers, KeysEach int
	PutEvery            time.Duration // between two calls of a producer

	consumers []*consumer
}

// NewLoad makes the load of a stream; Run starts it.
func NewLoad(stream, pushedTo string, targets Targets, seed uint64) *Load {
	l := &Load{
		Stream: stream, Targets: targets, History: NewHistory(), Consumer: pushedTo, Seed: seed,
		Producers: 4, KeysEach: 8, PutEvery: 30 * time.Millisecond,
	}
	l.consumers = []*consumer{newConsumer(l, "the poller", false), newConsumer(l, "the subscriber", true)}
	return l
}

// Run puts until ctx is done and reads until reading is. It returns when both are over.
func (l *Load) Run(ctx, reading context.Context) {
	var all sync.WaitGroup
	for i := range l.Producers {
		all.Go(func() { l.produce(ctx, i) })
	}
	for _, c := range l.consumers {
		all.Go(func() { c.run(reading) })
	}
	all.Wait()
}

// CaughtUp waits until every consumer has read what is acknowledged now.
func (l *Load) CaughtUp(ctx context.Context) error {
	tails := l.History.Tails()
	for _, c := range l.consumers {
		if err := c.await(ctx, tails); err != nil {
			return err
		}
	}
	return nil
}

// produce puts one batch after the other. No record is put twice, whatever became of it.
func (l *Load) produce(ctx context.Context, number int) {
	random := rand.New(rand.NewPCG(l.Seed, uint64(number)))
	node := l.Targets.pick(random)
	counters := make([]uint64, l.KeysEach)
	tick := time.NewTicker(l.PutEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ids := make([]ID, 1+random.IntN(16))
		for i := range ids {
			k := random.IntN(l.KeysEach)
			ids[i] = ID{Key: number*l.KeysEach + k, N: counters[k]}
			counters[k]++
		}
		if !l.put(node, ids) {
			node.turn()
		}
	}
}

// put makes one call and notes what became of each record. It does not end with the load: an answer is waited for.
func (l *Load) put(node *pick, ids []ID) (ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	req := &leatv1.PutRecordsRequest{Stream: l.Stream}
	for _, id := range ids {
		req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: id.PartitionKey(), Data: id.Data()})
	}
	res, err := node.client().Records.PutRecords(ctx, req)
	if err == nil && len(res.GetRecords()) != len(ids) {
		err = fmt.Errorf("%d outcomes for %d records", len(res.GetRecords()), len(ids))
	}
	if err != nil {
		if !expected(err) {
			l.History.Break("PutRecords: %v", err)
		}
		for _, id := range ids {
			if certain(err) {
				l.History.Refused(id)
			} else {
				l.History.Unknown(id)
			}
		}
		return false
	}
	ok = true
	for i, r := range res.GetRecords() {
		switch r.GetErrorCode() {
		case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_UNSPECIFIED:
			l.History.Acked(ids[i], r.GetShardId(), r.GetSequenceNumber())
		case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED:
			l.History.Refused(ids[i])
			ok = false
		default:
			l.History.Unknown(ids[i])
			ok = false
		}
	}
	return ok
}
