// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/test/e2e/rig"
)

func TestSignIn(t *testing.T) {
	backend := rig.SharedBackend(t)
	file := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(file, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	n := rig.Serve(t, "n1", backend, "--master-key-file", file)
	n.Start(t)
	env := append(backend.Env(), "LEAT_ENDPOINT="+n.GRPC)
	var key struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(rig.Must(t, env, "key", "create", "maria", "-o", "json")), &key); err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, "http://"+n.HTTP)

	v.get("/console/streams").is(t, 200, "Sign in to Leat")
	if p := v.get("/console/streams/orders/settings?x=1"); p.Request.URL.Query().Get("next") != "/console/streams/orders/settings?x=1" {
		t.Errorf("after signing in one goes to %s", p.Request.URL)
	}
	again := v.get("/console/streams/orders", header("Sec-Fetch-Site", "cross-site"))
	again.is(t, 200, `http-equiv="refresh"`, `url=/console/streams/orders`)
	part := v.get("/console/streams", header("HX-Request", "true"))
	if part.StatusCode != 401 || part.Header.Get("HX-Redirect") != "/console/signin" {
		t.Errorf("a part of a page for nobody answers %s to %q", part.Status, part.Header.Get("HX-Redirect"))
	}

	in := func(form url.Values) page { return v.ask(http.MethodPost, "/console/signin", form) }
	in(url.Values{"key": {key.ID}, "secret": {"wrong"}}).is(t, 401, "not a credential of this server")
	in(url.Values{"key": {"LEAKNOSUCHKEY0000000"}, "secret": {key.Secret}}).is(t, 401, "not a credential of this server")
	in(url.Values{"bearer": {"wrong-wrong-wrong-wrong"}}).is(t, 401, "the credential is wrong")
	in(url.Values{}).is(t, 401, "Give an access key")

	p := in(url.Values{"key": {key.ID}, "secret": {key.Secret}, "next": {"https://evil.example/x"}})
	p.is(t, 200, "No streams yet", "maria")
	if p.Request.URL.Path != "/console/streams" {
		t.Errorf("signing in leads to %s", p.Request.URL)
	}
	cookie := signedCookie(t, n.HTTP, key.ID, key.Secret)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/console" || cookie.MaxAge <= 0 {
		t.Errorf("the session's cookie is %+v", cookie)
	}
	for _, secret := range []string{key.ID, key.Secret, "maria"} {
		if strings.Contains(cookie.Value, secret) {
			t.Errorf("the session's cookie has %q in it", secret)
		}
	}

	// A cookie that was changed by one letter is nobody's.
	forged := newVisitor(t, "http://"+n.HTTP)
	flip := []byte(cookie.Value)
	flip[20] ^= 1
	forged.get("/console/streams", header("Cookie", cookie.Name+"="+string(flip))).is(t, 200, "Sign in to Leat")
	forged.get("/console/streams", header("Cookie", cookie.Name+"="+cookie.Value)).is(t, 200, "No streams yet")

	// A key that is disabled is out at once.
	rig.Must(t, env, "key", "disable", key.ID)
	v.get("/console/streams").is(t, 200, "Sign in to Leat")
	in(url.Values{"key": {key.ID}, "secret": {key.Secret}}).is(t, 401, "is disabled")
	in(url.Values{"key": {key.ID}, "secret": {"wrong"}}).is(t, 401, "not a credential of this server") // it is not told to everybody

	in(url.Values{"bearer": {backend.Token}}).is(t, 200, "No streams yet", "bootstrap")
	v.ask(http.MethodPost, "/console/signout", url.Values{}).is(t, 200, "Sign in to Leat")
	v.get("/console/streams").is(t, 200, "Sign in to Leat")
	if log := n.Log(); strings.Contains(log, key.Secret) || strings.Contains(log, backend.Token) {
		t.Error("the log has a secret")
	}
}

// signedCookie signs in and returns the session's cookie as it was set.
func signedCookie(t *testing.T, addr, id, secret string) *http.Cookie {
	t.Helper()
	v := newVisitor(t, "http://"+addr)
	v.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, c := range v.ask(http.MethodPost, "/console/signin", url.Values{"key": {id}, "secret": {secret}}).Cookies() {
		if c.Name == "leat_session" {
			return c
		}
	}
	t.Fatal("signing in sets no session cookie")
	return nil
}

// Who is not signed in sends little: a large form is refused before it has arrived.
func TestLargeFormsOfNobodyAreRefused(t *testing.T) {
	w := newWorld(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.HTTP, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	head := "POST /console/signin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 33554431\r\n\r\n"
	if _, err := io.WriteString(conn, head+"secret="+strings.Repeat("x", 100<<10)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal("it is waited for the rest:", err)
	}
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("the answer is %s", res.Status)
	}
	// A record may be large.
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	const at = "/console/streams/orders/data"
	v.send(at, at, url.Values{"key": {"k"}, "data": {strings.Repeat("x", 200<<10)}}).is(t, 200, "The record is durable")
}

// Who may only read looks at records, and has no filter run: that is for those whom the server trusts with programs.
func TestReadersRunNoFilters(t *testing.T) {
	w := newSignedWorld(t)
	w.create(t, "orders", 1)
	w.putOne(t, "orders", "k", []byte(`{"n":"one"}`))
	const at = "/console/streams/orders/data"
	reader := w.as(t, `{"Effect":"Allow","Action":["kinesis:*"],"Resource":"*"}`)
	p := reader.get(at)
	p.is(t, 200, "&#34;n&#34;")
	if strings.Contains(p.body, `name="jq"`) || strings.Contains(reader.get("/console/streams/orders/tail").body, `name="jq"`) {
		t.Error("a filter is offered")
	}
	reader.get(at+"?jq=.n").is(t, 403, "firehose:CreateDeliveryStream")
	trusted := w.as(t, `{"Effect":"Allow","Action":["kinesis:*","firehose:*"],"Resource":"*"}`)
	trusted.get(at).is(t, 200, `name="jq"`)
	trusted.get(at+"?jq=.n").is(t, 200, "JSON, filtered")
}

// A form that comes after its session has ended is answered, and what it asks for while it is filled in takes nobody away.
func TestFormsOfEndedSessions(t *testing.T) {
	w := newSignedWorld(t)
	v := w.as(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	form := v.get("/console/streams/new")
	v.ask(http.MethodPost, "/console/signout", url.Values{})
	late := func() url.Values {
		return url.Values{"token": {tokenField.FindStringSubmatch(form.body)[1]}, "name": {"late"}, "mode": {"ON_DEMAND"}, "retention": {"24"}, "max_record": {"1"}}
	}
	p := v.ask(http.MethodPost, "/console/streams", late(), header("Referer", w.HTTP+"/console/streams/new?x=1"))
	p.is(t, 401, "You were signed out", "nothing was done", `href="/console/signin?next=%2Fconsole%2Fstreams%2Fnew%3Fx%3D1"`)
	v.ask(http.MethodPost, "/console/streams", late(), header("Referer", "https://evil.example/console/streams/new")).is(t, 401, `href="/console/signin"`)
	for path, to := range map[string]string{"/console/estimate?mode=ON_DEMAND": "", "/console/streams/orders/which?key=k": "", "/console/streams": "/console/signin?next=%2Fconsole%2Fusage"} {
		part := v.get(path, header("HX-Request", "true"), header("HX-Current-URL", w.HTTP+"/console/usage"))
		if part.StatusCode != http.StatusUnauthorized || part.Header.Get("HX-Redirect") != to {
			t.Errorf("%s answers %s and leads to %q", path, part.Status, part.Header.Get("HX-Redirect"))
		}
	}
}

// What fails keeps its form, or leads back to it: nothing asks for the address of a form that was sent.
func TestFailedFormsLeadBack(t *testing.T) {
	w := newSignedWorld(t)
	w.create(t, "orders", 1)
	v := w.as(t, `{"Effect":"Allow","Action":["kinesis:Describe*","kinesis:List*"],"Resource":"*"}`)
	v.send("/console/streams/new", "/console/streams", url.Values{"name": {"mine"}, "mode": {"ON_DEMAND"}, "retention": {"48"}, "max_record": {"1"}}).
		is(t, 403, "is not authorized to perform", `value="mine"`, `value="48"`)
	const at = "/console/streams/orders"
	v.send(at+"/settings", at+"/settings", url.Values{"mode": {"PROVISIONED"}, "target": {"1"}, "retention": {"48"}, "max_record": {"1024"}, "warm": {"0"}}).
		is(t, 403, "is not authorized to perform", `value="48"`)
	v.send(at+"/consumers", at+"/consumers", url.Values{"name": {"billing"}}).is(t, 403, "is not authorized to perform", `value="billing"`)
	token := url.Values{"token": {tokenField.FindStringSubmatch(v.get(at + "/settings").body)[1]}, "name": {"team"}, "value": {"pay"}}
	p := v.ask(http.MethodPost, at+"/tags", token, header("Referer", w.HTTP+at+"/settings"))
	p.is(t, 403, "You may not do that", `href="`+at+`/settings">Go back`)
	if strings.Contains(p.body, "Try again") {
		t.Error("a form is tried again by asking for its address")
	}
}

// Who may not read records sees that keys are hot, and not which.
func TestHotKeysAreForReaders(t *testing.T) {
	w := newSignedWorld(t)
	w.create(t, "orders", 1)
	for range 50 {
		w.putOne(t, "orders", "customer-4711", []byte("x"))
	}
	const at = "/console/streams/orders/shards"
	w.as(t, `{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}`).until(at, "customer-4711")
	v := w.as(t, `{"Effect":"Allow","Action":["kinesis:Describe*","kinesis:List*"],"Resource":"*"}`)
	for _, path := range []string{at, at + "/0"} {
		p := v.get(path)
		p.is(t, 200, "Hot keys", "for who may read records")
		if strings.Contains(p.body, "customer-4711") {
			t.Errorf("%s tells a key", path)
		}
	}
}

// newSignedWorld is a server where people sign in.
func newSignedWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) { c.Token = "token-of-the-operator" }))}
	c, err := client.Dial(w.Endpoint, client.WithToken("token-of-the-operator"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	w.client = c
	return w
}

// as is somebody who is signed in with a role of one statement.
func (w *world) as(t *testing.T, statement string) *visitor {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	role := strings.ToLower(rand.Text())
	if _, err := w.client.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: role, Policy: `{"Version":"2012-10-17","Statement":` + statement + `}`}); err != nil {
		t.Fatal(err)
	}
	made, err := w.client.Identity.CreateToken(ctx, &leatv1.CreateTokenRequest{Name: "somebody", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, w.HTTP)
	v.ask(http.MethodPost, "/console/signin", url.Values{"bearer": {made.GetSecret()}}).is(t, 200, "somebody")
	return v
}
