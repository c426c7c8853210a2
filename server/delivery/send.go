// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore/blob"
)

// Requests to an HTTP endpoint go out one after the other: their order is the records'. A request that fails is an error of the
// plan, which has no memory while it waits, and is tried again: from that request on, unless its worker has ended meanwhile, and
// as long as it takes. With a bound of retries, what an endpoint has not taken in that time goes to the error prefix. Which
// requests were given up is kept in Leat's own bucket, written if absent, before the error prefix has them: whoever carries the
// plan out again sends none of them, nor any other.

// Sent is the role of what went to an HTTP endpoint: there is no object to look at.
const Sent Role = "sent"

// request is a part of a plan that goes to an endpoint at once.
type request struct {
	n       int
	outputs []int // indexes into the job's
}

// requests cuts the outputs into requests.
func (j *job) requests() (all []request) {
	size := int64(0)
	for i := range j.outputs {
		n := int64(len(j.outputs[i].Data))
		last := len(all) - 1
		if last < 0 || size+n > j.t.endpoint.batch() || len(all[last].outputs) >= requestRecords {
			all, size = append(all, request{n: len(all)}), 0
			last++
		}
		all[last].outputs = append(all[last].outputs, i)
		size += n
	}
	return all
}

// id names a request: the same at every try. Where records have expired between two tries requests have other records, and
// so other names: these say where a request begins and ends and how much is in it, since what expires is the beginning of
// each shard's part, in the middle of a request too.
func (j *job) id(q *request, marks []Mark) string {
	what := strconv.Itoa(q.n)
	if uint64(len(j.records)) < tallyOf(j.p.parts).Records {
		begin, end := marks[q.outputs[0]], marks[q.outputs[len(q.outputs)-1]]
		what = fmt.Sprintf("%d from %d.%d to %d.%d", len(q.outputs), begin.At, begin.Sub, end.At, end.Sub)
	}
	return requestID(j.p.id, what)
}

// sending is how far a plan is, with its requests by their ids. Whoever tries the plan again goes on from there.
type sending struct {
	plan     string
	entered  bool // in the ledger
	requests map[string]*sent
}

// sent is what became of a request so far.
type sent struct {
	taken    bool
	given    *givenUp
	began    time.Time
	attempts int
}

// of are the requests of one plan; what was known of another is let go of.
func (s *sending) of(plan string) map[string]*sent {
	if s.plan != plan {
		*s = sending{plan: plan, requests: map[string]*sent{}}
	}
	return s.requests
}

// unsentError says why an endpoint did not take a request.
type unsentError struct {
	error
	attempts int
	left     time.Duration // until it is given up
}

func (e *unsentError) Unwrap() error { return e.error }

// givenUp is a request that an endpoint did not take in time.
type givenUp struct {
	Begin, End Mark // its first and last output
	Attempts   int
	Why        string
}

// sentKey is where it is kept which requests of a plan were given up.
func sentKey(plan string) string { return stagingKey(plan) + sentSuffix }

const sentSuffix = "-sent"

// send delivers to an HTTP endpoint.
func (j *job) send(ctx context.Context) ([]Object, error) {
	marks := j.marks()
	given, decided, err := j.decided(ctx)
	if err != nil {
		return nil, err
	}
	if !decided {
		if given, err = j.sendAll(ctx, marks); err != nil {
			return nil, err
		}
		if len(given) > 0 {
			if given, err = j.decide(ctx, given); err != nil {
				return nil, err
			}
		}
	}
	o := Object{Key: spec.WithoutQuery(j.t.endpoint.to.URL)}
	for i := range j.outputs {
		out := &j.outputs[i]
		at := slices.IndexFunc(given, func(g givenUp) bool { return marks[i].compare(g.Begin) >= 0 && marks[i].compare(g.End) <= 0 })
		if at >= 0 {
			j.failed = append(j.failed, failure{spec.Failure{
				Source: out.Source, Data: out.Data, Type: spec.HTTPFailed, Code: "HttpEndpoint.RetryDurationExceeded", Message: given[at].Why, Attempts: given[at].Attempts,
			}, j.stands[i]})
			continue
		}
		o.Units++
		o.Bytes += int64(len(out.Data))
		if j.stands[i] {
			o.add(j.records[out.Source].Shard, j.records[out.Source].Offset)
		}
	}
	if o.Units == 0 {
		return nil, nil
	}
	o.Role = Sent
	return []Object{o}, nil
}

// sendAll sends every request, and returns those that were given up. A slow endpoint's plan that takes more memory than others may lets
// them do so in between, after one request at least.
func (j *job) sendAll(ctx context.Context, marks []Mark) (given []givenUp, err error) {
	began := false
	for _, q := range j.requests() {
		id := j.id(&q, marks)
		s := j.sent[id]
		if s == nil {
			s = &sent{began: j.e.cfg.Clock.Now()}
			j.sent[id] = s
		}
		if !s.taken && s.given == nil {
			if began && j.room.over() {
				return nil, errTurn
			}
			began = true
			why, err := j.sendOne(ctx, id, &q, s)
			if err != nil {
				return nil, err
			}
			if why != nil {
				s.given = &givenUp{Begin: marks[q.outputs[0]], End: marks[q.outputs[len(q.outputs)-1]], Attempts: s.attempts, Why: brief(why)}
			}
		}
		if s.given != nil {
			given = append(given, *s.given)
		}
	}
	return given, nil
}

// sendOne sends a request. why says that it is given up.
func (j *job) sendOne(ctx context.Context, id string, q *request, s *sent) (why, err error) {
	records := make([]firehoseRecord, len(q.outputs))
	for i, at := range q.outputs {
		records[i].Data = j.outputs[at].Data
	}
	err = j.t.endpoint.send(ctx, j.e.arn(j.delivery.Account, j.delivery.Name), id, j.e.cfg.Clock.Now(), records)
	s.taken = err == nil
	if err == nil || ctx.Err() != nil {
		return nil, err
	}
	s.attempts++
	left := time.Duration(math.MaxInt64)
	if bound := j.t.endpoint.to.RetrySeconds; bound != nil {
		left = time.Duration(*bound)*time.Second - j.e.cfg.Clock.Now().Sub(s.began)
	}
	if left <= 0 {
		return err, nil
	}
	return nil, &unsentError{err, s.attempts, left}
}

// decided returns what an earlier try gave up.
func (j *job) decided(ctx context.Context) (given []givenUp, ok bool, err error) {
	if j.t.endpoint.to.RetrySeconds == nil && !j.again {
		return nil, false, nil
	}
	body, err := j.e.cfg.Blobs.Read(ctx, sentKey(j.p.id), 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, false, nil
	}
	if err == nil && json.Unmarshal(body, &given) != nil {
		err = leat.Errorf(leat.KindCorrupt, "what is kept of the requests of plan %s cannot be read", j.p.id)
	}
	return given, err == nil, err
}

// decide keeps what was given up, unless somebody else did: then that counts.
func (j *job) decide(ctx context.Context, given []givenUp) ([]givenUp, error) {
	body, err := json.Marshal(given)
	if err != nil {
		return nil, err
	}
	if err := j.e.cfg.Blobs.Create(ctx, sentKey(j.p.id), body); !errors.Is(err, blob.ErrExists) {
		return given, err
	}
	given, _, err = j.decided(ctx)
	return given, err
}

// keeps tells whether something may be kept in Leat's own bucket while plans are carried out. A bound of retries may come and go at
// any time.
func (t *tools) keeps() bool { return !t.repeatable || t.endpoint != nil }
