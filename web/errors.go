// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/leatstream/leat"
)

// failure is an error as a page.
type failure struct {
	Status  int
	Title   string
	Message string
	Kind    string
	Request string // its id
	Retry   bool   // it may go away by itself
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
		Retry: kind == leat.KindUnavailable || kind == leat.KindThroughputExceeded || kind == leat.KindInUse,
	}
	name := "error"
	if fragment(r) {
		name = "failed"
	}
	c.show(w, r, s, f.Status, name, &page{Title: f.Title, Body: f})
}

// sendToSignIn asks for a credential. A link on another site brings no cookie along the first time (SameSite=Strict): then
// the page is asked for once more from here, which does.
func (c *Console) sendToSignIn(w http.ResponseWriter, r *http.Request) {
	if fragment(r) {
		page := ""
		if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil {
			page = u.RequestURI()
		}
		w.Header().Set("HX-Redirect", signInLink(nextPath(page)))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		c.show(w, r, nil, http.StatusOK, "again", &page{Title: "One moment", Body: nextPath(r.URL.RequestURI())})
		return
	}
	next := ""
	if r.Method == http.MethodGet {
		next = r.URL.RequestURI()
	}
	http.Redirect(w, r, signInLink(nextPath(next)), http.StatusSeeOther)
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
