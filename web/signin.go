// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/leatstream/leat"
)

// signInForm is the page where people sign in.
type signInForm struct {
	Next     string
	Keys     bool   // access keys can be used
	Provider string // where people can sign in; empty: nowhere
	Login    string // where that begins
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
	c.showSignIn(w, r, http.StatusOK, signInForm{Next: next})
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
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, nil, leat.Invalid("form", "The form cannot be read: %v", err))
		return
	}
	f := signInForm{Next: nextPath(r.PostForm.Get("next")), KeyID: strings.TrimSpace(r.PostForm.Get("key"))}
	t, err := c.present(r, f.KeyID, r.PostForm.Get("secret"), strings.TrimSpace(r.PostForm.Get("bearer")))
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

// present checks what somebody signs in with.
func (c *Console) present(r *http.Request, id, secret, bearer string) (ticket, error) {
	switch {
	case bearer != "":
		t := ticket{Bearer: bearer}
		_, err := c.check(r.Context(), t)
		return t, err
	case id == "" || secret == "":
		return ticket{}, leat.Errorf(leat.KindUnauthenticated, "Give an access key's id and its secret, or a token.")
	}
	key, err := c.key(r.Context(), id)
	if err != nil {
		return ticket{}, err
	}
	if !same(strings.TrimSpace(secret), key.Secret) {
		return ticket{}, errWrong
	}
	return ticket{Key: id}, nil
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	c.sessions.end(w, r) // a sign-out that somebody else brings about does no harm, and other sites cannot
	if c.Login != nil {
		c.setLogin(w, providerCookie, "", 0)
	}
	http.Redirect(w, r, Root+"/signin", http.StatusSeeOther)
}

// nextPath is where to go after signing in: a page of the console and nowhere else.
func nextPath(asked string) string {
	u, err := url.Parse(asked)
	if err != nil || u.IsAbs() || u.Host != "" || (u.Path != Root && !strings.HasPrefix(u.Path, Root+"/")) || strings.ContainsAny(asked, "\\\r\n") {
		return Root + "/streams"
	}
	return u.RequestURI()
}
