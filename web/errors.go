// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/leatstream/leat"
)

// failure is an error as a page.
type failure struct {
	Status  int
	Title   string
	Message string
	Kind    string
	Request string // its id
	Retry   bool   // it may go away by itself, and asking again does nothing else
	Back    string // the page whose form it was; empty: none
	SignIn  string // where one signs in and comes back; empty: that is not what is wrong
}

var titles = map[leat.Kind]string{
	leat.KindInternal:           "Something went wrong here",
	leat.KindInvalidArgument:    "That cannot be done",
	leat.KindNotFound:           "Not found",
	leat.KindInUse:              "Not now",
	leat.KindLimitExceeded:      "That is over a limit",
	leat.KindThroughputExceeded: "Too much at once",
	leat.KindExpiredIterator:    "This page is too old to go on from",
	leat.KindExpiredToken:       "This page is too old to go on from",
	leat.KindUnauthenticated:    "Sign in",
	leat.KindAccessDenied:       "You may not do that",
	leat.KindUnsupported:        "That is not built yet",
	leat.KindUnavailable:        "This node cannot answer now",
	leat.KindUnknownOutcome:     "It is not known whether that was done",
	leat.KindCorrupt:            "Stored data fails its checks",
	leat.KindCanceled:           "Stopped",
}

var statuses = map[leat.Kind]int{
	leat.KindInternal:           http.StatusInternalServerError,
	leat.KindInvalidArgument:    http.StatusBadRequest,
	leat.KindNotFound:           http.StatusNotFound,
	leat.KindInUse:              http.StatusConflict,
	leat.KindLimitExceeded:      http.StatusTooManyRequests,
	leat.KindThroughputExceeded: http.StatusTooManyRequests,
	leat.KindExpiredIterator:    http.StatusGone,
	leat.KindExpiredToken:       http.StatusGone,
	leat.KindUnauthenticated:    http.StatusUnauthorized,
	leat.KindAccessDenied:       http.StatusForbidden,
	leat.KindUnsupported:        http.StatusNotImplemented,
	leat.KindUnavailable:        http.StatusServiceUnavailable,
	leat.KindUnknownOutcome:     http.StatusInternalServerError,
	leat.KindCorrupt:            http.StatusInternalServerError,
	leat.KindCanceled:           http.StatusRequestTimeout,
}

func statusOf(k leat.Kind) int {
	if s, ok := statuses[k]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// told is what a person is told of an error: never more than its message, and of a fault of Leat's own nothing.
func told(err error) string {
	var e *leat.Error
	if !errors.As(err, &e) || e.Kind == leat.KindInternal || e.Message == "" {
		return "The server met a fault of its own. It is in this node's log."
	}
	return e.Message
}

// fieldOf is the member of the request that an error is about.
func fieldOf(err error) string {
	var e *leat.Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}

// keepsForm tells whether an error is said beside the form that met it, which keeps what was typed. What else fails has a page of its own.
func keepsForm(err error) bool {
	switch leat.KindOf(err) {
	case leat.KindInvalidArgument, leat.KindInUse, leat.KindLimitExceeded, leat.KindAccessDenied, leat.KindThroughputExceeded, leat.KindUnavailable, leat.KindUnsupported:
		return true
	}
	return false
}

// fail answers with an error. Who is not signed in is sent to sign in.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, s *session, err error) {
	kind := leat.KindOf(err)
	if kind == leat.KindInternal || kind == leat.KindCorrupt {
		c.Logger.ErrorContext(r.Context(), "console: request failed", "path", r.URL.Path, "request_id", requestID(r), "error", err)
	}
	c.Tracer.Current(r.Context()).Fail(kind)
	if errors.Is(err, errSignIn) {
		c.sendToSignIn(w, r)
		return
	}
	f := failure{
		Status: statusOf(kind), Title: titles[kind], Message: told(err), Kind: kind.String(), Request: requestID(r),
		Retry: r.Method == http.MethodGet && (kind == leat.KindUnavailable || kind == leat.KindThroughputExceeded || kind == leat.KindInUse),
	}
	if r.Method != http.MethodGet {
		f.Back = formPage(r)
	}
	name := "error"
	if fragment(r) {
		name = "failed"
	}
	c.show(w, r, s, f.Status, name, &page{Title: f.Title, Body: f})
}

// sendToSignIn asks for a credential. A link on another site brings no cookie along the first time (SameSite=Strict): then
// the page is asked for once more from here, which does. A form that comes too late is answered, since what was typed is lost
// and was not done; and what a form asks for while somebody fills it in takes nobody away from it.
func (c *Console) sendToSignIn(w http.ResponseWriter, r *http.Request) {
	switch {
	case fragment(r):
		if !helpsForm(r) {
			page := ""
			if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil {
				page = u.RequestURI()
			}
			w.Header().Set("HX-Redirect", signInLink(nextPath(page)))
		}
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		f := failure{
			Status: http.StatusUnauthorized, Title: "You were signed out", Message: "Your session ended before this form arrived, so nothing was done. Sign in and send it again.",
			Kind: leat.KindUnauthenticated.String(), Request: requestID(r), SignIn: signInLink(nextPath(formPage(r))),
		}
		c.show(w, r, nil, f.Status, "error", &page{Title: f.Title, Body: f})
	case r.Header.Get("Sec-Fetch-Site") == "cross-site":
		c.show(w, r, nil, http.StatusOK, "again", &page{Title: "One moment", Body: nextPath(r.URL.RequestURI())})
	default:
		http.Redirect(w, r, signInLink(nextPath(r.URL.RequestURI())), http.StatusSeeOther)
	}
}

// helpsForm tells whether a part of a page is asked for while somebody fills in a form.
func helpsForm(r *http.Request) bool {
	return r.URL.Path == Root+"/estimate" || strings.HasSuffix(r.URL.Path, "/which")
}

// formPage is the page that a form was on, as far as the browser tells; empty where it does not.
func formPage(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || u.Host != r.Host {
		return ""
	}
	return nextPath(u.RequestURI())
}

// signInLink is where one signs in and goes on to a page.
func signInLink(next string) string {
	if next == Root+"/streams" {
		return Root + "/signin"
	}
	return Root + "/signin?next=" + url.QueryEscape(next)
}

// fragment tells whether a part of a page is asked for by script.
func fragment(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }
