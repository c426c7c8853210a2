// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// policy is the content security policy of every answer: this package's own files and nothing else, in particular no script
// or style in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// maxForm bounds what a form may send: a record of 10 MiB, escaped.
const maxForm = 32 << 20

// guarded puts around every request what keeps others' pages out: headers, origin, host, size.
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
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
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
