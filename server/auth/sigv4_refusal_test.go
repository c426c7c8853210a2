// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

func wantRefusal(tb testing.TB, what string, v *auth.SigV4, r *http.Request, typ, message string) {
	tb.Helper()
	who, err := v.Verify(r, body)
	// What needs no body is refused before there is one, in the same words.
	late := message == mismatch || strings.Contains(message, "session token") || strings.Contains(message, "is disabled") || strings.Contains(message, "send the request whole")
	if early := v.Admit(r); late != (early == nil) || !late && (err == nil || early.Error() != err.Error()) {
		tb.Errorf("%s: without a body: %v", what, early)
	}
	var e *auth.SignatureError
	switch {
	case !errors.As(err, &e):
		tb.Errorf("%s: %v, %v", what, who, err)
	case e.Type != typ || e.Message != message || e.Status != http.StatusBadRequest || who != (leat.Principal{}):
		tb.Errorf("%s: %d %s\n got %s\nwant %s", what, e.Status, e.Type, e.Message, message)
	}
}

// resign signs over ":authority" for Host, as the SDK for JavaScript does over HTTP/2.
func resign(r *http.Request, k auth.Key, at time.Time, body []byte) {
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stamp := at.Format("20060102T150405Z")
	scope := stamp[:8] + "/us-east-1/kinesis/aws4_request"
	const signed = ":authority;content-length;content-type;x-amz-date;x-amz-target"
	canonical := strings.Join([]string{
		r.Method, "/", "", ":authority:" + r.Host, "content-length:" + strconv.Itoa(len(body)), "content-type:" + r.Header.Get("Content-Type"),
		"x-amz-date:" + stamp, "x-amz-target:" + r.Header.Get("X-Amz-Target"), "", signed, hashOf(body),
	}, "\n")
	key := []byte("AWS4" + k.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hashOf([]byte(canonical))}, "\n")
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.ID+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(mac(key, text)))
}

func TestRefusalsInAWSOrder(t *testing.T) {
	v := verifier(t, "", noon, known)
	const day = "/20260301/us-east-1/kinesis/aws4_request"
	const hash = "(Hashed with SHA-256 and encoded with Base64) Authorization="
	signature := strings.Repeat("a", 64)
	full := func(credential, headers string) string {
		return "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + headers + ", Signature=" + signature
	}
	good := full(known.ID+day, "host;x-amz-date;x-amz-target")
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + known.ID + strings.ReplaceAll(day, "/", "%2F") +
		"&X-Amz-Date=20260301T120000Z&X-Amz-SignedHeaders=host%3Bx-amz-target&X-Amz-Signature=" + signature
	for name, c := range map[string]struct {
		authorization, date, query string
		typ, message               string
	}{
		"both":                 {good, "20260301T120000Z", query, "InvalidSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		"none":                 {"", "20260301T120000Z", "", "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"nothing in it":        {"AWS4-HMAC-SHA256", "", "", "IncompleteSignatureException", "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " + hash + "YI2YWea8FSxnksZL2ETHbs5elHm9HQufxTLK0W0ffV0="},
		"no signature":         {"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b", "20260301T120000Z", "", "IncompleteSignatureException", "Authorization header requires 'Signature' parameter. " + hash + "3Pr+vyPJRtLX86dwXTUhwaf5UIUUxtP/g+sepNlmYDo="},
		"a bearer":             {"Bearer correct-horse", "20260301T120000Z", "", "IncompleteSignatureException", "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): 'pH2VMvTWnsA6iteyrPN/gdaxhJ9gduljJrHwXzUDZhs='."},
		"a query's lack":       {"", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "IncompleteSignatureException", "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		"twice in a query":     {"", "", query + "&X-Amz-Signature=x", "IncompleteSignatureException", "AWS query-string parameters must include 'X-Amz-Signature' once. Re-examine the query-string parameters."},
		"no date":              {good, "soon", "", "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got 'soon'. See http://en.wikipedia.org/wiki/ISO_8601"},
		"old":                  {good, "20260301T115459Z", "", "InvalidSignatureException", "Signature expired: 20260301T115459Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		"early":                {good, "20260301T120501Z", "", "InvalidSignatureException", "Signature not yet current: 20260301T120501Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)"},
		"an old date's header": {good, "Sun, 01 Mar 2026 11:00:00 GMT", "", "InvalidSignatureException", "Signature expired: 20260301T110000Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		"no expiry":            {"", "", query + "&X-Amz-Expires=soon", "InvalidSignatureException", "X-Amz-Expires should be a number"},
		"expiry below 1":       {"", "", query + "&X-Amz-Expires=0", "InvalidSignatureException", "X-Amz-Expires must be positive"},
		"expiry too late":      {"", "", query + "&X-Amz-Expires=604801", "InvalidSignatureException", "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
		"host not signed":      {full(known.ID+day, "x-amz-date;x-amz-target"), "20260301T120000Z", "", "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		"target not signed":    {full(known.ID+day, "host;x-amz-date"), "20260301T120000Z", "", "InvalidSignatureException", "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."},
		"a name twice":         {full(known.ID+day, "host;x-amz-target;a;A"), "20260301T120000Z", "", "InvalidSignatureException", "'a' is more than once among the 'SignedHeaders' of the AWS Authorization."},
		"algorithm":            {strings.Replace(good, "SHA256", "SHA1", 1), "20260301T120000Z", "", "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). "},
		"algorithm of a query": {"", "", strings.Replace(query, "SHA256", "%01", 1), "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-HMAC-?' (only AWS4-HMAC-SHA256 for now). "},
		"credential":           {full("a/b/c/d", "host;x-amz-target"), "20260301T120000Z", "", "IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'"},
		"scope":                {full("a/b/c/d/e", "host;x-amz-target"), "20260301T120000Z", "", "InvalidSignatureException", "Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: 'kinesis'. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20260301', from '20260301T120000Z'. This server's region is 'us-east-1'."},
		"service":              {full("a/20260301/us-east-1/firehose/aws4_request", "host;x-amz-target"), "20260301T120000Z", "", "InvalidSignatureException", "Credential should be scoped to correct service: 'kinesis'."},
		"unknown key":          {full("AKIAIOSFODNN7EXAMPLE"+day, "host;x-amz-target"), "20260301T120000Z", "", "UnrecognizedClientException", "The security token included in the request is invalid."},
		"no key id":            {full(day, "host;x-amz-target"), "20260301T120000Z", "", "UnrecognizedClientException", "The security token included in the request is invalid."},
		"signature":            {good, "20260301T120000Z", "", "InvalidSignatureException", mismatch},
		"signature, by Date":   {good, "Sun, 01 Mar 2026 12:00:00 GMT", "", "InvalidSignatureException", mismatch},
		"signature of a query": {"", "", query, "InvalidSignatureException", mismatch},
		"a header that lacks":  {full(known.ID+day, "host;x-amz-meta;x-amz-target"), "20260301T120000Z", "", "InvalidSignatureException", mismatch},
		"a trailing slash":     {full(known.ID+day+"/", "Host;X-Amz-Target"), "20260301T120000Z", "", "InvalidSignatureException", mismatch},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, body)
			r.URL.RawQuery = c.query
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			switch {
			case strings.Contains(c.date, "GMT"):
				r.Header.Set("Date", c.date)
			case c.date != "":
				r.Header.Set("X-Amz-Date", c.date)
			}
			wantRefusal(t, name, v, r, c.typ, c.message)
		})
	}
}

func TestMembersMayBeSeparatedInAnyWay(t *testing.T) {
	v := verifier(t, "", noon, known)
	r := sign(t, request(t, body), credentials(known), hashOf(body), noon)
	for _, separator := range []string{",", " ", ",  ", " , "} {
		again := r.Clone(t.Context())
		again.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), ", ", separator))
		if _, err := v.Verify(again, body); err != nil {
			t.Errorf("%q: %v", separator, err)
		}
	}
	r.Header.Set("Authorization", r.Header.Get("Authorization")+", Signature=x")
	if _, err := v.Verify(r, body); err == nil {
		t.Error("two signatures were accepted")
	}
}

func TestChunkedPayloadsAreRefused(t *testing.T) {
	v := verifier(t, "", noon, known)
	for _, form := range []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
		r := request(t, body)
		r.Header.Set("X-Amz-Content-Sha256", form)
		sign(t, r, credentials(known), form, noon)
		wantRefusal(t, form, v, arrive(t, r), "InvalidSignatureException", "X-Amz-Content-Sha256 '"+form+"' is not supported: send the request whole, with the SHA-256 of its body or with UNSIGNED-PAYLOAD.")
	}
}

func TestADisabledKeyIsToldToItsHolderAlone(t *testing.T) {
	disabled := known
	disabled.Active = false
	v := verifier(t, "", noon, disabled)
	r := sign(t, request(t, body), credentials(known), hashOf(body), noon)
	wantRefusal(t, "its holder", v, arrive(t, r), "AccessDeniedException", "Access key "+known.ID+" is disabled.")
	other := known
	other.Secret = "another"
	r = sign(t, request(t, body), credentials(other), hashOf(body), noon)
	wantRefusal(t, "another", v, arrive(t, r), "InvalidSignatureException", mismatch)
}

// awayKeys cannot tell.
type awayKeys struct{}

func (awayKeys) Key(context.Context, string) (auth.Key, error) {
	return auth.Key{}, leat.Errorf(leat.KindUnavailable, "the catalog is away")
}

func TestKeysAwayMeansTryAgain(t *testing.T) {
	v, err := auth.NewSigV4(auth.SigV4Options{Keys: awayKeys{}, Region: "us-east-1", Clock: &clock{now: noon}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(sign(t, request(t, body), credentials(known), hashOf(body), noon), body)
	var e *auth.SignatureError
	if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
}

// TestSigningKeysFollowTheSecret has a key whose secret changes.
func TestSigningKeysFollowTheSecret(t *testing.T) {
	keys := keyMap{known.ID: known}
	v, err := auth.NewSigV4(auth.SigV4Options{Keys: keys, Region: "us-east-1", Clock: &clock{now: noon}})
	if err != nil {
		t.Fatal(err)
	}
	r := sign(t, request(t, body), credentials(known), hashOf(body), noon)
	if _, err := v.Verify(r, body); err != nil {
		t.Fatal(err)
	}
	changed := known
	changed.Secret = "another"
	keys[known.ID] = changed
	wantRefusal(t, "the former secret", v, r, "InvalidSignatureException", mismatch)
	if _, err := v.Verify(sign(t, request(t, body), credentials(changed), hashOf(body), noon), body); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	good := sign(f, request(f, body), credentials(known), hashOf(body), noon)
	f.Add(good.Header.Get("Authorization"), good.Header.Get("X-Amz-Date"), "", "/")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Date=20260301T120000Z&X-Amz-SignedHeaders=host%3B%0A&X-Amz-Signature=%zz&X-Amz-Expires=9", "/a/../b")
	f.Add("AWS4-HMAC-SHA256 Credential=,=,Signature==", "Sun, 01 Mar 2026 12:00:00 GMT", "&&=&a", "/%41")
	v := verifier(f, "", noon, known)
	f.Fuzz(func(t *testing.T, authorization, date, query, path string) {
		r := request(t, body)
		r.URL.RawQuery, r.URL.Path = query, path
		r.Header.Set("X-Amz-Date", date)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		who, err := v.Verify(r, body)
		var e *auth.SignatureError
		switch {
		case err != nil && (!errors.As(err, &e) || who != (leat.Principal{})):
			t.Errorf("%v, %v", who, err)
		case err == nil && !strings.Contains(authorization, "Signature=") && !strings.Contains(query, "X-Amz-Signature="):
			t.Errorf("accepted without a signature: %q %q", authorization, query)
		case e != nil && strings.Contains(e.Message, known.Secret):
			t.Error("the error tells the secret")
		}
	})
}
