// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package awswire_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/awswire"
)

// door lets in early, late or not at all.
type door struct{ early, late error }

func (d door) Admit(*http.Request) error { return d.early }

func (d door) Verify(_ *http.Request, body []byte) (leat.Principal, error) {
	return leat.Principal{Name: string(body)}, d.late
}

// Whoever is refused without a body has none taken in, but may send it, to take in the answer.
func TestSignIn(t *testing.T) {
	refused, unread := errors.New("refused"), errors.New("unread")
	for _, c := range []struct {
		about      string
		door       door
		read, want error
		taken      bool
		left       int // of the body's ten bytes; six are the limit
	}{
		{about: "let in", taken: true, left: 0},
		{about: "refused early", door: door{early: refused}, want: refused, left: 4},
		{about: "refused late", door: door{late: refused}, want: refused, taken: true, left: 0},
		{about: "a body that does not arrive", read: unread, want: unread, taken: true, left: 0},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("0123456789"))
		taken := false
		who, body, err := awswire.SignIn(c.door, r, 6, func() ([]byte, error) {
			taken = true
			b, err := io.ReadAll(r.Body)
			return b, errors.Join(err, c.read)
		})
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || taken != c.taken {
			t.Errorf("%s: %v, a body taken in: %v", c.about, err, taken)
		}
		if err == nil && (who.Name != "0123456789" || string(body) != "0123456789") {
			t.Errorf("%s: %+v, %q", c.about, who, body)
		}
		if left, err := io.ReadAll(r.Body); err != nil || len(left) != c.left {
			t.Errorf("%s: %d bytes left, %v", c.about, len(left), err)
		}
	}
}
