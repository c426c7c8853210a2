// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// visitor asks for pages as a browser without script does.
type visitor struct {
	t    *testing.T
	http *http.Client
	root string
}

// page is an answer.
type page struct {
	*http.Response
	body string
}

func newVisitor(t *testing.T, root string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, &http.Client{Jar: jar, Timeout: patience}, root}
}

// ask sends a request; change may alter it.
func (v *visitor) ask(method, path string, form url.Values, change ...func(*http.Request)) page {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.root+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(r)
	}
	res, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return page{res, string(b)}
}

func (v *visitor) get(path string, change ...func(*http.Request)) page {
	v.t.Helper()
	return v.ask(http.MethodGet, path, nil, change...)
}

var (
	tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)
	wasField   = regexp.MustCompile(`name="(was_[a-z_]+)" value="([^"]*)"`)
)

// send posts a form with what a page has hidden in it: its token, and what its fields had in them.
func (v *visitor) send(from, path string, form url.Values) page {
	v.t.Helper()
	return v.sendFrom(v.get(from), path, form)
}

// sendFrom posts a form of a page that was got before.
func (v *visitor) sendFrom(from page, path string, form url.Values) page {
	v.t.Helper()
	m := tokenField.FindStringSubmatch(from.body)
	if m == nil {
		v.t.Fatalf("%s has no form token", from.Request.URL)
	}
	form.Set("token", m[1])
	for _, m := range wasField.FindAllStringSubmatch(from.body, -1) {
		form.Set(m[1], m[2])
	}
	return v.ask(http.MethodPost, path, form)
}

// link is the first link on a page whose address begins so.
func (v *visitor) link(path, begins string) string {
	v.t.Helper()
	p := v.get(path)
	m := regexp.MustCompile(`href="(` + regexp.QuoteMeta(begins) + `[^"]+)"`).FindStringSubmatch(p.body)
	if m == nil {
		v.t.Fatalf("%s has no link to %s:\n%s", path, begins, p.body)
	}
	return html.UnescapeString(m[1])
}

func (p page) is(t *testing.T, status int, texts ...string) {
	t.Helper()
	if p.StatusCode != status {
		t.Errorf("%s %s answers %s: want %d\n%.1500s", p.Request.Method, p.Request.URL, p.Status, status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("%s %s does not say %q:\n%.3000s", p.Request.Method, p.Request.URL, text, p.body)
		}
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestStreamsWithoutScript(t *testing.T) {
	w := newWorld(t)
	v := newVisitor(t, w.HTTP)
	v.get("/console").is(t, 200, "No streams yet")

	v.send("/console/streams/new", "/console/streams", url.Values{"name": {"no good"}, "mode": {"PROVISIONED"}, "shards": {"2"}, "retention": {"24"}, "max_record": {"1"}}).
		is(t, 400, "stream name &#34;no good&#34; must be", `value="no good"`)
	v.send("/console/streams/new", "/console/streams", url.Values{"name": {"orders"}, "mode": {"PROVISIONED"}, "shards": {"x"}, "retention": {"24"}, "max_record": {"1"}}).
		is(t, 400, "is not a whole number")
	v.send("/console/streams/new", "/console/streams", url.Values{"name": {"orders"}, "mode": {"PROVISIONED"}, "shards": {"3"}, "retention": {"48"}, "max_record": {"2"}}).
		is(t, 200, "orders", "The stream was created", "2 d", "2.00 MiB", "3 open shards")
	w.active(t, "orders")
	v.send("/console/streams/new", "/console/streams", url.Values{"name": {"orders"}, "mode": {"ON_DEMAND"}, "retention": {"24"}, "max_record": {"1"}}).
		is(t, 409, "orders under account 000000000000 already exists")

	v.get("/console/streams?q=ORD").is(t, 200, "1 of 1 stream", `href="/console/streams/orders"`)
	part := v.get("/console/streams?q=zzz", header("HX-Request", "true"), header("HX-Target", "rows"))
	part.is(t, 200, "Nothing is called that")
	if strings.Contains(part.body, "<html") {
		t.Error("a part of a page is a whole page")
	}

	const at = "/console/streams/orders"
	v.send(at+"/settings", at+"/settings", url.Values{"mode": {"PROVISIONED"}, "target": {"3"}, "retention": {"10"}, "max_record": {"2048"}, "warm": {"0"}}).
		is(t, 400, "Minimum allowed retention period is 24 hours")
	v.send(at+"/settings", at+"/settings", url.Values{"mode": {"ON_DEMAND"}, "target": {"3"}, "retention": {"72"}, "max_record": {"4096"}, "warm": {"0"}}).
		is(t, 200, "The settings were changed", `value="72"`, `value="4096"`)
	v.send(at+"/settings", at+"/tags", url.Values{"name": {"team"}, "value": {"pay"}}).is(t, 200, "The tags were changed", "pay")
	v.send(at+"/settings", at+"/tags", url.Values{"remove": {"team"}}).is(t, 200, "No tags")
	v.send(at+"/settings", at+"/encryption", url.Values{"encrypt": {"on"}}).is(t, 200, "Records are encrypted from now on", "alias/aws/kinesis")
	w.active(t, "orders")
	v.send(at+"/settings", at+"/encryption", url.Values{"encrypt": {"off"}}).is(t, 200, "Records are no longer encrypted")

	v.send(at+"/delete", at+"/delete", url.Values{"name": {"order"}}).is(t, 400, "nothing was deleted")
	v.get(at).is(t, 200)
	v.send(at+"/delete", at+"/delete", url.Values{"name": {"orders"}}).is(t, 200, "The stream is being deleted")
}

// Who saves settings changes what they have touched, and nothing that somebody else did since they opened the page.
func TestSettingsOfTwo(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.client.Streams.UpdateStream(ctx, &leatv1.UpdateStreamRequest{Stream: "orders", Settings: &leatv1.StreamSettings{MaxRecordBytes: 1536 << 10}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"max_record_bytes"}}})
	if err != nil {
		t.Fatal(err)
	}
	const at = "/console/streams/orders/settings"
	v := newVisitor(t, w.HTTP)
	form := func(change ...string) url.Values { // as a browser sends it that got the page before anybody changed it
		f := url.Values{"mode": {"PROVISIONED"}, "target": {"2"}, "retention": {"24"}, "max_record": {"1536"}, "warm": {"0"}}
		for i := 0; i < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	is := func(hours int32, size int64, shards int32) {
		t.Helper()
		res, err := w.client.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: "orders"})
		if err != nil {
			t.Fatal(err)
		}
		if s := res.GetStream(); s.GetRetentionHours() != hours || s.GetMaxRecordBytes() != size || s.GetOpenShardCount() != shards {
			t.Errorf("the stream is %v: want %d hours, %d bytes, %d shards", s, hours, size, shards)
		}
	}
	old := v.get(at)
	v.sendFrom(old, at, form("retention", "168")).is(t, 200, "The settings were changed")
	is(168, 1536<<10, 2)
	v.sendFrom(old, at, form("target", "3")).is(t, 200, "The settings were changed")
	w.active(t, "orders")
	is(168, 1536<<10, 3)
	v.sendFrom(old, at, form("max_record", "2048")).is(t, 200, "The settings were changed", `name="retention" type="number" min="24" max="8760" value="168"`)
	is(168, 2048<<10, 3)
	// What was changed meanwhile is not changed again unseen; what was typed is kept, the rest is as it is.
	p := v.sendFrom(old, at, form("retention", "48"))
	p.is(t, 409, "how long records are kept was changed to 168", `value="48"`, `name="was_retention" value="168"`, `value="2048"`)
	is(168, 2048<<10, 3)
	// Half of it is done: the page says which.
	v.send(at, at, form("retention", "200", "max_record", "2048", "target", "20000")).is(t, 400, "everything else was", `value="200"`, `value="20000"`)
	is(200, 2048<<10, 3)
}

// A form from elsewhere changes nothing.
func TestForgedFormsAreRefused(t *testing.T) {
	w := newWorld(t)
	v := newVisitor(t, w.HTTP)
	form := func() url.Values {
		return url.Values{"name": {"forged"}, "mode": {"ON_DEMAND"}, "retention": {"24"}, "max_record": {"1"}}
	}
	v.ask(http.MethodPost, "/console/streams", form()).is(t, 403, "from another session")
	good := form()
	good.Set("token", tokenField.FindStringSubmatch(v.get("/console/streams/new").body)[1])
	v.ask(http.MethodPost, "/console/streams", good, header("Sec-Fetch-Site", "cross-site")).is(t, 403, "came from another site")
	v.ask(http.MethodPost, "/console/streams", good, header("Origin", "https://evil.example")).is(t, 403, "came from another site")
	// A name that somebody else's DNS points here, with everything else right.
	v.ask(http.MethodPost, "/console/streams", good, func(r *http.Request) { r.Host = "evil.example:4567" }).is(t, 403, "not as &#34;evil.example:4567&#34;")
	v.get("/console/streams").is(t, 200, "No streams yet")
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	v := newVisitor(t, w.HTTP)
	for _, path := range []string{"/console/streams", "/console/streams/none", "/console/no/such/page"} {
		p := v.get(path)
		csp := p.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %q", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy %q has something unsafe", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := p.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q: want %q", path, name, got, want)
			}
		}
		inline := regexp.MustCompile(`(?i)<script(?:[^>]*src=)?[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
		for _, m := range inline.FindAllString(p.body, -1) {
			t.Errorf("%s has %q in the page", path, m)
		}
	}
	v.get("/console/no/such/page").is(t, 404, "There is no page /console/no/such/page")
	asset := regexp.MustCompile(`/console/static/[^"]+/console\.css`).FindString(v.get("/console/streams").body)
	p := v.get(asset)
	p.is(t, 200, "--accent")
	if got := p.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("%s is kept %q", asset, got)
	}
}
