// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/internal/oidctest"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/auth"
)

const (
	operatorToken = "the-operator-of-this-test"
	tenant        = "111111111111"
)

// signedInWorld is a server behind a proxy, where people sign in at a provider on another site.
func signedInWorld(t *testing.T) (w *world, door string, at *oidctest.Issuer) {
	t.Helper()
	at = oidctest.New(t)
	at.Set(func(s *oidctest.State) { s.End = at.URL + "/logout?theme=blue" })
	var target atomic.Pointer[url.URL]
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target.Load())
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	srv := leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) {
		c.Token = operatorToken
		c.OIDC = server.OIDC{
			Issuer: at.URL, Audience: "leat", NameClaim: "email", ClientID: "console", ClientSecret: "s3cret-of-the-console", RedirectURL: proxy.URL + auth.CallbackPath, Scopes: []string{"email"},
			Grants: []string{"groups=admins:operator", "groups=readers:" + tenant + "/reader"},
		}
	}))
	to, err := url.Parse(srv.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	target.Store(to)
	at.Set(func(s *oidctest.State) {
		s.Client = oidctest.Client{ID: "console", Secret: "s3cret-of-the-console", Redirect: proxy.URL + auth.CallbackPath}
		s.Person = map[string]any{"sub": "u-1", "email": "maria@example.com", "groups": []string{"readers"}}
	})
	operator := dialAs(t, srv.Endpoint, "")
	if _, err := operator.Identity.CreateAccount(t.Context(), &leatv1.CreateAccountRequest{AccountId: tenant, Name: "tenant"}); err != nil {
		t.Fatal(err)
	}
	w = &world{srv, dialAs(t, srv.Endpoint, tenant)}
	if _, err := w.client.Identity.PutRole(t.Context(), &leatv1.PutRoleRequest{Name: "reader", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Action":["kinesis:List*","kinesis:Describe*","kinesis:Get*","leat:ListRoles"],"Resource":"*"}}`}); err != nil {
		t.Fatal(err)
	}
	w.create(t, "orders", 2)
	return w, proxy.URL, at
}

func dialAs(t *testing.T, endpoint, account string) *client.Client {
	t.Helper()
	c, err := client.Dial(endpoint, client.WithToken(operatorToken), client.WithAccount(account))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// cookies are those that the visitor's browser would send to a page, by name.
func (v *visitor) cookies(path string) map[string]string {
	u, err := url.Parse(v.root + path)
	if err != nil {
		v.t.Fatal(err)
	}
	all := map[string]string{}
	for _, c := range v.http.Jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

func (v *visitor) forget(name string) {
	u, err := url.Parse(v.root)
	if err != nil {
		v.t.Fatal(err)
	}
	v.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Path: "/console", MaxAge: -1}})
}

func TestSignInAtAProvider(t *testing.T) {
	w, door, at := signedInWorld(t)
	v := newVisitor(t, door)
	host := strings.TrimPrefix(at.URL, "http://")
	v.get("/console/streams/orders/data?x=1").is(t, 200, "Sign in with "+host, "/console/signin/oidc?next=%2Fconsole%2Fstreams%2Forders%2Fdata%3Fx%3D1", "Use an access key")

	const to = "/console/signin/oidc?next=%2Fconsole%2Fstreams%2Forders"
	p := v.get(to)
	p.is(t, 200, "One moment", `url=/console/streams/orders"`)
	used := p.Request.URL.RequestURI()
	if !strings.HasPrefix(used, auth.CallbackPath+"?") || len(v.cookies("/console/signin")) != 2 {
		t.Errorf("signing in ends at %s with cookies %v", used, v.cookies("/console/signin"))
	}
	for _, c := range p.Cookies() {
		strict := c.Name == "leat_session"
		if !c.HttpOnly || strict != (c.SameSite == http.SameSiteStrictMode) || strict && c.MaxAge != 3600 || strings.Contains(c.Value, "maria") {
			t.Errorf("a cookie is %+v", c)
		}
	}
	// The rights are those of the role, and no more: no page of operators, nothing that changes, no cost.
	v.get("/console/streams/orders").is(t, 200, "maria@example.com", "account "+tenant)
	list := v.get("/console/streams")
	list.is(t, 200, "1 stream")
	if strings.Contains(list.body, "Access keys") || strings.Contains(list.body, "Cost this month") {
		t.Errorf("somebody with the role is shown what is not theirs:\n%s", list.body)
	}
	for _, page := range []string{"/console/roles", "/console/streams/orders/access"} {
		p := v.get(page)
		p.is(t, 200, "groups=readers at "+host)
		if strings.Contains(p.body, "groups=admins") {
			t.Errorf("%s tells who the operators are", page)
		}
	}
	v.get("/console/keys").is(t, 403)
	v.get("/console/usage").is(t, 403)
	v.send("/console/streams/new", "/console/streams", url.Values{"name": {"more"}, "mode": {"ON_DEMAND"}, "retention": {"24"}, "max_record": {"1"}}).is(t, 403, "is not authorized to perform: kinesis:CreateStream")
	v.ask(http.MethodPost, "/console/sample", url.Values{}).is(t, 403, "another session")

	// What the provider sent back is good once, in that browser, for that sign-in.
	v.get(used).is(t, 401, "begun too long ago, or in another browser")
	newVisitor(t, door).get(used).is(t, 401, "begun too long ago, or in another browser")
	v.get(auth.CallbackPath).is(t, 401, "Begin again")
	forged := newVisitor(t, door)
	forged.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == auth.CallbackPath {
			return http.ErrUseLastResponse
		}
		return nil
	}
	mine := forged.get(to)
	if back, err := mine.Location(); err != nil {
		t.Error(err)
	} else {
		q := back.Query()
		q.Set("state", q.Get("state")+"x")
		forged.get(auth.CallbackPath+"?"+q.Encode()).is(t, 401, "Begin again")
		q = back.Query()
		q.Set("iss", "https://evil.example")
		forged.get(auth.CallbackPath+"?"+q.Encode()).is(t, 401, "could not be completed")
	}

	// A session that is over is renewed at the provider without a word, and goes on where it was.
	v.get(to).is(t, 200, "One moment")
	v.forget("leat_session")
	v.get("/console/roles").is(t, 200, "One moment", "url=/console/roles")
	part := v.get("/console/streams", header("HX-Request", "true"), header("HX-Current-URL", door+"/console/streams?q=x"))
	part.is(t, 200)
	v.forget("leat_session")
	part = v.get("/console/streams", header("HX-Request", "true"), header("HX-Current-URL", door+"/console/streams?q=x"))
	if part.StatusCode != 401 || part.Header.Get("HX-Redirect") != "/console/signin?next=%2Fconsole%2Fstreams%3Fq%3Dx" {
		t.Errorf("a part of a page for nobody answers %s to %q", part.Status, part.Header.Get("HX-Redirect"))
	}
	// Whoever signs out stays out.
	v.get(to).is(t, 200, "One moment")
	out := v.ask(http.MethodPost, "/console/signout", url.Values{})
	out.is(t, 200, "Sign in to Leat", "You are signed out of Leat.", `<a href="`+at.URL+`/logout?client_id=console&amp;theme=blue" rel="noreferrer">Sign out at `+host+` too</a>`)
	if again := v.get("/console/signin"); strings.Contains(again.body, "You are signed out") {
		t.Error("somebody who has not signed out is told that they have")
	}
	byKey := newVisitor(t, door)
	byKey.ask(http.MethodPost, "/console/signin", url.Values{"bearer": {operatorToken}}).is(t, 200, "orders")
	if gone := byKey.ask(http.MethodPost, "/console/signout", url.Values{}); strings.Contains(gone.body, "Sign out at") {
		t.Error("somebody who came with a token is sent to the provider to sign out")
	}
	v.get("/console/roles").is(t, 200, "Sign in to Leat")

	// After signing in one goes to a page of the console and nowhere else.
	v.get("/console/signin/oidc?next=https://evil.example/x").is(t, 200, "url=/console/streams")

	at.Set(func(s *oidctest.State) { s.Person = map[string]any{"sub": "u-2", "groups": []string{"admins"}} })
	v.get(to).is(t, 200, "One moment")
	v.get("/console/nodes").is(t, 200, "u-2", "leader")
	operator := dialAs(t, w.Endpoint, "")
	if _, err := operator.Streams.CreateStream(t.Context(), &leatv1.CreateStreamRequest{Stream: "own", ShardCount: 1}); err != nil {
		t.Fatal(err)
	}
	(&world{w.Server, operator}).active(t, "own")
	v.get("/console/streams/own/access").is(t, 200, "groups=admins at "+host)
	if keys := v.get("/console/streams"); !strings.Contains(keys.body, "Cost this month") {
		t.Error("an operator is not shown what streams cost")
	}
}

func TestSignInAtAProviderFails(t *testing.T) {
	_, door, at := signedInWorld(t)
	v := newVisitor(t, door)
	const to = "/console/signin/oidc?next=%2Fconsole%2Froles"
	for about, c := range map[string]struct {
		state  func(*oidctest.State)
		status int
		says   string
	}{
		"the person says no": {func(s *oidctest.State) { s.Error = "access_denied" }, 403, "said no"},
		"something else":     {func(s *oidctest.State) { s.Error = "<script>window.pwned=1</script>" }, 403, "&lt;script&gt;"},
		"not now":            {func(s *oidctest.State) { s.Error = "temporarily_unavailable" }, 503, "try again in a moment"},
		"nothing granted":    {func(s *oidctest.State) { s.Person = map[string]any{"sub": "u-3", "email": "otto@example.com"} }, 403, "knows you as otto@example.com, but nothing on this server is granted"},
		"a token that fails": {func(s *oidctest.State) { s.Fails = 503 }, 503, "cannot be asked now"},
		"another nonce":      {func(s *oidctest.State) { s.Change = func(c map[string]any) { c["nonce"] = "x" } }, 401, "could not be completed"},
	} {
		t.Run(about, func(t *testing.T) {
			before := at.State()
			at.Set(c.state)
			defer at.Set(func(s *oidctest.State) { *s = before })
			p := v.get(to)
			p.is(t, c.status, c.says, "Sign in with", "next=%2Fconsole%2Froles")
			if strings.Contains(p.body, "<script>window") {
				t.Error("what the provider said is markup on the page")
			}
			if all := v.cookies("/console/signin"); len(all) != 0 {
				t.Errorf("it leaves cookies %v", all)
			}
		})
	}
}

func TestSignInAtAProviderInABrowser(t *testing.T) {
	_, door, at := signedInWorld(t)
	at.Set(func(s *oidctest.State) { s.Ask = true })
	b := newBrowser(t, door)
	each(t, func(t *testing.T, width int64, theme, suffix string) {
		b.t = t
		b.view(width, theme)
		b.open("/console/streams/orders")
		b.wants("Sign in to Leat", "Sign in with localhost", "Use an access key", "Use a token")
		b.fits()
		b.accessible()
		b.shot("signin-provider-" + suffix)
		away := func(answer string) {
			b.do("to the provider", chromedp.Click(chromedp.CSS("a.primary")))
			b.until("the provider asks", `document.title === "Provider"`)
			b.do("answer", chromedp.Click(chromedp.CSS("#"+answer)))
			b.until("back", `location.host !== new URL("`+at.URL+`").host && document.readyState === "complete" && document.title !== "One moment · Leat"`)
		}
		away("no")
		b.wants("said no", "Sign in with localhost")
		b.fits()
		b.accessible()
		b.shot("signin-refused-" + suffix)
		b.quiet("status of 403")
		away("yes")
		if got := b.script("location.pathname"); got != "/console/streams/orders" {
			t.Errorf("signing in leads to %s", got)
		}
		b.wants("orders", "2 open shards")
		b.quiet("status of 403")
		b.press("form[action='/console/signout'] button")
		b.wants("Sign in to Leat")
	})
}
