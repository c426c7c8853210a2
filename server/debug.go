// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/leatstream/leat/server/auth"
)

// debugHandler answers under /debug: profiles of the process (/debug/pprof/…) and its settings (/debug/config), to the
// operator alone: whoever has the bootstrap token. A server without one listens on loopback addresses and takes anybody,
// but no web page: a browser says where a request comes from, and by which name it was led here.
func debugHandler(token string, settings any) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // by name too: heap, goroutine, mutex, …
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/config", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(settings) // fails only when the caller is gone
	})
	return withoutPages(token == "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !operator(r, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the operator's bootstrap token is needed: authorization: Bearer …", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// withoutPages keeps web pages out of what a server shows that is open.
func withoutPages(open bool, to http.Handler) http.Handler {
	if !open {
		return to
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := auth.RefusePages(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		to.ServeHTTP(w, r)
	})
}

// operator tells whether a request comes from whoever runs the server.
func operator(r *http.Request, token string) bool {
	if token == "" {
		return r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == ""
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(given)) // of one length, whatever was given
	return ok && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// redacted stands for a secret that is set.
const redacted = "(set)"

// redact returns the settings without what nobody should see.
func (c DevConfig) redact() DevConfig {
	redactSecrets(reflect.ValueOf(&c).Elem())
	return c
}

// redact returns the settings without what nobody should see.
func (c ServeConfig) redact() ServeConfig {
	postgres := redacted // key=value pairs, or parameters, may hold a password anywhere
	if u, err := url.Parse(c.Postgres); err == nil && u.RawQuery == "" && (u.Scheme != "" || c.Postgres == "") {
		postgres = u.Redacted()
	}
	redactSecrets(reflect.ValueOf(&c).Elem())
	c.Postgres = postgres
	return c
}

// redactSecrets replaces what is set of the settings that are tagged as secret, at any depth.
func redactSecrets(settings reflect.Value) {
	for i := range settings.NumField() {
		field := settings.Field(i)
		_, secret := settings.Type().Field(i).Tag.Lookup("secret")
		switch {
		case !secret && field.Kind() == reflect.Struct:
			redactSecrets(field)
		case !secret || field.IsZero():
		case field.Kind() == reflect.String:
			field.SetString(redacted)
		default: // a list, which others have too
			field.Set(reflect.ValueOf(slices.Repeat([]string{redacted}, field.Len())))
		}
	}
}
