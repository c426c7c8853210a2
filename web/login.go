// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// Signing in at an identity provider takes two requests: one sends the browser there, the other is what the browser comes back with. What the second
// must match is in a cookie of its own, sealed, for each sign-in under way: pages that are opened side by side do not undo each other.
const (
	loginPath   = Root + "/signin/oidc"
	loginCookie = "leat_login_" // and the state
	loginLasts  = 10 * time.Minute

	// providerCookie remembers that somebody came by the provider: when their session ends they go there again by themselves, and come back
	// without having noticed while their session there lasts.
	providerCookie = "leat_provider"
	providerLasts  = 30 * 24 * time.Hour
)

// login is a sign-in under way.
type login struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	Next     string `json:"p"` // where to go afterwards
	Ends     int64  `json:"e"` // seconds since 1970
}

// beginLogin sends a browser to the provider.
func (c *Console) beginLogin(w http.ResponseWriter, r *http.Request) {
	l := login{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: nextPath(r.URL.Query().Get("next")), Ends: c.Clock.Now().Add(loginLasts).Unix(),
	}
	to, err := c.Login.Begin(r.Context(), l.State, l.Nonce, l.Verifier)
	if err != nil {
		c.failLogin(w, r, l.Next, err)
		return
	}
	name := loginCookie + l.State
	value, err := c.sessions.sealed(name, l)
	if err != nil {
		c.fail(w, r, nil, err)
		return
	}
	c.setLogin(w, name, value, loginLasts)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// setLogin sets a cookie that comes back with the browser: Lax, since it comes from another site. A lifetime of 0 ends it.
func (c *Console) setLogin(w http.ResponseWriter, name, value string, lasts time.Duration) {
	age := int(lasts.Seconds())
	if age == 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: Root + "/signin", MaxAge: age, HttpOnly: true, Secure: c.Login.Secure(), SameSite: http.SameSiteLaxMode})
}

// endLogin takes a browser back from the provider, and gives it a session if the provider says whose it is.
func (c *Console) endLogin(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := loginCookie + q.Get("state")
	var l login
	if !c.sessions.open(r, name, &l) || !same(l.State, q.Get("state")) || c.Clock.Now().Unix() >= l.Ends {
		c.failLogin(w, r, "", leat.Errorf(leat.KindUnauthenticated, "This sign-in was begun too long ago, or in another browser, or is over already. Begin again."))
		return
	}
	c.setLogin(w, name, "", 0) // a code is good once
	if refused := q.Get("error"); refused != "" {
		c.failLogin(w, r, l.Next, c.Login.Refused(refused, q.Get("error_description")))
		return
	}
	person, err := c.Login.Finish(r.Context(), q.Get("code"), q.Get("iss"), l.Nonce, l.Verifier)
	if err == nil {
		err = c.sessions.write(w, r, ticket{Person: &person})
	}
	if leat.KindOf(err) == leat.KindUnauthenticated {
		c.Failures.Count(auth.Failure{Origin: auth.Origin(r, leat.EdgeConsole, ""), Reason: "what the identity provider answered is not accepted"})
	}
	if err != nil {
		c.failLogin(w, r, l.Next, err)
		return
	}
	c.setLogin(w, providerCookie, "yes", providerLasts)
	// The browser came from another site, so it would not show the new cookie (SameSite=Strict) where it was sent on to from here.
	c.show(w, r, nil, http.StatusOK, "again", &page{Title: "One moment", Body: l.Next})
}

// failLogin says on the page of signing in why the provider's answer did not do. It is not gone to by itself again.
func (c *Console) failLogin(w http.ResponseWriter, r *http.Request, next string, err error) {
	c.setLogin(w, providerCookie, "", 0)
	c.showSignIn(w, r, statusOf(leat.KindOf(err)), signInForm{Next: nextPath(next), Error: told(err)})
}

// again tells whether somebody who came by the provider comes back when their session is over.
func (c *Console) again(r *http.Request) bool {
	if c.Login == nil {
		return false
	}
	known, err := r.Cookie(providerCookie)
	return err == nil && known.Value == "yes"
}

// loginLink is where signing in at the provider begins.
func loginLink(next string) string { return loginPath + "?next=" + url.QueryEscape(next) }
