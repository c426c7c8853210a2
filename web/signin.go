// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// signInForm is the page where people sign in.
type signInForm struct {
	Next     string
	Keys     bool   // access keys can be used
	Provider string // where people can sign in; empty: nowhere
	Login    string // where that begins
	Out      bool   // somebody who came by the provider has signed out
	End      string // where they end their session there too; empty: nowhere
	KeyID    string
	Error    string
}

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	if c.Open {
		http.Redirect(w, r, Root+"/streams", http.StatusSeeOther)
		return
	}
	next := nextPath(r.URL.Query().Get("next"))
	if c.again(r) {
		http.Redirect(w, r, loginLink(next), http.StatusSeeOther)
		return
	}
	f := signInForm{Next: next}
	if c.Login != nil && r.URL.Query().Get("out") == "yes" {
		f.Out, f.End = true, c.Login.End(r.Context())
	}
	c.showSignIn(w, r, http.StatusOK, f)
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request, status int, f signInForm) {
	f.Keys = c.Keys != nil
	if c.Login != nil {
		f.Provider, f.Login = c.Login.Name(), loginLink(f.Next)
	}
	c.show(w, r, nil, status, "signin", &page{Title: "Sign in", Body: f})
}

// signIn takes an access key's id and secret, or a bearer token, and gives a session for it.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	if err := readForm(w, r, maxForm); err != nil {
		c.fail(w, r, nil, err)
		return
	}
	f := signInForm{Next: nextPath(r.PostForm.Get("next")), KeyID: strings.TrimSpace(r.PostForm.Get("key"))}
	t, err := c.try(r, f.KeyID, r.PostForm.Get("secret"), strings.TrimSpace(r.PostForm.Get("bearer")))
	if err == nil {
		err = c.sessions.write(w, r, t)
	}
	if err != nil {
		kind := leat.KindOf(err)
		f.Error = told(err)
		c.showSignIn(w, r, statusOf(kind), f)
		return
	}
	http.Redirect(w, r, f.Next, http.StatusSeeOther)
}

// try checks what somebody signs in with, unless too much that was wrong has come from there.
func (c *Console) try(r *http.Request, id, secret, bearer string) (ticket, error) {
	if bearer == "" && (id == "" || secret == "") {
		return ticket{}, leat.Errorf(leat.KindUnauthenticated, "Give an access key's id and its secret, or a token.")
	}
	from := auth.Origin(r, leat.EdgeConsole, "")
	if err := c.Failures.Check(from); err != nil {
		return ticket{}, err
	}
	t, key, err := c.present(r, id, secret, bearer)
	if leat.KindOf(err) == leat.KindUnauthenticated {
		c.Failures.Count(auth.Failure{Origin: from, Reason: told(err), Account: key.Account, Credential: key.ID})
	}
	return t, err
}

// present checks what somebody signs in with. key is the access key that was named, where there is one.
func (c *Console) present(r *http.Request, id, secret, bearer string) (t ticket, key leat.AccessKey, err error) {
	if bearer != "" {
		t.Bearer = bearer
		_, err := c.check(r.Context(), t)
		return t, key, err
	}
	k, err := c.key(r.Context(), id)
	if err != nil {
		return t, key, err
	}
	if !same(strings.TrimSpace(secret), k.Secret) {
		return t, k.AccessKey, errWrong
	}
	return ticket{Key: id}, k.AccessKey, usable(k)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	to := Root + "/signin"
	if t, ok := c.sessions.read(r); ok && t.Person != nil {
		to += "?out=yes"
	}
	c.sessions.end(w, r) // a sign-out that somebody else brings about does no harm, and other sites cannot
	if c.Login != nil {
		c.setLogin(w, providerCookie, "", 0)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// nextMost is how long the address of a page may be that one comes back to: while somebody signs in it is in a cookie.
const nextMost = 2 << 10

// nextPath is where to go after signing in: a page of the console and nowhere else.
func nextPath(asked string) string {
	u, err := url.Parse(asked)
	if err != nil || len(asked) > nextMost || u.IsAbs() || u.Host != "" || (u.Path != Root && !strings.HasPrefix(u.Path, Root+"/")) || strings.ContainsAny(asked, "\\\r\n") {
		return Root + "/streams"
	}
	return u.RequestURI()
}
