// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
)

// TestAWSSuite holds to the signatures of AWS's published test suite for Signature Version 4. Its cases with escapes in
// the path are not here: there the suite takes the path as it was before it was sent, once escaped less.
func TestAWSSuite(t *testing.T) {
	const unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	const form = "application/x-www-form-urlencoded"
	v := verifier(t, "service", time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC), auth.Key{
		AccessKey: leat.AccessKey{ID: "AKIDEXAMPLE", Account: "123456789012", Name: "suite", Active: true},
		Secret:    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	})
	for name, c := range map[string]struct {
		line      string
		headers   string // besides Host and X-Amz-Date
		body      string
		signature string
	}{
		"get-vanilla":                      {line: "GET /", signature: vanilla},
		"get-vanilla-empty-query-key":      {line: "GET /?Param1=value1", signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		"get-vanilla-query-order-key-case": {line: "GET /?Param2=value2&Param1=value1", signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"get-vanilla-query-order-value":    {line: "GET /?Param1=value2&Param1=value1", signature: "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
		"get-vanilla-query-unreserved":     {line: "GET /?" + unreserved + "=" + unreserved, signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		"get-vanilla-utf8-query":           {line: "GET /?%E1%88%B4=bar", signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		"get-unreserved":                   {line: "GET /" + unreserved, signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		"get-slash":                        {line: "GET //", signature: vanilla},
		"get-slash-dot-slash":              {line: "GET /./", signature: vanilla},
		"get-relative":                     {line: "GET /example/..", signature: vanilla},
		"get-relative-relative":            {line: "GET /example1/example2/../..", signature: vanilla},
		"get-header-key-duplicate":         {line: "GET /", headers: "My-Header1: value2\r\nMy-Header1: value2\r\nMy-Header1: value1\r\n", signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		"get-header-value-order":           {line: "GET /", headers: "My-Header1: value4\r\nMy-Header1: value1\r\nMy-Header1: value3\r\nMy-Header1: value2\r\n", signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		"get-header-value-trim":            {line: "GET /", headers: "My-Header1:  value1\r\nMy-Header2:  \"a   b   c\"\r\n", signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		"post-vanilla":                     {line: "POST /", signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-vanilla-query":               {line: "POST /?Param1=value1", signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		"post-header-key-sort":             {line: "POST /", headers: "My-Header1: value1\r\n", signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		"post-header-value-case":           {line: "POST /", headers: "My-Header1: VALUE1\r\n", signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		"post-x-www-form-urlencoded":       {line: "POST /", headers: "Content-Type: " + form + "\r\n", body: "Param1=value1", signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		t.Run(name, func(t *testing.T) {
			signed := "host;x-amz-date"
			if i := strings.IndexByte(c.headers, ':'); i > 0 {
				signed = "host;my-header1;x-amz-date"
				if strings.HasPrefix(c.headers, "Content-Type") {
					signed = "content-type;host;x-amz-date"
				} else if strings.Contains(c.headers, "My-Header2") {
					signed = "host;my-header1;my-header2;x-amz-date"
				}
			}
			raw := c.line + " HTTP/1.1\r\nHost: example.amazonaws.com\r\nX-Amz-Date: 20150830T123600Z\r\n" + c.headers +
				"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + signed + ", Signature=" + c.signature + "\r\n\r\n"
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
			if err != nil {
				t.Fatal(err)
			}
			who, err := v.Verify(r, []byte(c.body))
			if err != nil || who != (leat.Principal{Account: "123456789012", Name: "suite", Credential: "AKIDEXAMPLE"}) {
				t.Errorf("%v, %v", who, err)
			}
		})
	}
}
