// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat"
)

// AWS Signature Version 4: who holds a secret signs, per request, what it asks for and when.
//
// Promised: a request passes only when its access key is known and active, its time is near ours, and every byte that
// its signature covers is as it was signed. Both forms are read, the authorization header and the presigned query.
// Checks come in AWS's order: presence, form, time, Host signed, algorithm, credential, scope, key, signature, session
// token (observed against AWS by the authors of public emulators).
//
// Differs from AWS:
//   - X-Amz-Target names the operation, so it must be among the signed headers where it is a header.
//   - A key that is not active is told to its holder as AccessDeniedException, once the signature is right.
//   - There are no session tokens: a request with one is refused, and told what to do.
//   - Chunked payloads (X-Amz-Content-Sha256: STREAMING-…) are refused: Kinesis clients send requests whole.

// Key is an access key with its secret. It is printed and logged as its id alone.
type Key struct {
	leat.AccessKey
	Secret string
}

// String returns the id.
func (k Key) String() string { return k.ID }

// GoString returns the id.
func (k Key) GoString() string { return k.ID }

// LogValue is the id.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// ErrUnknownKey says that there is certainly no key of that id.
var ErrUnknownKey = errors.New("auth: no such access key")

// Keys finds access keys.
type Keys interface {
	// Key returns the key of an id; ErrUnknownKey when there is none; any other error when that cannot be told now.
	Key(ctx context.Context, id string) (Key, error)
}

// SigV4Options is what a SigV4 needs; Service and Clock have defaults.
type SigV4Options struct {
	Keys    Keys
	Region  string // that signatures must be scoped to
	Service string // that signatures must be scoped to; empty: kinesis
	Clock   leat.Clock
}

// SigV4 verifies signed requests. Its methods may be called from any goroutine.
type SigV4 struct {
	keys    Keys
	region  string
	service string
	clock   leat.Clock
	signing *signingKeys
}

// NewSigV4 makes a verifier for one service in one region.
func NewSigV4(o SigV4Options) (*SigV4, error) {
	if o.Keys == nil || o.Region == "" {
		return nil, errors.New("auth: keys and region must be given")
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	return &SigV4{
		keys: o.Keys, region: o.Region, service: cmp.Or(o.Service, "kinesis"), clock: o.Clock,
		signing: newSigningKeys(maxSigningKeys),
	}, nil
}

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	unsignedPayload = "UNSIGNED-PAYLOAD"
	payloadHeader   = "X-Amz-Content-Sha256"

	authorityHeader = ":authority" // what HTTP/2 clients sign for Host
)

// Admit returns nil when a request was signed in time, for here, with a key that there is: whether by its holder, only Verify can tell.
func (v *SigV4) Admit(r *http.Request) error {
	_, _, _, err := v.claimed(r)
	return err
}

// claimed reads and checks all that comes before the signature itself.
func (v *SigV4) claimed(r *http.Request) (c claim, s scope, key Key, err error) {
	if c, err = readClaim(r); err != nil {
		return c, s, key, err
	}
	if err = c.checkTime(v.clock.Now()); err != nil {
		return c, s, key, err
	}
	if err = c.checkSignedHeaders(r); err != nil {
		return c, s, key, err
	}
	if s, err = v.checkScope(&c); err != nil {
		return c, s, key, err
	}
	key, err = v.keys.Key(r.Context(), s.id)
	switch {
	case errors.Is(err, ErrUnknownKey):
		err = errUnknownKey()
	case err != nil:
		err = errKeysAway()
	}
	return c, s, key, err
}

// Verify returns who signed a request whose body is given, as it came over the wire. Its errors are *SignatureError.
func (v *SigV4) Verify(r *http.Request, body []byte) (leat.Principal, error) {
	c, scope, key, err := v.claimed(r)
	if err != nil {
		return leat.Principal{}, err
	}
	if err := v.checkSignature(r, &c, scope, key.Secret, body); err != nil {
		return leat.Principal{}, about(err, key.AccessKey)
	}
	if !key.Active {
		return leat.Principal{}, refuse(typeDenied, "Access key "+key.ID+" is disabled.")
	}
	if c.token != "" {
		return leat.Principal{}, refuse(typeUnrecognized, "The security token included in the request is invalid. This server gives no session tokens: unset AWS_SESSION_TOKEN.")
	}
	return leat.Principal{Account: key.Account, Name: key.Name, Role: key.Role, Credential: key.ID}, nil
}

// scope is a credential: keyid/date/region/service/aws4_request.
type scope struct {
	id, date string
	text     string // from the date on, as it is signed
}

// checkScope reads the credential. What is wrong with it is told at once, as AWS does.
func (v *SigV4) checkScope(c *claim) (scope, error) {
	if c.algorithm != algorithm {
		return scope{}, refuse(typeIncomplete, "Unsupported AWS 'algorithm': '"+printable(c.algorithm)+"' (only AWS4-HMAC-SHA256 for now). ")
	}
	credential := strings.TrimRight(c.credential, "/")
	part := strings.Split(credential, "/")
	if len(part) != 5 {
		return scope{}, refuse(typeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '"+printable(c.credential)+"'")
	}
	var wrong []string
	if part[2] != v.region {
		wrong = append(wrong, "Credential should be scoped to a valid region, not '"+printable(part[2])+"'. ")
	}
	if part[3] != v.service {
		wrong = append(wrong, "Credential should be scoped to correct service: '"+v.service+"'. ")
	}
	if part[4] != terminator {
		wrong = append(wrong, "Credential should be scoped with a valid terminator: 'aws4_request', not '"+printable(part[4])+"'. ")
	}
	if day := c.stamp[:len(dayForm)]; part[1] != day {
		wrong = append(wrong, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '"+printable(part[1])+"' != '"+day+"', from '"+c.stamp+"'. ")
	}
	if wrong == nil {
		return scope{id: part[0], date: part[1], text: credential[len(part[0])+1:]}, nil
	}
	if part[2] != v.region {
		wrong = append(wrong, "This server's region is '"+v.region+"'.")
	}
	return scope{}, refuse(typeInvalid, strings.TrimSpace(strings.Join(wrong, "")))
}

// checkSignature computes the signature and compares.
func (v *SigV4) checkSignature(r *http.Request, c *claim, s scope, secret string, body []byte) error {
	payload, err := payloadHash(r, c, body)
	if err != nil {
		return err
	}
	var room [2048]byte
	canonical, ok := appendCanonical(room[:0], r, c, payload)
	if !ok {
		return errMismatch()
	}
	hash := sha256.Sum256(canonical)
	text := canonical[:0] // its memory is free now
	text = append(text, algorithm+"\n"...)
	text = append(append(text, c.stamp...), '\n')
	text = append(append(text, s.text...), '\n')
	text = hex.AppendEncode(text, hash[:])

	key := v.signing.get(s.id, s.date, secret, v.region, v.service)
	mac := hmac.New(sha256.New, key[:])
	mac.Write(text)
	var sum [sha256.Size]byte
	var want [2 * sha256.Size]byte
	hex.Encode(want[:], mac.Sum(sum[:0]))
	if subtle.ConstantTimeCompare(want[:], []byte(c.signature)) != 1 {
		return errMismatch()
	}
	return nil
}

// payloadHash is the last line of a canonical request: the body's hash in hexadecimal, or that it is not signed. Who
// changes the header changes that line, so the header need not be signed itself.
func payloadHash(r *http.Request, c *claim, body []byte) (string, error) {
	declared := r.Header.Get(payloadHeader)
	if declared == "" && c.presigned {
		declared, _ = c.query.get(payloadHeader)
	}
	switch {
	case declared == unsignedPayload:
		return unsignedPayload, nil
	case strings.HasPrefix(declared, "STREAMING-"):
		return "", refuse(typeInvalid, "X-Amz-Content-Sha256 '"+printable(declared)+"' is not supported: send the request whole, with the SHA-256 of its body or with UNSIGNED-PAYLOAD.")
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// printable bounds what an error says back of what a client sent.
func printable(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
}

// The forms of a time in a signature.
const (
	dayForm   = "20060102"
	stampForm = "20060102T150405Z"
)

// How far a request's time may be from ours, and how long a presigned request may say it is good for.
const (
	skew       = 5 * time.Minute
	maxExpires = 7 * 24 * time.Hour
)
