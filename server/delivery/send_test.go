// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore/blob"
)

// collector is an endpoint of Firehose's contract that does not take records with "bad" while it is ill.
type collector struct {
	mu    sync.Mutex
	ill   bool
	tries map[string]int // by request id, of those it did not take
	got   map[string]int
}

func (c *collector) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var req struct {
		RequestID string `json:"requestId"`
		Records   []struct{ Data []byte }
	}
	err := json.NewDecoder(q.Body).Decode(&req)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.Records {
		if c.ill && strings.Contains(string(r.Data), "bad") {
			err = errors.New("it is bad")
		}
	}
	if err != nil {
		c.tries[req.RequestID]++
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"requestId":%q,"timestamp":1,"errorMessage":%q}`, req.RequestID, err)
		return
	}
	for _, r := range req.Records {
		c.got[string(r.Data)]++
	}
	fmt.Fprintf(w, `{"requestId":%q,"timestamp":1}`, req.RequestID)
}

// What an endpoint does not take in the time it is given goes to the backup bucket's error prefix, and stays there: though the
// delivery dies before it commits, and the endpoint is well again, it is not sent once more. What comes after it is delivered.
func TestHTTPDestinationGivesUp(t *testing.T) {
	t.Parallel()
	for _, ledger := range []bool{false, true} {
		t.Run(fmt.Sprintf("ledger=%v", ledger), func(t *testing.T) {
			c := &collector{ill: true, tries: map[string]int{}, got: map[string]int{}}
			web := httptest.NewServer(c)
			defer web.Close()
			var mu sync.Mutex
			struck := 0
			r := newRig(t, func(cfg *delivery.Config) {
				cfg.Ledger = ledger
				cfg.Fault = func(s delivery.Step, _ string) error {
					c.mu.Lock()
					given := len(c.tries) > 0
					c.mu.Unlock()
					mu.Lock()
					defer mu.Unlock()
					if s != delivery.StepWritten || !given || struck > 1 {
						return nil
					}
					struck++
					c.mu.Lock()
					c.ill = false
					c.mu.Unlock()
					return errors.New("struck")
				}
			})
			r.stream("s", 1)
			seconds := 1
			r.deliver("d", spec.Config{
				Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
				Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL + "/take?key=hunter2", RetrySeconds: &seconds, BatchBytes: 64 << 10}},
				Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
			})
			pad := strings.Repeat("x", 30<<10) // two records in a request
			first := []string{"good 0 " + pad, "good 1 " + pad, "good 2 " + pad, "bad 3 " + pad, "good 4 " + pad}
			r.put("s", first...)
			r.settled("d", 5)
			r.put("s", "good 5", "bad no more")
			r.settled("d", 7)
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, want := range []string{first[0], first[1], first[4], "good 5", "bad no more"} {
				if c.got[want] != 1 {
					t.Errorf("%.10q came %d times", want, c.got[want])
				}
			}
			if len(c.got) != 5 || len(c.tries) != 1 || struck < 1 {
				t.Errorf("%d different records came, %v requests were given up, struck %d times", len(c.got), c.tries, struck)
			}
			lines := errorLines(t, r, "failed/http-endpoint-failed/")
			if len(lines) != 2 || lines[0]["errorCode"] != "HttpEndpoint.RetryDurationExceeded" || lines[0]["attemptsMade"].(float64) < 2 {
				t.Errorf("the error prefix: %.300v", lines)
			}
			if rep := r.clean("d", 7); rep.Stored != 5 || rep.Failed != 2 {
				t.Errorf("verify: %+v", rep)
			}
			written, _, err := r.broker.ListDeliveryObjects(t.Context(), who, broker.ListDeliveryObjectsRequest{Delivery: "d"})
			r.must(err)
			if told := fmt.Sprint(lines, written); strings.Contains(told, "hunter2") || !strings.Contains(told, web.URL+"/take") {
				t.Errorf("what is told of the endpoint: %s", told)
			}
			kept, err := r.blobs.List(t.Context(), "delivery/", "", 10)
			r.must(err)
			if !ledger && len(kept) > 0 {
				t.Errorf("kept after the commit: %v", kept)
			}
		})
	}
}

// entries counts what is written into the ledger.
type entries struct {
	blob.Store
	n atomic.Int64
}

func (e *entries) Create(ctx context.Context, key string, body []byte) error {
	if strings.HasPrefix(key, "deliveries/") {
		e.n.Add(1)
	}
	return e.Store.Create(ctx, key, body)
}

// What an endpoint has taken of a range is not sent again while it does not take a later request, however long that is, and the range
// is entered in the ledger once.
func TestHTTPDestinationGoesOnWhereItFailed(t *testing.T) {
	t.Parallel()
	c := &collector{ill: true, tries: map[string]int{}, got: map[string]int{}}
	web := httptest.NewServer(c)
	defer web.Close()
	var ledger *entries
	r := newRig(t, func(c *delivery.Config) {
		ledger = &entries{Store: c.Blobs}
		c.Ledger, c.Blobs = true, ledger
	})
	r.stream("s", 1)
	r.deliver("d", spec.Config{
		Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
		Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL, BatchBytes: 64 << 10}},
		Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
	})
	pad := strings.Repeat("x", 40<<10) // a record in a request
	r.put("s", "good 0 "+pad, "good 1 "+pad, "bad 2 "+pad, "good 3 "+pad)
	r.until("the third request has failed several times", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, tries := range c.tries {
			n += tries
		}
		c.ill = n < 4
		return !c.ill
	})
	r.settled("d", 4)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) != 4 {
		t.Errorf("%d different records came", len(c.got))
	}
	for record, n := range c.got {
		if n != 1 {
			t.Errorf("%.10q came %d times", record, n)
		}
	}
	if n := ledger.n.Load(); n != 1 {
		t.Errorf("the ledger was written %d times", n)
	}
}

// While a request waits to be sent again, with a bound of that too, the other deliveries of its account go on.
func TestAnEndpointThatIsAwayHoldsNoMemory(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	first := sync.OnceFunc(func() { close(asked) })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		first()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer web.Close()
	r := newRig(t, func(c *delivery.Config) { c.Memory, c.Pause = 8<<20, time.Second }) // an account has room for one plan
	r.stream("s", 1)
	seconds := spec.MaxRetrySeconds
	r.deliver("stuck", spec.Config{
		Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
		Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL, RetrySeconds: &seconds}},
		Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
	})
	records := numbered("a", 100)
	r.put("s", records...)
	<-asked
	r.deliver("d", r.toBucket("s"))
	r.settled("d", 100)
	r.once(r.lines("data/"), records)
}

// A destination that takes nothing has the plans of its account wait, and no other account's.
func TestOneAccountStopsNoOther(t *testing.T) {
	t.Parallel()
	var tried sync.Map
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		tried.Store(q.Header.Get("X-Amz-Firehose-Request-Id"), true)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer web.Close()
	r := newRig(t, func(c *delivery.Config) { c.Memory = 16 << 20 })
	const shards = 12 // of a plan each, of two MiB at least
	r.stream("s", shards)
	seconds := spec.MaxRetrySeconds
	r.deliver("stuck", spec.Config{
		Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
		Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL, RetrySeconds: &seconds}},
		Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
	})
	r.put("s", numbered("a", 1000)...)
	r.until("its account has what it may have", func() bool {
		n := 0
		tried.Range(func(any, any) bool {
			n++
			return true
		})
		return n >= 2
	})
	other := leat.Principal{Account: "111111111111", Name: "other"}
	_, err := r.broker.CreateDelivery(t.Context(), other, broker.CreateDeliveryRequest{Delivery: "d", Config: r.toBucket("", func(c *spec.Config) { c.Source = spec.Source{Shards: 1} })})
	r.must(err)
	r.until("the other account's record is taken and delivered", func() bool {
		if len(r.objects("data/")) > 0 {
			return true
		}
		_, _ = r.broker.PutDeliveryRecords(t.Context(), other, broker.PutDeliveryRecordsRequest{Delivery: "d", Records: [][]byte{[]byte("x")}}) // until its stream is there
		return false
	})
}

// Why a destination does not take records is told without the query of its URL, in which there may be a key.
func TestReasonsDoNotTellAKey(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	answer.Store("no JSON")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer.Load()) }))
	r := newRig(t)
	r.stream("s", 1)
	r.deliver("d", spec.Config{
		Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
		Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL + "/take?key=hunter2"}},
		Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
	})
	r.put("s", "one")
	waits := func(why string) {
		t.Helper()
		r.until("it says "+why, func() bool {
			d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
			r.must(err)
			if len(d.Shards) == 1 && strings.Contains(d.Shards[0].Reason, "hunter2") {
				t.Fatalf("the reason tells the key: %s", d.Shards[0].Reason)
			}
			return len(d.Shards) == 1 && strings.Contains(d.Shards[0].Reason, web.URL+"/take") && strings.Contains(d.Shards[0].Reason, why)
		})
	}
	waits("not the JSON")
	answer.Store(`{"requestId":"another"}`)
	waits("for request")
	web.Close()
	waits("connection refused")
}
