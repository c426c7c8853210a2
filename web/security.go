// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// policy is the content security policy of every answer: this package's own files and nothing else, in particular no script
// or style in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Bounds of what a request may send, and of how long its answer may take to be taken in.
const (
	maxForm       = 64 << 10
	maxRecordForm = 32 << 20        // a record of 10 MiB, escaped; of those who are signed in alone
	answerTime    = 2 * time.Minute // for an answer, or a piece of a long one
)

// putPattern is what a record is put with.
const putPattern = "POST " + stream + "/data"

// readForm reads a form of up to most bytes.
func readForm(w http.ResponseWriter, r *http.Request, most int64) error {
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if err := r.ParseForm(); err != nil {
		return leat.Invalid("form", "The form cannot be read: %v", err)
	}
	return nil
}

// answers begins the time that what is written next may take to be taken in. net/http ends it with the request.
func answers(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime)) // where there is none, as in tests, there is no risk
}

// guarded puts around every request what keeps others' pages out: headers, origin, host. How long its body may take the server bounds.
func (c *Console) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		h.Set("Cache-Control", "no-store")
		id := rand.Text()
		h.Set(requestIDHeader, id)
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
					panic(p)
				}
				c.Logger.ErrorContext(r.Context(), "console: panic", "path", r.URL.Path, "request_id", id, "panic", p, "stack", string(debug.Stack()))
				c.fail(w, r, nil, leat.Errorf(leat.KindInternal, "panic"))
			}
		}()
		if c.Open && !auth.LocalHost(r.Host) {
			c.fail(w, r, nil, leat.Errorf(leat.KindAccessDenied, "This server lets everybody in, so its console answers on localhost and loopback addresses alone, not as %q.", r.Host))
			return
		}
		if err := c.cross.Check(r); err != nil {
			c.fail(w, r, nil, leat.Errorf(leat.KindAccessDenied, "This request came from another site, so nothing was done. Open the console and try again there."))
			return
		}
		if r.Method == http.MethodGet && runsProgram(r) && !fromHere(r) {
			c.fail(w, r, nil, leat.Errorf(leat.KindAccessDenied, "This link came from another site and would run a filter on this server, so nothing was done. Copy it into the address bar if you trust it."))
			return
		}
		if c.Tracer != nil && !strings.HasPrefix(r.URL.Path, Root+"/static/") {
			ctx, span := c.Tracer.Request(c.Tracer.FromHTTP(r.Context(), r.Header), leat.EdgeConsole, "console page")
			r = r.WithContext(ctx)
			span.Text("leat.request_id", id)
			defer func() {
				span.Text("http.route", r.Pattern) // by the mux
				span.End(nil)                      // where it has failed, nothing more
			}()
		}
		next.ServeHTTP(w, r)
	})
}

// runsProgram tells whether asking for a page costs the node what whoever wrote its address chose.
func runsProgram(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/tail/events") || r.URL.Query().Get("jq") != ""
}

// fromHere tells whether a page of the console, or the person by hand, asks; what does not say so is no browser.
func fromHere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

// requestIDHeader tells a browser what its request is called in the log.
const requestIDHeader = "X-Request-Id"

type requestIDKey struct{}

// requestID names a request in answers and logs.
func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// secure tells whether the browser speaks TLS, to us or to a proxy before us.
func secure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
