// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"

	"github.com/leatstream/leat/test/e2e/rig"
)

// as signs with a key.
func (k key) as(o *kinesis.Options) {
	o.Credentials = credentials.NewStaticCredentialsProvider(k.id, k.secret, "")
}

// late signs as a machine does whose clock is off.
type late struct {
	kinesis.HTTPSignerV4
	by time.Duration
}

func (l late) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, at time.Time, o ...func(*v4.SignerOptions)) error {
	return l.HTTPSignerV4.SignHTTP(ctx, c, r, hash, service, region, at.Add(l.by), o...)
}

// `leat serve` takes calls that are signed with a key of `leat key create`, and refuses all others with the type that
// AWS has for each, and nothing is changed.
func TestSignatures(t *testing.T) {
	t.Parallel()
	n := serve(t)
	right := newKey(t, n, "producer")
	for about, k := range map[string]*kinesis.Client{"HTTP/1.1": client(t, n, right.as), "HTTP/2": clientH2C(t, n, right.as)} {
		create(t, k, "signed-"+strings.ReplaceAll(about[5:], ".", "-"), 1)
	}
	wrong, unknown := right, right
	wrong.secret = strings.Repeat("x", len(right.secret))
	unknown.id = right.id[:len(right.id)-4] + "0000"
	skew := func(by time.Duration) func(*kinesis.Options) {
		return func(o *kinesis.Options) {
			right.as(o)
			o.HTTPSignerV4 = late{v4.NewSigner(), by}
		}
	}
	for about, e := range map[string]struct {
		change func(*kinesis.Options)
		code   string
	}{
		"a wrong secret":            {wrong.as, "InvalidSignatureException"},
		"a key that nobody made":    {unknown.as, "UnrecognizedClientException"},
		"a clock 20 minutes behind": {skew(-20 * time.Minute), "InvalidSignatureException"},
		"a clock 20 minutes ahead":  {skew(20 * time.Minute), "InvalidSignatureException"},
		"no signature":              {func(o *kinesis.Options) { o.Credentials = aws.AnonymousCredentials{} }, "MissingAuthenticationTokenException"},
		"signed for another region": {func(o *kinesis.Options) { right.as(o); o.Region = "eu-west-9" }, "InvalidSignatureException"},
	} {
		t.Run(about, func(t *testing.T) {
			_, err := client(t, n, e.change).CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("never"), ShardCount: aws.Int32(1)})
			refusedWith(t, err, e.code)
		})
	}
	k := client(t, n, right.as, func(o *kinesis.Options) { o.HTTPSignerV4 = late{v4.NewSigner(), -4 * time.Minute} })
	out, err := k.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	must(t, err) // four minutes are tolerated
	if len(out.StreamNames) != 2 {
		t.Errorf("the streams are %v", out.StreamNames)
	}
	if strings.Contains(n.Log(), right.secret) {
		t.Error("the log shows a secret")
	}
	removeKey(t, n, right)
	rig.Eventually(t, rig.Patience, "the deleted key is refused", func() error {
		if _, err = k.ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err == nil {
			return errNotYet
		}
		return nil
	})
	refusedWith(t, err, "UnrecognizedClientException")
}

// refusedWith expects an error of the API by its code.
func refusedWith(tb testing.TB, err error, code string) {
	tb.Helper()
	fails[smithy.APIError](tb, err, code)
}

// A request may carry its signature in the query; not in both places, and not with another body.
func TestPresignedRequests(t *testing.T) {
	t.Parallel()
	n := serve(t)
	k := newKey(t, n, "browser")
	const body = `{"Limit":10}`
	presign := func(at time.Time, expires string) *http.Request {
		t.Helper()
		u := "http://" + n.HTTP + "/?X-Amz-Expires=" + url.QueryEscape(expires)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.ListStreams")
		signed, headers, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, req, hash(body), "kinesis", region, at,
			func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }) // the operation stays in its header
		must(t, err)
		req.URL, err = url.Parse(signed)
		must(t, err)
		for name, values := range headers {
			req.Header[name] = values
		}
		return req
	}
	for about, e := range map[string]struct {
		change func() *http.Request
		status int
		says   string
	}{
		"in the query": {func() *http.Request { return presign(time.Now(), "60") }, http.StatusOK, `"StreamNames":[]`},
		"expired":      {func() *http.Request { return presign(time.Now().Add(-2*time.Minute), "60") }, http.StatusBadRequest, "InvalidSignatureException"},
		"with another body": {func() *http.Request {
			req := presign(time.Now(), "60")
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(`{"Limit":11}`)), int64(len(body))
			return req
		}, http.StatusBadRequest, "InvalidSignatureException"},
		"in both places": {func() *http.Request {
			req := presign(time.Now(), "60")
			req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.id)
			return req
		}, http.StatusBadRequest, "InvalidSignatureException"},
	} {
		t.Run(about, func(t *testing.T) {
			c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := c.Do(e.change())
			must(t, err)
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			must(t, err)
			if res.StatusCode != e.status || !strings.Contains(string(got), e.says) {
				t.Errorf("%s: %s, want %s", res.Status, got, e.says)
			}
		})
	}
}

// doer is an HTTP client of the SDK.
type doer func(*http.Request) (*http.Response, error)

// Do sends a request.
func (f doer) Do(r *http.Request) (*http.Response, error) { return f(r) }

// A body need not be signed where the client says so, and its length need not be known before it ends. Chunks that are
// signed one by one are refused, with what to do instead.
func TestHowBodiesAreSent(t *testing.T) {
	t.Parallel()
	n := serve(t)
	k := newKey(t, n, "producer")
	signed := client(t, n, k.as)
	create(t, signed, "s", 1)
	put := func(c *kinesis.Client, data string) {
		t.Helper()
		_, err := c.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte(data)})
		must(t, err)
	}
	put(signed, "signed")
	put(client(t, n, k.as, func(o *kinesis.Options) {
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware, v4.AddContentSHA256HeaderMiddleware)
		next := o.HTTPClient
		o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
			if got := r.Header.Get("X-Amz-Content-Sha256"); got != "UNSIGNED-PAYLOAD" {
				t.Errorf("the SDK signs the body: %q", got)
			}
			return next.Do(r)
		})
	}), "unsigned")

	raw := func(body, payload string) (status int, answer string) {
		t.Helper()
		// A reader that net/http does not know has no length: the body goes in chunks.
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.HTTP+"/", io.MultiReader(strings.NewReader(body)))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
		req.Header.Set("X-Amz-Content-Sha256", payload)
		must(t, v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, req, payload, "kinesis", region, time.Now()))
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := c.Do(req)
		must(t, err)
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, string(got)
	}
	const body = `{"StreamName":"s","PartitionKey":"k","Data":"aW4gY2h1bmtz"}` // in chunks
	if status, answer := raw(body, hash(body)); status != http.StatusOK {
		t.Errorf("in chunks: %d %s", status, answer)
	}
	for about, e := range map[string]struct{ body, payload, says string }{
		"another body":           {strings.Replace(body, "aW4g", "b24g", 1), hash(body), "does not match"},
		"chunks that are signed": {body, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "send the request whole"},
	} {
		if status, answer := raw(e.body, e.payload); status != http.StatusBadRequest || !strings.Contains(answer, "InvalidSignatureException") || !strings.Contains(answer, e.says) {
			t.Errorf("%s: %d %s", about, status, answer)
		}
	}
	var got []string
	for _, r := range read(t, signed, iterator(t, signed, "s", "shardId-000000000000"), 3) {
		got = append(got, string(r.Data))
	}
	if want := "signed, unsigned, in chunks"; strings.Join(got, ", ") != want {
		t.Errorf("the records are %q, want %s", got, want)
	}
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
