// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

func TestEachRecordIsInOneObject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 3)
	first, second := numbered("a", 3000), numbered("b", 2000)
	r.put("s", first...)
	r.deliver("d", r.toBucket("s"))
	r.settled("d", 3000)
	r.put("s", second...)
	r.settled("d", 5000)
	r.once(r.lines("data/"), append(first, second...))
	rep := r.clean("d", 5000)
	if rep.Stored != 5000 || rep.Objects < 6 || len(rep.Ranges) != 3 {
		t.Errorf("verify: %+v", rep)
	}
	var planned, put int64
	r.must(r.db.View(t.Context(), func(tx *sqldb.Tx) error {
		planned = 0
		return tx.Each("SELECT parts FROM delivery_plans", func(scan sqldb.Scan) error {
			var text string
			var parts []delivery.Part
			err := errors.Join(scan(&text), json.Unmarshal([]byte(text), &parts))
			for _, p := range parts {
				planned += p.Bytes
			}
			return err
		})
	}))
	for _, records := range [][]string{first, second} {
		for i, record := range records {
			put += int64(len(keyOf(i%500, record)) + len(record))
		}
	}
	if planned != put {
		t.Errorf("plans say that they have %d bytes of %d", planned, put)
	}
}

func TestDirectPutsAreDelivered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deliver("d", r.toBucket(""))
	records := numbered("a", 1000)
	put := func(part []string) error {
		data := make([][]byte, len(part))
		for i := range part {
			data[i] = []byte(part[i])
		}
		res, err := r.broker.PutDeliveryRecords(t.Context(), who, broker.PutDeliveryRecordsRequest{Delivery: "d", Records: data})
		for _, p := range res {
			if p.Err != nil || p.ID == "" {
				t.Fatalf("a record: %+v", p)
			}
		}
		return err
	}
	r.until("direct puts are taken", func() bool { return put(records[:500]) == nil })
	r.must(put(records[500:]))
	r.settled("d", 1000)
	r.once(r.lines("data/"), records)
	r.clean("d", 1000)

	list, err := r.broker.ListStreams(t.Context(), who, broker.ListStreamsRequest{})
	r.must(err)
	if len(list.Streams) != 0 {
		t.Errorf("the hidden stream is listed: %+v", list.Streams)
	}
	r.must(r.broker.DeleteDelivery(t.Context(), who, "d"))
	if err := put(records[:1]); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("a put after deletion: %v", err)
	}
	// A new one of the same name begins empty.
	r.until("it can be made again", func() bool {
		_, err := r.broker.CreateDelivery(t.Context(), who, broker.CreateDeliveryRequest{Delivery: "d", Config: r.toBucket("", func(c *spec.Config) { c.Naming.Prefix = "again/" })})
		return err == nil
	})
	again := []string{"only this"}
	r.until("direct puts are taken", func() bool { return put(again) == nil })
	r.settled("d", 1)
	r.once(r.lines("again/"), again)
}

// Whatever step a delivery dies after, in the same process or for good, each record is in one object.
func TestCrashAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []delivery.Step{delivery.StepPlanned, delivery.StepNamed, delivery.StepPut, delivery.StepWritten, delivery.StepCommitted} {
		t.Run(string(step), func(t *testing.T) {
			var mu sync.Mutex
			struck, dying := 0, false
			crashed := make(chan struct{}, 100)
			r := newRig(t, func(c *delivery.Config) {
				c.Fault = func(s delivery.Step, _ string) error {
					mu.Lock()
					defer mu.Unlock()
					if s != step || struck >= 6 && !dying {
						return nil
					}
					struck++
					crashed <- struct{}{}
					return errors.New("struck")
				}
			})
			r.stream("s", 2)
			records := numbered("a", 4000)
			r.put("s", records[:2000]...)
			r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.Transforms = nil }))
			r.settled("d", 2000)                         // deaths on the way
			r.until("it was struck twice", func() bool { // the last commit is seen before the fault that follows it
				mu.Lock()
				defer mu.Unlock()
				return struck >= 2
			})
			mu.Lock()
			dying = true
			mu.Unlock()
			for len(crashed) > 0 {
				<-crashed
			}
			r.put("s", records[2000:]...)
			<-crashed
			r.kill() // for good, after the step
			mu.Lock()
			dying = false
			mu.Unlock()
			r.start()
			r.settled("d", 4000)
			r.once(r.lines("data/"), records)
			r.clean("d", 4000)
			if got := r.billed("d"); got.Records != 4000 || got.Rounded != 4000*5<<10 || got.Bytes != sizeOf(records) {
				t.Errorf("billed %+v", got)
			}
		})
	}
}

// A destination that fails in the middle of PUTs, before and after it did them.
func TestDestinationFailsMidPut(t *testing.T) {
	t.Parallel()
	f := &flaky{next: http.DefaultTransport, fail: func(n int, r *http.Request) (bool, bool) {
		return r.Method == http.MethodPut && n%5 == 1, r.Method == http.MethodPut && n%5 == 3
	}}
	r := newRig(t, func(c *delivery.Config) { c.S3.Transport = f })
	r.stream("s", 4)
	records := numbered("a", 4000)
	r.deliver("d", r.toBucket("s"))
	for i := range 8 {
		r.put("s", records[i*500:(i+1)*500]...)
		r.settled("d", uint64((i+1)*500))
	}
	r.once(r.lines("data/"), records)
	r.clean("d", 4000)
}

func TestBucketIsDeletedAndComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.must(r.s3.RemoveBucket(t.Context(), r.bucket))
	r.deliver("d", r.toBucket("s"))
	records := numbered("a", 100)
	r.put("s", records...)
	r.until("the reason is told", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Shards) == 1 && strings.Contains(d.Shards[0].Reason, "NoSuchBucket") && d.Shards[0].Lag > 0 && !d.Shards[0].Since.IsZero()
	})
	r.must(r.s3.MakeBucket(t.Context(), r.bucket, minio.MakeBucketOptions{}))
	d := r.settled("d", 100)
	if d.Shards[0].Reason != "" || d.Shards[0].Lag != 0 {
		t.Errorf("after it came back: %+v", d.Shards[0])
	}
	r.once(r.lines("data/"), records)
	r.clean("d", 100)
}

func TestReshardingDuringDelivery(t *testing.T) {
	t.Parallel()
	for _, merged := range []bool{false, true} {
		t.Run(fmt.Sprintf("merged=%v", merged), func(t *testing.T) {
			r := newRig(t)
			r.stream("s", 2)
			r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.Buffer.Merged = merged }))
			records := numbered("a", 5000)
			for i, shards := range []int{4, 1, 3, 2} {
				r.put("s", records[i*1000:(i+1)*1000]...)
				_, err := r.broker.ScaleStream(t.Context(), who, broker.ScaleStreamRequest{Stream: "s", Target: shards})
				r.must(err)
				r.until("it is scaled", func() bool {
					d, err := r.broker.DescribeStream(t.Context(), who, broker.DescribeStreamRequest{Stream: "s"})
					return err == nil && d.Stream.Status == leat.StreamActive && d.Stream.OpenShards == shards
				})
			}
			r.put("s", records[4000:]...)
			r.settled("d", 5000)
			r.once(r.lines("data/"), records)
			if rep := r.clean("d", 5000); len(rep.Ranges) < 5 {
				t.Errorf("%d shards were delivered", len(rep.Ranges))
			}
		})
	}
}

// keys is a pipeline that partitions records by their first letters, drops those with "drop", and cannot do "poison".
type keys struct{ unsteady bool }

func (keys) Close() error { return nil }

func (k keys) Apply(_ context.Context, batch []spec.Record, _ int64) (res spec.Result, err error) {
	for i, b := range batch {
		word, _, _ := strings.Cut(string(b.Data), ":")
		switch word {
		case "drop":
			res.Dropped = append(res.Dropped, i)
		case "poison":
			res.Failed = append(res.Failed, spec.Failure{Source: i, Type: spec.ProcessingFailed, Code: "Test.Poison", Message: "it is poison"})
		default:
			data := b.Data
			if k.unsteady {
				data = fmt.Appendf(nil, "%s at %d", data, time.Now().UnixNano())
			}
			res.Outputs = append(res.Outputs, spec.Output{Source: i, Data: data, Query: map[string]string{"word": word}})
		}
	}
	return res, nil
}

func compile(k keys) func(*delivery.Config) {
	return func(c *delivery.Config) {
		c.Compile = func(context.Context, string, []spec.Transform) (spec.Pipeline, error) { return k, nil }
	}
}

func partitioned(most int) func(*spec.Config) {
	return func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.PartitionKeys, Query: "{word: .word}"}}
		c.Partitioning = &spec.Partitioning{MaxActive: most}
		c.Naming.Prefix = "data/!{partitionKeyFromQuery:word}/"
		c.Compression = spec.None
	}
}

// errorLines reads what is in the error prefix.
func errorLines(t *testing.T, r *rig, prefix string) (out []map[string]any) {
	t.Helper()
	for _, body := range r.objects(prefix) {
		for line := range bytes.Lines(body) {
			var m map[string]any
			r.must(json.Unmarshal(line, &m))
			out = append(out, m)
		}
	}
	return out
}

func TestPoisonFiltersAndOverflow(t *testing.T) {
	t.Parallel()
	r := newRig(t, compile(keys{}))
	r.stream("s", 1)
	var records []string
	for i := range 20 {
		records = append(records, fmt.Sprintf("drop:%d", i), fmt.Sprintf("poison:%d", i), fmt.Sprintf("w%d:%d", i%5, i))
	}
	r.put("s", records...)
	r.deliver("d", r.toBucket("s", partitioned(3)))
	r.settled("d", 60)
	rep := r.clean("d", 60)
	if rep.Dropped != 20 || rep.Failed != 28 || rep.Stored != 12 || rep.Objects != 3 || rep.Errors != 2 {
		t.Errorf("verify: %+v", rep)
	}
	poison := errorLines(t, r, "errors/processing-failed/")
	if len(poison) != 20 || poison[0]["errorCode"] != "Test.Poison" || poison[0]["rawData"] != "cG9pc29uOjA=" || len(poison[0]["sequenceNumber"].(string)) != 56 {
		t.Errorf("poison: %v", poison)
	}
	if over := errorLines(t, r, "errors/partitioning-failed/"); len(over) != 8 {
		t.Errorf("overflow: %v", over)
	}
}

func TestWhatAFormatCannotHold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.put("s", `{"a":1}`, `not JSON`, `{"a":2}`)
	r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.Format = spec.Format{Kind: spec.JSONLines} }))
	r.settled("d", 3)
	r.once(r.lines("data/"), []string{`{"a":1}`, `{"a":2}`})
	if got := errorLines(t, r, "errors/format-conversion-failed/"); len(got) != 1 || got[0]["rawData"] != "bm90IEpTT04=" {
		t.Errorf("errors: %v", got)
	}
	r.clean("d", 3)
}

// What transforms make is another thing each time; what was kept first counts.
func TestUnsteadyTransforms(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	struck := 0
	r := newRig(t, compile(keys{unsteady: true}), func(c *delivery.Config) {
		c.Fault = func(s delivery.Step, _ string) error {
			mu.Lock()
			defer mu.Unlock()
			if s != delivery.StepPut || struck > 3 {
				return nil
			}
			struck++
			return errors.New("struck")
		}
	})
	r.stream("s", 1)
	var records []string
	for i := range 30 {
		records = append(records, fmt.Sprintf("w%d:%d", i%10, i))
	}
	r.put("s", records...)
	r.deliver("d", r.toBucket("s", partitioned(100), func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "http://transform.example"}}}
	}))
	r.settled("d", 30)
	got := map[string]int{}
	for line, n := range r.lines("data/") {
		word, _, _ := strings.Cut(line, " at ")
		got[word] += n
	}
	r.once(got, records)
	r.clean("d", 30)
	staged, err := r.blobs.List(t.Context(), "delivery/", "", 10)
	r.must(err)
	if len(staged) != 0 {
		t.Errorf("kept after the commit: %v", staged)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	r := newRig(t, compile(keys{}))
	r.stream("s", 1)
	r.put("s", "drop:1\n", "poison:2\n", "w:3\n")
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: "."}}
		c.Backup = &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "backup/"}, Compression: spec.Gzip, All: true}
	}))
	r.settled("d", 3)
	r.once(r.lines("backup/"), []string{"drop:1", "poison:2", "w:3"})
	r.once(r.lines("data/"), []string{"w:3"})
	if rep := r.clean("d", 3); rep.Backups != 1 {
		t.Errorf("%d backups", rep.Backups)
	}
}

func TestBackfillBesideTheLiveDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 2)
	r.deliver("d", r.toBucket("s"))
	records := numbered("a", 1500)
	r.put("s", records[:1000]...)
	r.settled("d", 1000)
	b, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{
		Delivery: "d", From: time.Now().Add(-time.Hour), Format: &spec.Format{Kind: spec.JSONLines}, Prefix: "again/",
	})
	r.must(err)
	r.put("s", records[1000:]...)
	r.until("the backfill is done", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Backfills) == 1 && d.Backfills[0].Done
	})
	r.settled("d", 1500)
	r.once(r.lines("again/"), records[:1000])
	r.once(r.lines("data/"), records)
	r.clean("d", 1500)
	rep, err := r.broker.VerifyDelivery(t.Context(), who, broker.VerifyDeliveryRequest{Delivery: "d", Options: spec.VerifyOptions{Backfill: b.ID, Deep: true}})
	r.must(err)
	if !rep.Clean || rep.Stored != 1000 {
		t.Errorf("verify of the backfill: %+v", rep)
	}
}

// Verify finds what was done to the bucket.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.deliver("d", r.toBucket("s"))
	for i := range 3 {
		r.put("s", numbered("a", 10)...)
		r.settled("d", uint64(10*(i+1)))
	}
	r.clean("d", 30)
	var names []string
	for key := range r.objects("data/") {
		names = append(names, key)
	}
	slices.Sort(names)
	if len(names) < 3 {
		t.Fatalf("%d objects", len(names))
	}
	r.must(r.s3.RemoveObject(t.Context(), r.bucket, names[0], minio.RemoveObjectOptions{}))
	st, err := r.s3.StatObject(t.Context(), r.bucket, names[1], minio.StatObjectOptions{})
	r.must(err)
	_, err = r.s3.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: r.bucket, Object: "data/copy.gz"}, minio.CopySrcOptions{Bucket: r.bucket, Object: names[1]})
	r.must(err)
	spoilt := bytes.Repeat([]byte("x"), int(st.Size))
	_, err = r.s3.PutObject(t.Context(), r.bucket, names[1], bytes.NewReader(spoilt), st.Size, minio.PutObjectOptions{UserMetadata: st.UserMetadata})
	r.must(err)
	rep := r.verify("d")
	for _, want := range []string{names[0] + ": the object of", names[1] + ": its bytes are not", "data/copy.gz: no plan names"} {
		if !slices.ContainsFunc(rep.Problems, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("%q is not told: %q", want, rep.Problems)
		}
	}
	if rep.Clean || len(rep.Problems) != 3 {
		t.Errorf("verify: %+v", rep)
	}
}

// A bucket that cannot be asked is named with the cause and what to do, and is no fault of the server's.
func TestVerifyOfABucketThatIsAway(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	r := newRig(t, func(c *delivery.Config) {
		c.S3.Transport = &flaky{next: http.DefaultTransport, fail: func(int, *http.Request) (bool, bool) { return away.Load(), false }}
	})
	r.stream("s", 1)
	r.deliver("d", r.toBucket("s"))
	r.put("s", numbered("a", 10)...)
	r.settled("d", 10)
	away.Store(true)
	_, err := r.broker.VerifyDelivery(t.Context(), who, broker.VerifyDeliveryRequest{Delivery: "d"})
	if leat.KindOf(err) != leat.KindUnavailable {
		t.Fatalf("verify: %v", err)
	}
	for _, want := range []string{"Delivery stream d cannot be verified", "bucket " + r.bucket, "HEAD data/", "then verify again"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	away.Store(false)
	r.clean("d", 10)
}

// An object that stands where a plan's should and is not its own stays, and stops the delivery with that reason.
func TestAnothersObjectIsNotTouched(t *testing.T) {
	t.Parallel()
	var r *rig
	key := ""
	f := &flaky{next: http.DefaultTransport, fail: func(_ int, q *http.Request) (bool, bool) {
		if q.Method == http.MethodPut && key == "" {
			key = strings.TrimPrefix(q.URL.Path, "/"+r.bucket+"/")
			_, err := r.s3.PutObject(context.Background(), r.bucket, key, strings.NewReader("mine"), 4, minio.PutObjectOptions{})
			if err != nil {
				t.Error(err)
			}
		}
		return false, false
	}}
	r = newRig(t, func(c *delivery.Config) { c.S3.Transport = f })
	r.stream("s", 1)
	r.put("s", "a")
	r.deliver("d", r.toBucket("s"))
	r.until("the reason is told", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Shards) == 1 && strings.Contains(d.Shards[0].Reason, "did not write")
	})
	if got := r.objects("data/"); len(got) != 1 || string(got[key]) != "mine" {
		t.Errorf("%s: %q", key, got)
	}
	r.must(r.s3.RemoveObject(t.Context(), r.bucket, key, minio.RemoveObjectOptions{}))
	r.settled("d", 1)
	r.once(r.lines("data/"), []string{"a"})
	r.clean("d", 1)
}

func TestHTTPDestination(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen, got := map[string]int{}, map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var req struct {
			RequestID string `json:"requestId"`
			Records   []struct{ Data []byte }
		}
		body, err := io.ReadAll(q.Body)
		if err == nil {
			err = json.Unmarshal(body, &req)
		}
		mu.Lock()
		defer mu.Unlock()
		id := q.Header.Get("X-Amz-Firehose-Request-Id")
		if err != nil || id == "" || id != req.RequestID || q.Header.Get("X-Amz-Firehose-Access-Key") != "sesame" || q.Header.Get("X-Amz-Firehose-Protocol-Version") != "1.0" {
			t.Errorf("request %q: %v, headers %v", id, err, q.Header)
		}
		if seen[id]++; seen[id] == 1 {
			for _, rec := range req.Records {
				got[string(rec.Data)]++ // an endpoint that remembers request ids
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if len(seen)%2 == 1 && seen[id] == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // it took them, and says otherwise
			fmt.Fprintf(w, `{"requestId":%q,"timestamp":1,"errorMessage":"later"}`, id)
			return
		}
		fmt.Fprintf(w, `{"requestId":%q,"timestamp":1}`, id)
	}))
	defer web.Close()
	r := newRig(t)
	r.stream("s", 2)
	records := numbered("a", 600)
	r.put("s", records...)
	r.deliver("d", spec.Config{
		Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
		Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL, AccessKey: "sesame"}}, Backup: &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
	})
	r.settled("d", 600)
	mu.Lock()
	defer mu.Unlock()
	r.once(got, records)
	again := 0
	for _, n := range seen {
		if n > 1 {
			again++
		}
	}
	if again == 0 {
		t.Error("no request was sent again")
	}
	r.clean("d", 600)
}

func TestPauseUpdateAndPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	r.put("s", "before")
	r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.Source.From = spec.Latest }))
	r.put("s", "after")
	r.settled("d", 1)
	r.once(r.lines("data/"), []string{"after"})
	change := func(ch spec.Change) (spec.Delivery, error) {
		return r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: ch})
	}
	_, err := change(spec.Change{State: spec.Paused})
	r.must(err)
	r.put("s", "while paused")
	other := r.toBucket("s", func(c *spec.Config) { c.Source.From, c.Naming.Prefix = spec.Latest, "other/" })
	d, err := change(spec.Change{Config: &other, IfVersion: 1})
	r.must(err)
	if d.Version != 2 {
		t.Errorf("version %d", d.Version)
	}
	if _, err := change(spec.Change{Config: &other, IfVersion: 1}); leat.KindOf(err) != leat.KindInUse {
		t.Errorf("an update of an old version: %v", err)
	}
	moved := r.toBucket("elsewhere")
	if _, err := change(spec.Change{Config: &moved}); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Errorf("another source: %v", err)
	}
	if n := len(r.objects("other/")); n != 0 {
		t.Errorf("%d objects were written while it was paused", n)
	}
	_, err = change(spec.Change{State: spec.Active})
	r.must(err)
	r.settled("d", 2)
	r.once(r.lines("other/"), []string{"while paused"})
	r.clean("d", 2)
}

func TestSecretsAreKeptAndNotTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	s3 := r.config.S3
	own := r.toBucket("s", func(c *spec.Config) {
		c.Destination.S3.Endpoint, c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = s3.Endpoint, r.store.AccessKey, spec.Secret(r.store.SecretKey)
	})
	r.kill()
	r.config.S3 = delivery.S3{} // there is no other way to the bucket
	r.start()
	r.deliver("d", own)
	r.put("s", "one")
	r.settled("d", 1)
	r.kill()
	r.start() // from the catalog alone
	r.put("s", "two")
	r.settled("d", 2)
	d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
	r.must(err)
	text, err := json.Marshal(d)
	r.must(err)
	if strings.Contains(string(text), r.store.SecretKey) {
		t.Error("describe tells the secret")
	}
	// A new endpoint does not get the old secret.
	elsewhere := own
	dest := *own.Destination.S3
	dest.Endpoint, dest.SecretKey = "http://127.0.0.1:1", ""
	elsewhere.Destination.S3 = &dest
	var e *leat.Error
	_, err = r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: spec.Change{Config: &elsewhere}})
	if !errors.As(err, &e) || e.Field != "destination.s3.access_key" {
		t.Errorf("a new endpoint: %v", err)
	}
	r.clean("d", 2)
}

// What was written is found again, the newest first, page by page, and what failed with its reason.
func TestWhatWasWritten(t *testing.T) {
	r := newRig(t)
	r.stream("s", 1)
	r.put("s", `{"a":1}`, `not <JSON>`, `{"a":2}`)
	r.deliver("d", r.toBucket("s", func(c *spec.Config) { c.Format = spec.Format{Kind: spec.JSONLines} }))
	r.settled("d", 3)
	r.put("s", `{"a":3}`)
	r.settled("d", 4)
	var all []spec.Written
	for token := ""; ; {
		page, next, err := r.broker.ListDeliveryObjects(t.Context(), who, broker.ListDeliveryObjectsRequest{Delivery: "d", PageSize: 1, PageToken: token})
		r.must(err)
		all = append(all, page...)
		if token = next; token == "" {
			break
		}
	}
	records := uint64(0)
	for i, w := range all {
		records += w.Records
		if w.Bucket != r.bucket || w.Key == "" || w.Bytes == 0 || i > 0 && w.At.After(all[i-1].At) {
			t.Errorf("object %d: %+v", i, w)
		}
	}
	if len(all) != 3 || records != 4 {
		t.Errorf("%d objects of %d records: %+v", len(all), records, all)
	}
	failed, _, err := r.broker.ListDeliveryObjects(t.Context(), who, broker.ListDeliveryObjectsRequest{Delivery: "d", Failed: true})
	r.must(err)
	if len(failed) != 1 || failed[0].For != "errors" || failed[0].Records != 1 {
		t.Fatalf("failed: %+v", failed)
	}
	f, err := r.broker.ReadFailedRecords(t.Context(), who, "d", failed[0].Place.String())
	r.must(err)
	if len(f.Records) != 1 || f.More || string(f.Records[0].Data) != `not <JSON>` || f.Records[0].Shard != leat.ShardID(0) || len(f.Records[0].Sequence) != 56 || f.Records[0].Code == "" {
		t.Errorf("records: %+v", f)
	}
	for _, place := range []string{all[0].Place.String(), "1.none.0"} { // an object of data; none at all
		if all[0].For == "errors" {
			place = all[1].Place.String()
		}
		if _, err := r.broker.ReadFailedRecords(t.Context(), who, "d", place); leat.KindOf(err) != leat.KindNotFound {
			t.Errorf("%s: %v", place, err)
		}
	}
	if _, err := r.broker.ReadFailedRecords(t.Context(), who, "d", "../x"); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Errorf("no place: %v", err)
	}
}
