// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// Tail puts single records and reads the tail of a stream of one shard, a little at a time, at all nodes: at those that
// stand by, and at those that were frozen and do not know yet that they were replaced. It keeps the calls, so that
// porcupine can say whether one log, which each call met at one instant between its beginning and its end, explains
// them.
type Tail struct {
	Stream  string
	Targets Targets
	History *History // told about the records too
	Seed    uint64
	Key     int           // of its records; the producers of a Load must not use it and those above
	Every   time.Duration // between two calls of a caller

	began time.Time
	mu    sync.Mutex
	ops   []call
}

// call is one put or read as its caller saw it.
type call struct {
	client   int
	begin    int64 // nanoseconds of the run
	end      int64
	put      bool
	id       ID     // put
	fate     fate   // put
	from     uint64 // of the record that was put, or of the first one that a read asked for
	read     uint64 // records that a read returned
	caughtUp bool   // the read said so
}

// maxCalls bounds a history: what porcupine keeps grows with its square.
const maxCalls = 12_000

// tailCallers call each node.
const tailCallers = 3

// Run calls until ctx is done or there are enough calls.
func (l *Tail) Run(ctx context.Context) {
	l.began = time.Now()
	var all sync.WaitGroup
	for node := range l.Targets {
		for i := range tailCallers {
			all.Go(func() { l.caller(ctx, node, node*tailCallers+i) })
		}
	}
	all.Wait()
}

func (l *Tail) caller(ctx context.Context, node, number int) {
	random := rand.New(rand.NewPCG(l.Seed, uint64(number)))
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	after, next, n := "", uint64(0), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c := call{client: number, begin: l.now()}
		if random.IntN(2) == 0 {
			c.put, c.id = true, ID{l.Key + number, n}
			n++
			if l.put(node, &c); c.fate == refused {
				continue // it never met the log
			}
		} else if !l.read(node, &c, &after, &next) {
			continue
		}
		c.end = l.now()
		l.mu.Lock()
		l.ops = append(l.ops, c)
		full := len(l.ops) >= maxCalls
		l.mu.Unlock()
		if full {
			return
		}
	}
}

func (l *Tail) now() int64 { return int64(time.Since(l.began)) }

func (l *Tail) put(node int, c *call) {
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	res, err := l.Targets[node].Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: l.Stream, PartitionKey: c.id.PartitionKey(), Data: c.id.Data()})
	switch {
	case err == nil:
		at, err := PlaceOf(res.GetShardId(), res.GetSequenceNumber())
		if err != nil {
			l.History.Break("PutRecord: %v", err)
		}
		c.fate, c.from = acked, at.Offset
		l.History.Acked(c.id, res.GetShardId(), res.GetSequenceNumber())
	case certain(err):
		c.fate = refused
		l.History.Refused(c.id)
	default:
		if !expected(err) {
			l.History.Break("PutRecord: %v", err)
		}
		c.fate = unknown
		l.History.Unknown(c.id)
	}
}

// read reads on from where this caller is; false when there was no answer.
func (l *Tail) read(node int, c *call, after *string, next *uint64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	records := l.Targets[node].Records
	it, err := records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: l.Stream, ShardId: "0", Start: start(*after)})
	var res *leatv1.GetRecordsResponse
	if err == nil {
		res, err = records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator(), Limit: 100})
	}
	if err != nil {
		if !expected(err) {
			l.History.Break("tail read: %v", err)
		}
		return false
	}
	c.from, c.read, c.caughtUp = *next, uint64(len(res.GetRecords())), res.GetMillisBehindLatest() == 0
	for _, r := range res.GetRecords() {
		at, err := PlaceOf("shardId-000000000000", r.GetSequenceNumber())
		if err != nil || at.Offset != *next {
			l.History.Break("I14: a tail read has offset %d where %d is next (%v)", at.Offset, *next, err)
			return false
		}
		id, err := Identify(r.GetPartitionKey(), r.GetData())
		if err != nil {
			l.History.Break("I1: tail read: %v", err)
		}
		l.History.Saw(fmt.Sprintf("tail reader %d", c.client), at, Seen{id, time.UnixMicro(r.GetApproximateArrivalUnixMicros())})
		*after, *next = r.GetSequenceNumber(), at.Offset+1
	}
	return true
}

// appendOnly is a log of one shard: its state is how many records it has. Which record is where the final log says, and
// every answer has been compared with that.
var appendOnly = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, _ any) (bool, any) {
		n, c := state.(uint64), input.(call)
		if c.put {
			return c.from == n, n + 1
		}
		end := c.from + c.read
		return end <= n && (!c.caughtUp || end == n), n
	},
	DescribeOperation: func(input, _ any) string {
		if c := input.(call); c.put {
			return fmt.Sprintf("put %v at %d", c.id, c.from)
		}
		return fmt.Sprintf("%+v", input)
	},
}

// Linearizable checks the calls against the log as it is at the end. It returns how many calls were checked.
func (l *Tail) Linearizable(final []Seen) (checked int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	where := map[ID]uint64{}
	for offset, s := range final {
		where[s.ID] = uint64(offset)
	}
	var ops []porcupine.Operation
	known := map[uint64]bool{}
	for _, c := range l.ops {
		op := porcupine.Operation{ClientId: c.client, Call: c.begin, Return: c.end}
		if c.put && c.fate != acked {
			at, written := where[c.id]
			if !written {
				continue // it never met the log
			}
			c.from, op.Return = at, math.MaxInt64 // at some time after its call
		}
		if c.put {
			known[c.from] = true
		}
		op.Input = c
		ops = append(ops, op)
	}
	for offset := range final {
		if !known[uint64(offset)] {
			return 0, fmt.Errorf("the record at offset %d was put by nobody", offset)
		}
	}
	if porcupine.CheckOperationsTimeout(appendOnly, ops, 2*time.Minute) != porcupine.Ok {
		return len(ops), fmt.Errorf("%d calls on one shard are not linearizable (or it took too long to tell)", len(ops))
	}
	return len(ops), nil
}
