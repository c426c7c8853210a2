// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// A change keeps the secrets that it does not give, unless what they are for is another. Those that it gives it keeps too, though
// they are the same as before.
func TestSecretsOfAChange(t *testing.T) {
	t.Parallel()
	bucket := func(endpoint, access string, secret spec.Secret) *spec.S3 {
		return &spec.S3{Bucket: "b", Endpoint: endpoint, AccessKey: access, SecretKey: secret}
	}
	asking := func(url string, key spec.Secret) spec.Transform {
		return spec.Transform{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: url, AccessKey: key}}
	}
	jq := spec.Transform{Kind: spec.JQ, Query: "."}
	for name, c := range map[string]struct {
		from, to spec.Config
		want     map[string]spec.Secret
	}{
		"a bucket": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}, Backup: &spec.Backup{S3: *bucket("https://b", "id", "t")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "")}, Backup: &spec.Backup{S3: *bucket("https://b", "id", "")}},
			map[string]spec.Secret{"destination.s3.secret_key": "s", "backup.s3.secret_key": "t"},
		},
		"a bucket at another endpoint": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://b", "id", "")}},
			map[string]spec.Secret{"destination.s3.secret_key": ""},
		},
		"a bucket at another endpoint, with the same secret": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}, Backup: &spec.Backup{S3: *bucket("https://a", "id", "s")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://b", "id", "s")}, Backup: &spec.Backup{S3: *bucket("https://b", "id", "s")}},
			map[string]spec.Secret{"destination.s3.secret_key": "s", "backup.s3.secret_key": "s"},
		},
		"another key": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "other", "")}},
			map[string]spec.Secret{"destination.s3.secret_key": ""},
		},
		"an endpoint": {
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", AccessKey: "s"}}},
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", Gzip: true}}},
			map[string]spec.Secret{"destination.http.access_key": "s"},
		},
		"another endpoint": {
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", AccessKey: "s"}}},
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://b"}}},
			map[string]spec.Secret{"destination.http.access_key": ""},
		},
		"another endpoint, with the same secret": {
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", AccessKey: "s"}}},
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://b", AccessKey: "s"}}},
			map[string]spec.Secret{"destination.http.access_key": "s"},
		},
		"a transform before another": {
			spec.Config{Transforms: []spec.Transform{asking("https://a", "s"), asking("https://b", "t")}},
			spec.Config{Transforms: []spec.Transform{jq, asking("https://b", ""), asking("https://a", ""), asking("https://c", "")}},
			map[string]spec.Secret{"transforms.1.http.access_key": "t", "transforms.2.http.access_key": "s", "transforms.3.http.access_key": ""},
		},
		"two transforms of one endpoint": {
			spec.Config{Transforms: []spec.Transform{asking("https://a", "s"), asking("https://a", "t")}},
			spec.Config{Transforms: []spec.Transform{asking("https://a", ""), jq, asking("https://a", "")}},
			map[string]spec.Secret{"transforms.0.http.access_key": "s", "transforms.2.http.access_key": "t"},
		},
	} {
		delivery.Inherit(&c.to, &c.from)
		got := c.to.Secrets()
		for member, want := range c.want {
			if is := got[member]; is == nil || *is != want {
				t.Errorf("%s: %s is %q, want %q", name, member, text(is), string(want))
			}
		}
	}
}

func (r *rig) update(name string, c spec.Config) {
	r.t.Helper()
	_, err := r.broker.UpdateDelivery(r.t.Context(), who, broker.UpdateDeliveryRequest{Delivery: name, Change: spec.Change{Config: &c}})
	r.must(err)
}

// A range whose destination refuses the credentials that it was planned with goes on with new ones, that of a backfill too, and what
// was written with the former ones can be verified.
func TestNewCredentialsReachWhatIsPlanned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	with := func(secret string) spec.Config {
		return r.toBucket("s", func(c *spec.Config) {
			c.Destination.S3.Endpoint, c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = r.config.S3.Endpoint, r.store.AccessKey, spec.Secret(secret)
		})
	}
	r.deliver("d", with("revoked"))
	r.put("s", "one", "two")
	r.waits("d", "SignatureDoesNotMatch")
	_, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "d", From: time.Now().Add(-time.Hour), Prefix: "again/"})
	r.must(err)
	r.until("the backfill waits", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && strings.Contains(d.Backfills[0].Shards[0].Reason, "SignatureDoesNotMatch")
	})
	r.update("d", with(r.store.SecretKey))
	r.settled("d", 2)
	r.once(r.lines("data/"), []string{"one", "two"})
	r.clean("d", 2)
	r.until("the backfill is done", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && d.Backfills[0].Done
	})
	r.once(r.lines("again/"), []string{"one", "two"})
}

// A bound of retries that is given while a range waits for its endpoint holds for that range, and what was given up by it stays so
// though the bound is taken away again.
func TestNewBoundOfRetriesReachesWhatIsPlanned(t *testing.T) {
	t.Parallel()
	c := &collector{ill: true, tries: map[string]int{}, got: map[string]int{}}
	web := httptest.NewServer(c)
	defer web.Close()
	var dying atomic.Bool
	dying.Store(true)
	struck := make(chan struct{}, 1000)
	r := newRig(t, func(c *delivery.Config) {
		c.Fault = func(s delivery.Step, _ string) error {
			if s != delivery.StepWritten || !dying.Load() {
				return nil
			}
			struck <- struct{}{}
			return errors.New("struck")
		}
	})
	r.stream("s", 1)
	bounded := func(seconds *int) spec.Config {
		return spec.Config{
			Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
			Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL, RetrySeconds: seconds}},
			Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
		}
	}
	r.deliver("d", bounded(nil))
	r.put("s", "bad 0", "bad 1")
	r.waits("d", "it is bad")
	r.update("d", bounded(new(int)))
	<-struck // it is given up, and not committed
	r.update("d", bounded(nil))
	c.mu.Lock()
	c.ill = false
	c.mu.Unlock()
	dying.Store(false)
	r.settled("d", 2)
	r.put("s", "good 2")
	r.settled("d", 3)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) != 1 || c.got["good 2"] != 1 {
		t.Errorf("the endpoint has %v", c.got)
	}
	if lines := errorLines(t, r, "failed/http-endpoint-failed/"); len(lines) != 2 {
		t.Errorf("the error prefix: %.300v", lines)
	}
	if rep := r.clean("d", 3); rep.Stored != 1 || rep.Failed != 2 {
		t.Errorf("verify: %+v", rep)
	}
}

// What is kept of a backfill's requests that were given up goes with its next range, though the bound was taken away meanwhile: a
// backfill stays at the version of its configuration.
func TestNothingIsKeptOfABackfillWithoutItsBound(t *testing.T) {
	t.Parallel()
	c := &collector{ill: true, tries: map[string]int{}, got: map[string]int{}}
	web := httptest.NewServer(c)
	defer web.Close()
	r := newRig(t, func(c *delivery.Config) { c.Ledger = true })
	r.stream("s", 1)
	bounded := func(seconds *int) spec.Config {
		return spec.Config{
			Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
			Destination: spec.Destination{HTTP: &spec.HTTP{URL: web.URL, RetrySeconds: seconds}},
			Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
		}
	}
	r.deliver("d", bounded(new(int)))
	records := []string{"bad"}
	for i := range 30 { // of two ranges
		records = append(records, fmt.Sprint(i, strings.Repeat("x", 50<<10)))
	}
	r.put("s", records...)
	r.settled("d", 31)
	r.kill()

	plans, struck := 0, make(chan struct{})
	r.config.Pause, r.config.Fault = time.Hour, func(s delivery.Step, _ string) error {
		if s != delivery.StepPlanned {
			return nil
		}
		if plans++; plans == 2 {
			close(struck)
			return errors.New("struck")
		}
		return nil
	}
	r.start()
	_, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "d", From: r.clock.Now().Add(-time.Hour), Prefix: "again/"})
	r.must(err)
	<-struck // the first range is committed
	r.update("d", bounded(nil))
	r.kill()

	r.config.Pause, r.config.Fault = 20*time.Millisecond, nil
	r.start()
	r.until("the backfill is done", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && d.Backfills[0].Done
	})
	kept, err := r.blobs.List(t.Context(), "delivery/", "", 10)
	r.must(err)
	if len(kept) > 0 {
		t.Errorf("what is kept: %v", kept)
	}
}

// A range waits for the endpoint of a transform that is no more: it goes on with the endpoint that the delivery stream is given.
func TestNewEndpointOfATransformReachesWhatIsPlanned(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var req struct {
			RequestID string `json:"requestId"`
			Records   []struct {
				ID   string `json:"recordId"`
				Data []byte `json:"data"`
			} `json:"records"`
		}
		if err := json.NewDecoder(q.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		type record struct {
			ID     string `json:"recordId"`
			Result string `json:"result"`
			Data   []byte `json:"data"`
		}
		var all []record
		for _, r := range req.Records {
			all = append(all, record{r.ID, "Ok", append([]byte("made of "), r.Data...)})
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"requestId": req.RequestID, "records": all}); err != nil {
			t.Error(err)
		}
	}))
	defer web.Close()
	r := newRig(t)
	r.stream("s", 1)
	asking := func(url string) spec.Config {
		return r.toBucket("s", func(c *spec.Config) {
			c.Transforms = []spec.Transform{{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: url}}}
		})
	}
	r.deliver("d", asking("http://127.0.0.1:1/"))
	r.put("s", "one", "two")
	r.waits("d", "connection refused")
	r.update("d", asking(web.URL))
	r.settled("d", 2)
	r.once(r.lines("data/"), []string{"made of one", "made of two"})
	r.clean("d", 2)
}

// Where steps came, went or changed places, a range that waits takes over endpoints by what they are, never by where they stand:
// otherwise it would run steps that it was not made with, and leave out some that it was.
func TestEndpointsOfTransformsAreTakenOverOnlyWhereTheyAreTheSame(t *testing.T) {
	t.Parallel()
	config := func(key spec.Secret, steps string) (c spec.Config) {
		for _, step := range strings.Fields(steps) {
			if step == "jq" {
				c.Transforms = append(c.Transforms, spec.Transform{Kind: spec.JQ, Query: "."})
			} else {
				url, told, _ := strings.Cut(step, "/")
				c.Transforms = append(c.Transforms, spec.Transform{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: url, AccessKey: key, Common: map[string]string{"told": told}}})
			}
		}
		return c
	}
	for _, c := range []struct {
		former, present, want string // +: with the new key
		whole                 bool
	}{
		{"scrub enrich", "scrub enrich", "scrub+ enrich+", true},
		{"scrub", "scrub2", "scrub2+", true},
		{"jq scrub enrich", "jq scrub2 enrich", "jq scrub2+ enrich+", true},
		{"scrub enrich", "enrich tag", "scrub enrich+", false},
		{"scrub enrich", "enrich scrub", "scrub+ enrich+", true},
		{"scrub enrich", "scrub2 enrich2", "scrub enrich", false},
		{"scrub enrich tag", "scrub2 enrich2 tag", "scrub enrich tag+", false},
		{"scrub enrich", "enrich", "scrub enrich+", false},
		{"scrub", "jq scrub", "scrub+", true},
		{"scrub", "jq enrich", "scrub", false},
		{"jq", "scrub", "jq", true},
		{"ask ask", "ask", "ask+ ask", false},
		{"ask/x ask/y", "ask/y", "ask/x ask/y+", false},
		{"ask/x ask/y", "ask/y ask/x", "ask/x+ ask/y+", true},
		{"ask/x ask/y", "ask/y ask/z", "ask/x ask/y+", false},
		{"ask/x ask/y", "ask/x ask/z", "ask/x+ ask/z+", true},
		{"ask/x ask/y", "ask/z", "ask/x ask/y", false},
		{"ask/x ask/y", "other/x ask/y", "other/x+ ask/y+", true},
		{"ask/x", "ask/z", "ask/z+", true},
	} {
		of, now := config("old", c.former), config("new", c.present)
		whole := delivery.Renew(&of, &now)
		var got []string
		for _, s := range of.Transforms {
			if s.HTTP == nil {
				got = append(got, "jq")
				continue
			}
			is := s.HTTP.URL
			if told := s.HTTP.Common["told"]; told != "" {
				is += "/" + told
			}
			if s.HTTP.AccessKey == "new" {
				is += "+"
			}
			got = append(got, is)
		}
		if is := strings.Join(got, " "); is != c.want || whole != c.whole {
			t.Errorf("%q, now %q: %q, whole %v", c.former, c.present, is, whole)
		}
	}
}

// The master key of secrets is lost. A delivery stream can be looked at, paused and deleted all the same; with its secrets given anew
// it goes on, with the range that was planned before.
func TestSecretsThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	with := func(secret string) spec.Config {
		return r.toBucket("s", func(c *spec.Config) {
			c.Destination.S3.Endpoint, c.Destination.S3.AccessKey, c.Destination.S3.SecretKey = r.config.S3.Endpoint, r.store.AccessKey, spec.Secret(secret)
		})
	}
	r.must(r.s3.RemoveBucket(t.Context(), r.bucket))
	for _, name := range []string{"d", "doomed"} {
		r.deliver(name, with(r.store.SecretKey))
	}
	r.put("s", "one")
	r.waits("d", "NoSuchBucket")
	_, err := r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "d", From: time.Now().Add(-time.Hour), Prefix: "again/"})
	r.must(err)
	r.kill()
	r.must(r.s3.MakeBucket(t.Context(), r.bucket, minio.MakeBucketOptions{}))
	r.config.Master = masterKeys(t, "z")
	r.start()

	d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
	if err != nil || len(d.Backfills) != 1 {
		t.Fatalf("described: %+v, %v", d, err)
	}
	if all, err := r.broker.ListDeliveries(t.Context(), who, broker.ListDeliveriesRequest{}); err != nil || len(all.Deliveries) != 2 {
		t.Errorf("listed: %+v, %v", all, err)
	}
	r.must(r.broker.DeleteDelivery(t.Context(), who, "doomed"))
	for _, state := range []spec.State{spec.Paused, spec.Active} {
		_, err := r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: spec.Change{State: state}})
		r.must(err)
	}
	kept := with("")
	_, err = r.broker.UpdateDelivery(t.Context(), who, broker.UpdateDeliveryRequest{Delivery: "d", Change: spec.Change{Config: &kept}})
	if fieldOf(err) != "destination.s3.secret_key" || !strings.Contains(err.Error(), "wrapped under master key") {
		t.Errorf("a change without the secret: %v", err)
	}
	_, err = r.broker.BackfillDelivery(t.Context(), who, broker.BackfillDeliveryRequest{Delivery: "d", From: time.Now().Add(-time.Hour), Prefix: "more/"})
	if err == nil {
		t.Error("a backfill was begun without the secret")
	}
	r.update("d", with(r.store.SecretKey))
	r.settled("d", 1)
	r.once(r.lines("data/"), []string{"one"})
	r.clean("d", 1)
	r.until("the backfill is done", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && d.Backfills[0].Done
	})
}

// A secret that cannot be opened is never let go of silently: a change that does not give it is refused.
func TestSecretsAreDemandedAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	config := func(key spec.Secret, first string) spec.Config {
		return spec.Config{
			Source: spec.Source{Stream: "s"}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1},
			Transforms:  []spec.Transform{{Kind: spec.JQ, Query: first}, {Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: "http://127.0.0.1:1/t", AccessKey: key}}},
			Destination: spec.Destination{HTTP: &spec.HTTP{URL: "http://127.0.0.1:1/d", AccessKey: key}},
			Backup:      &spec.Backup{S3: spec.S3{Bucket: r.bucket}, Naming: spec.Naming{Prefix: "failed/"}},
		}
	}
	r.deliver("d", config("key", "."))
	r.kill()
	r.config.Master = masterKeys(t, "z")
	r.start()
	change := config("", ".a")
	change.Source.From = spec.TrimHorizon
	try := func() string {
		c := change
		c.Defaults()
		_, err := r.engine.Update(t.Context(), account, "d", spec.Change{Config: &c})
		if err == nil {
			return "taken"
		}
		return fieldOf(err)
	}
	if field := try(); field != "destination.http.access_key" {
		t.Errorf("without both: %q", field)
	}
	change.Destination.HTTP.AccessKey = "new"
	if field := try(); field != "transforms[1].http.access_key" {
		t.Errorf("without the transform's: %q", field)
	}
	change.Transforms[1].HTTP.AccessKey = "new"
	if field := try(); field != "taken" {
		t.Errorf("with both: %q", field)
	}
}

func text(s *spec.Secret) string {
	if s == nil {
		return "not there"
	}
	return string(*s)
}
