// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// A session is a cookie: what somebody signed in with, sealed with AES-256-GCM under a key that every node derives from
// Options.Secret. Nothing is kept on the server; each request presents the credential anew. Whom an identity provider signed in
// cannot be asked about anew without it, so such a session is short, and the provider is asked again when it ends.
const (
	sessionCookie = "leat_session"
	sessionLasts  = 12 * time.Hour
	personLasts   = time.Hour
)

// ticket is the content of a session cookie.
type ticket struct {
	ID     string       `json:"i"`           // random; the form token is made from it
	Bearer string       `json:"b,omitempty"` // a token
	Key    string       `json:"k,omitempty"` // the id of an access key whose secret was shown
	Person *auth.Person `json:"p,omitempty"` // whom the identity provider signed in
	Ends   int64        `json:"e"`           // seconds since 1970
}

// session is who makes a request.
type session struct {
	who   leat.Principal
	token string // that forms carry
}

type sessions struct {
	seal  cipher.AEAD
	forms []byte
	clock leat.Clock
}

func newSessions(secret []byte, clock leat.Clock) (s sessions, err error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "leat console session", 32)
	if err != nil {
		return s, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return s, err
	}
	if s.seal, err = cipher.NewGCM(block); err != nil {
		return s, err
	}
	s.clock = clock
	s.forms, err = hkdf.Key(sha256.New, secret, nil, "leat console form", 32)
	return s, err
}

func (s *sessions) write(w http.ResponseWriter, r *http.Request, t ticket) error {
	lasts := sessionLasts
	if t.Person != nil {
		lasts = personLasts
	}
	t.ID, t.Ends = rand.Text(), s.clock.Now().Add(lasts).Unix()
	value, err := s.sealed(sessionCookie, t)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: Root, MaxAge: int(lasts.Seconds()), HttpOnly: true, Secure: secure(r), SameSite: http.SameSiteStrictMode,
	})
	return nil
}

// cookieMost is how long the name and the value of a cookie may be: browsers drop what is longer (RFC 6265, section 6.1).
const cookieMost = 4096

// sealed is a value for a cookie of a name: it opens under that name alone.
func (s *sessions) sealed(name string, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, s.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	value := base64.RawURLEncoding.EncodeToString(s.seal.Seal(nonce, nonce, plain, []byte(name)))
	if n := len(name) + len(value); n > cookieMost {
		return "", leat.Invalid("token", "What you sign in with is too long for a browser's cookie: sealed it has %d bytes, and browsers keep %d. Use an access key, or a token with fewer claims, of up to some 2,900 characters.", n, cookieMost)
	}
	return value, nil
}

// open reads a cookie that was sealed; false where there is none, or none that is good.
func (s *sessions) open(r *http.Request, name string, into any) bool {
	cookie, err := r.Cookie(name)
	if err != nil {
		return false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	n := s.seal.NonceSize()
	if err != nil || len(sealed) < n {
		return false
	}
	plain, err := s.seal.Open(nil, sealed[:n], sealed[n:], []byte(name))
	return err == nil && json.Unmarshal(plain, into) == nil
}

func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: Root, MaxAge: -1, HttpOnly: true, Secure: secure(r), SameSite: http.SameSiteStrictMode})
}

// read returns the ticket of a request; false when there is none, or none that is good.
func (s *sessions) read(r *http.Request) (t ticket, ok bool) {
	ok = s.open(r, sessionCookie, &t) && s.clock.Now().Unix() < t.Ends
	return t, ok
}

// formToken is what forms of a session carry, so that a form made elsewhere is refused.
func (s *sessions) formToken(id string) string {
	m := hmac.New(sha256.New, s.forms)
	m.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// errSignIn says that nobody is signed in.
var errSignIn = leat.Errorf(leat.KindUnauthenticated, "Sign in first.")

// admit finds who makes a request.
func (c *Console) admit(w http.ResponseWriter, r *http.Request) (*session, error) {
	t, ok := c.sessions.read(r)
	if c.Open {
		who, err := c.Auth.Authenticate("")
		if err != nil {
			return nil, err
		}
		if !ok { // it is for the form token alone
			t.ID = "open"
		}
		return &session{who: who, token: c.sessions.formToken(t.ID)}, nil
	}
	if !ok {
		return nil, errSignIn
	}
	who, err := c.check(r.Context(), t)
	if err != nil {
		if kind := leat.KindOf(err); kind == leat.KindUnauthenticated || kind == leat.KindAccessDenied && t.Person != nil {
			c.sessions.end(w, r)
			return nil, errSignIn
		}
		return nil, err
	}
	return &session{who: who, token: c.sessions.formToken(t.ID)}, nil
}

// check finds who a ticket's credential belongs to now.
func (c *Console) check(ctx context.Context, t ticket) (leat.Principal, error) {
	switch {
	case t.Bearer != "":
		return c.Auth.Authenticate("Bearer " + t.Bearer)
	case t.Person != nil && c.Login != nil:
		return c.Login.Principal(ctx, *t.Person)
	case t.Person != nil:
		return leat.Principal{}, errSignIn
	}
	key, err := c.key(ctx, t.Key)
	if err == nil {
		err = usable(key)
	}
	if err != nil {
		return leat.Principal{}, err
	}
	return leat.Principal{Account: key.Account, Name: key.Name, Role: key.Role, Credential: key.ID}, nil
}

// key finds an access key, which may be disabled.
func (c *Console) key(ctx context.Context, id string) (auth.Key, error) {
	if c.Keys == nil {
		return auth.Key{}, leat.Errorf(leat.KindUnauthenticated, "This server has no access keys: sign in with its token.")
	}
	key, err := c.Keys.Key(ctx, id)
	switch {
	case errors.Is(err, auth.ErrUnknownKey):
		return auth.Key{}, errWrong
	case err != nil:
		return auth.Key{}, leat.Errorf(leat.KindUnavailable, "Access keys cannot be checked now; try again in a moment: %w", err)
	}
	return key, nil
}

// usable tells whether a key may be used. It is said to those alone who know its secret.
func usable(key auth.Key) error {
	if !key.Active {
		return leat.Errorf(leat.KindUnauthenticated, "Access key %s is disabled.", key.ID)
	}
	return nil
}

var errWrong = leat.Errorf(leat.KindUnauthenticated, "That is not a credential of this server.")

// same compares secrets in a time that tells nothing of them.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// signedIn lets those in who are signed in, and refuses forms that are not of their session.
func (c *Console) signedIn(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := c.admit(w, r)
		if err != nil {
			c.fail(w, r, nil, err)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			most := int64(maxForm)
			if r.Pattern == putPattern {
				most = maxRecordForm
			}
			if err := readForm(w, r, most); err != nil {
				c.fail(w, r, s, err)
				return
			}
			if !same(r.PostForm.Get("token"), s.token) {
				c.fail(w, r, s, leat.Errorf(leat.KindAccessDenied, "This form is from another session, so nothing was done. Go back, reload the page and send it again."))
				return
			}
		}
		s.who.Origin = auth.Origin(r, leat.EdgeConsole, requestID(r))
		_ = c.Broker.Watch(r.Context(), func(ctx context.Context) error { // the error of a page that has told it itself is the log's alone
			heard := &heard{ResponseWriter: w}
			err = next(heard, r.WithContext(ctx), s)
			return cmp.Or(err, heard.err())
		})
		if err != nil {
			c.fail(w, r, s, err)
		}
	}
}
