// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/leatstream/leat"
)

// A token that no browser would keep in a cookie is refused, since whoever signed in with it would be asked to sign in again without an end.
func TestTokensThatNoCookieHolds(t *testing.T) {
	s, err := newSessions([]byte("0123456789abcdef"), leat.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Root+"/signin", http.NoBody)
	for size, kept := range map[int]bool{2900: true, 3100: false, 16 << 10: false} {
		w := httptest.NewRecorder()
		err := s.write(w, r, ticket{Bearer: strings.Repeat("x", size)})
		cookies := w.Result().Cookies()
		if kept != (err == nil) || kept != (len(cookies) == 1) {
			t.Errorf("a token of %d bytes: %v, %d cookies", size, err, len(cookies))
		}
		for _, c := range cookies {
			if n := len(c.Name) + len(c.Value); n > cookieMost {
				t.Errorf("a cookie has %d bytes", n)
			}
		}
		if err != nil && !strings.Contains(told(err), "too long for a browser's cookie") {
			t.Errorf("it is told %s", told(err))
		}
	}
}

// Whoever is no operator is not shown which node owns a shard, and does not ask: a refusal would be in the audit log.
func TestOwnersAreForOperators(t *testing.T) {
	if got := (&Console{}).owner(t.Context(), leat.Principal{Account: "111111111111"}, &leat.Shard{}); got != "" {
		t.Errorf("got %s", got)
	}
}
