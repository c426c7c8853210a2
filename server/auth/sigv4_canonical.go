// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A canonical request is what both sides hash:
//
//	method \n path \n query \n (name:value \n)… \n signed headers \n hash of the body
//
// (AWS, "Create a signed AWS API request".)

// appendCanonical appends a request's canonical form; false when a signed header is not there.
func appendCanonical(b []byte, r *http.Request, c *claim, payload string) ([]byte, bool) {
	b = append(append(b, r.Method...), '\n')
	b = append(appendPath(b, r.URL), '\n')
	b = append(c.query.append(b), '\n')
	for name := range strings.SplitSeq(c.signedHeaders, ";") {
		var ok bool
		b = append(append(b, name...), ':')
		if b, ok = appendHeader(b, r, name); !ok {
			return b, false
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(append(b, c.signedHeaders...), '\n')
	return append(b, payload...), true
}

// appendPath appends the path without dots and double slashes, each segment escaped once more than it came.
func appendPath(b []byte, u *url.URL) []byte {
	escaped := u.EscapedPath()
	if escaped == "" || escaped == "/" {
		return append(b, '/')
	}
	clean := path.Clean("/" + escaped)
	if strings.HasSuffix(escaped, "/") && clean != "/" {
		clean += "/"
	}
	for i := range len(clean) {
		b = appendEscaped(b, clean[i], clean[i] == '/')
	}
	return b
}

// appendHeader appends a header's values, without outer and repeated spaces, joined by commas.
func appendHeader(b []byte, r *http.Request, name string) ([]byte, bool) {
	switch name {
	case "host", authorityHeader:
		return appendTrimmed(b, r.Host), true
	case "content-length": // net/http may keep it apart
		if r.ContentLength >= 0 {
			return strconv.AppendInt(b, r.ContentLength, 10), true
		}
	case "transfer-encoding": // net/http keeps it apart
		if len(r.TransferEncoding) > 0 {
			return append(b, strings.Join(r.TransferEncoding, ",")...), true
		}
	}
	var room [64]byte
	values, ok := r.Header[string(appendHeaderKey(room[:0], name))] // does not allocate
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, v)
	}
	return b, ok
}

// appendHeaderKey appends the form under which net/http keeps a header: X-Amz-Date for x-amz-date.
func appendHeaderKey(b []byte, name string) []byte {
	upper := true
	for i := range len(name) {
		ch := name[i]
		if upper && 'a' <= ch && ch <= 'z' {
			ch -= 'a' - 'A'
		}
		upper = ch == '-'
		b = append(b, ch)
	}
	return b
}

func appendTrimmed(b []byte, v string) []byte {
	v = strings.TrimSpace(v)
	if !strings.Contains(v, "  ") {
		return append(b, v...)
	}
	for i := range len(v) {
		if v[i] != ' ' || v[i-1] != ' ' { // never the first: it is trimmed
			b = append(b, v[i])
		}
	}
	return b
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends a byte as it is when it may stand in a URI or is said to be plain, and as %XX otherwise.
func appendEscaped(b []byte, ch byte, plain bool) []byte {
	if plain || 'a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || ch == '-' || ch == '_' || ch == '.' || ch == '~' {
		return append(b, ch)
	}
	return append(b, '%', hexDigits[ch>>4], hexDigits[ch&15])
}

// query is the parameters of a URL, in the order in which they came.
type query []parameter

type parameter struct{ name, value string }

// parseQuery reads a query. What is no valid escape stands for itself: it is signed in no other form.
func parseQuery(raw string) query {
	if raw == "" {
		return nil
	}
	var q query
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q = append(q, parameter{unescape(name), unescape(value)})
	}
	return q
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// get returns the first value of a parameter.
func (q query) get(name string) (string, bool) {
	for _, p := range q {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

func (q query) count(name string) (n int) {
	for _, p := range q {
		if p.name == name {
			n++
		}
	}
	return n
}

// append appends the canonical query: every parameter but the signature, escaped, then sorted.
func (q query) append(b []byte) []byte {
	if len(q) == 0 {
		return b
	}
	escaped := make([]parameter, 0, len(q))
	for _, p := range q {
		if p.name != "X-Amz-Signature" {
			escaped = append(escaped, parameter{escape(p.name), escape(p.value)})
		}
	}
	slices.SortFunc(escaped, func(x, y parameter) int {
		if n := strings.Compare(x.name, y.name); n != 0 {
			return n
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range escaped {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, p.name...), '='), p.value...)
	}
	return b
}

func escape(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		b = appendEscaped(b, s[i], false)
	}
	return string(b)
}
