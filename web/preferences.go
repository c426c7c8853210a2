// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"slices"
	"time"
)

// preference reads what somebody chose: a cookie with one of some words, the first when there is none.
func preference(r *http.Request, name string, words ...string) string {
	if c, err := r.Cookie("leat_" + name); err == nil && slices.Contains(words, c.Value) {
		return c.Value
	}
	return words[0]
}

// setPreferences keeps the theme and whether times are shown in UTC. Script sets the same cookies without a request.
func (c *Console) setPreferences(w http.ResponseWriter, r *http.Request, _ *session) error {
	for name, words := range map[string][]string{"theme": {"auto", "light", "dark"}, "zone": {"utc", "local"}} {
		if v := r.PostForm.Get(name); slices.Contains(words, v) {
			http.SetCookie(w, &http.Cookie{
				Name: "leat_" + name, Value: v, Path: Root, MaxAge: int((365 * 24 * time.Hour).Seconds()), SameSite: http.SameSiteStrictMode,
				Secure: secure(r), //nolint:gosec // script reads it
			})
		}
	}
	http.Redirect(w, r, nextPath(r.PostForm.Get("next")), http.StatusSeeOther)
	return nil
}
