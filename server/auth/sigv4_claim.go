// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// claim is what a request says of its own signature, in either form.
type claim struct {
	algorithm, credential, signedHeaders, signature string

	stamp     string // the time of signing in ISO-8601 basic form: as it is signed
	at        time.Time
	lifetime  time.Duration // of a presigned request; 0: as long as any other
	token     string        // of a session; empty: none
	presigned bool
	query     query
}

// readClaim finds and reads a request's signature.
func readClaim(r *http.Request) (claim, error) {
	headers := r.Header["Authorization"]
	q := parseQuery(r.URL.RawQuery)
	_, presigned := q.get("X-Amz-Algorithm")
	switch {
	case presigned && len(headers) > 0:
		return claim{}, refuse(typeInvalid, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case presigned:
		return readQuery(q)
	case len(headers) == 0 || headers[0] == "":
		return claim{}, refuse(typeMissing, "Missing Authentication Token")
	case len(headers) > 1:
		return claim{}, refuse(typeIncomplete, "Found more than one 'Authorization' HTTP header.")
	}
	return readHeader(r, headers[0], q)
}

// readHeader reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…". Members are separated by commas,
// white space or both.
func readHeader(r *http.Request, authorization string, q query) (claim, error) {
	c := claim{query: q, token: r.Header.Get("X-Amz-Security-Token")}
	name, rest, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	c.algorithm = name
	separator := func(b rune) bool { return b == ',' || b == ' ' || b == '\t' }
	for member := range strings.FieldsFuncSeq(rest, separator) {
		name, value, ok := strings.Cut(member, "=")
		if !ok {
			return c, refuse(typeIncomplete, "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '"+hashed(authorization)+"'.")
		}
		var to *string
		switch name {
		case "Credential":
			to = &c.credential
		case "SignedHeaders":
			to = &c.signedHeaders
		case "Signature":
			to = &c.signature
		default:
			continue
		}
		if *to != "" {
			return c, refuse(typeIncomplete, "Authorization header has more than one '"+name+"' parameter. "+shown(authorization))
		}
		*to = value
	}
	date := r.Header["X-Amz-Date"]
	if len(date) == 0 {
		date = r.Header["Date"]
	}
	var lacks strings.Builder
	for _, m := range []struct{ name, value string }{
		{"Credential", c.credential}, {"Signature", c.signature}, {"SignedHeaders", c.signedHeaders},
	} {
		if m.value == "" {
			lacks.WriteString("Authorization header requires '" + m.name + "' parameter. ")
		}
	}
	if len(date) == 0 {
		lacks.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if lacks.Len() > 0 {
		return c, refuse(typeIncomplete, lacks.String()+shown(authorization))
	}
	if len(date) > 1 {
		return c, refuse(typeIncomplete, "Found more than one date among the HTTP headers.")
	}
	return c, c.readTime(date[0])
}

// readQuery reads the form of presigned requests.
func readQuery(q query) (claim, error) {
	c := claim{query: q, presigned: true}
	var date string
	var lacks strings.Builder
	for _, m := range []struct {
		name string
		to   *string
	}{
		{"X-Amz-Algorithm", &c.algorithm}, {"X-Amz-Credential", &c.credential}, {"X-Amz-Signature", &c.signature},
		{"X-Amz-SignedHeaders", &c.signedHeaders}, {"X-Amz-Date", &date},
	} {
		if q.count(m.name) > 1 {
			return c, refuse(typeIncomplete, "AWS query-string parameters must include '"+m.name+"' once. Re-examine the query-string parameters.")
		}
		if *m.to, _ = q.get(m.name); *m.to == "" {
			lacks.WriteString("AWS query-string parameters must include '" + m.name + "'. ")
		}
	}
	if lacks.Len() > 0 {
		return c, refuse(typeIncomplete, lacks.String()+"Re-examine the query-string parameters.")
	}
	c.token, _ = q.get("X-Amz-Security-Token")
	if err := c.readTime(date); err != nil {
		return c, err
	}
	return c, c.readExpires()
}

// readExpires reads X-Amz-Expires, in seconds. Without it a presigned request is good for as long as any other.
func (c *claim) readExpires() error {
	text, ok := c.query.get("X-Amz-Expires")
	if !ok {
		return nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || c.query.count("X-Amz-Expires") > 1:
		return refuse(typeInvalid, "X-Amz-Expires should be a number")
	case seconds < 1:
		return refuse(typeInvalid, "X-Amz-Expires must be positive")
	case seconds > int64(maxExpires/time.Second):
		return refuse(typeInvalid, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	c.lifetime = time.Duration(seconds) * time.Second
	return nil
}

// readTime reads the time of signing: ISO-8601 basic form, or in a Date header that of HTTP.
func (c *claim) readTime(text string) error {
	at, err := time.Parse(stampForm, text)
	if err != nil && !c.presigned {
		at, err = http.ParseTime(text)
	}
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		return refuse(typeIncomplete, "Date must be in ISO-8601 'basic format'. Got '"+printable(text)+"'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	c.at, c.stamp = at.UTC(), text
	if len(text) != len(stampForm) {
		c.stamp = c.at.Format(stampForm)
	}
	return nil
}

// checkTime refuses signatures that are too old, so that a request that somebody kept cannot be sent again, and those
// from the future.
func (c *claim) checkTime(now time.Time) error {
	now = now.UTC()
	good, span := skew, "5 min."
	if c.lifetime > 0 {
		good, span = c.lifetime, strconv.FormatInt(int64(c.lifetime/time.Second), 10)+" sec."
	}
	if first := now.Add(-good); c.at.Before(first) {
		return refuse(typeInvalid, "Signature expired: "+c.stamp+" is now earlier than "+first.Format(stampForm)+" ("+now.Format(stampForm)+" - "+span+")")
	}
	if last := now.Add(skew); c.at.After(last) {
		return refuse(typeInvalid, "Signature not yet current: "+c.stamp+" is still later than "+last.Format(stampForm)+" ("+now.Format(stampForm)+" + 5 min.)")
	}
	return nil
}

// checkSignedHeaders sees to it that a signature cannot be moved to another server or another operation.
func (c *claim) checkSignedHeaders(r *http.Request) error {
	c.signedHeaders = strings.ToLower(c.signedHeaders)
	host, target := false, false
	seen := map[string]bool{} // a name that came often would have its value in the canonical request as often
	for name := range strings.SplitSeq(c.signedHeaders, ";") {
		if seen[name] {
			return refuse(typeInvalid, "'"+printable(name)+"' is more than once among the 'SignedHeaders' of the AWS Authorization.")
		}
		seen[name] = true
		host = host || name == "host" || name == authorityHeader
		target = target || name == "x-amz-target"
	}
	if !host {
		return refuse(typeInvalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if _, sent := r.Header["X-Amz-Target"]; sent && !target {
		return refuse(typeInvalid, "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}
