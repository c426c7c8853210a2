// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leatstream/leat/internal/tlstest"
	"github.com/leatstream/leat/test/e2e/rig"
)

// devTLS starts a `leat dev` that speaks TLS on both ports, and returns the file of the authority that clients must
// trust.
func devTLS(tb testing.TB) (n *rig.Node, ca string, roots *x509.CertPool) {
	tb.Helper()
	by, dir := tlstest.NewAuthority(tb, "an authority"), tb.TempDir()
	cert, key := by.Files(tb, dir, "leat", time.Hour)
	ca = tlstest.Write(tb, filepath.Join(dir, "ca.pem"), by.CA())

	n = rig.Dev(tb, "tls", filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key)
	n.Launch(tb)
	transport := &http.Transport{TLSClientConfig: by.Client()}
	defer transport.CloseIdleConnections()
	rig.Eventually(tb, rig.Patience, "a node that is ready", func() error {
		req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "https://"+n.HTTP+"/readyz", http.NoBody)
		must(tb, err)
		res, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			err = errNotYet
		}
		return errors.Join(err, res.Body.Close())
	})
	return n, ca, by.Pool()
}

// Under TLS a client and the server agree on HTTP/2 by ALPN, or speak HTTP/1.1: puts, reads and subscriptions do over both.
func TestGoSDKOverTLS(t *testing.T) {
	t.Parallel()
	n, _, roots := devTLS(t)
	for about, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(about, func(t *testing.T) {
			transport := &spoken{Transport: http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: h2}}
			t.Cleanup(transport.CloseIdleConnections)
			k := client(t, n, func(o *kinesis.Options) {
				o.BaseEndpoint = aws.String("https://" + n.HTTP)
				o.HTTPClient = wholeBodies{http.Client{Transport: transport}}
			})
			stream := "tls-" + strings.ReplaceAll(about[5:], ".", "-")
			create(t, k, stream, 1)
			follow(t, k, stream, *register(t, k, stream, "c").ConsumerARN)
			if transport.proto != about {
				t.Errorf("they spoke %s", transport.proto)
			}
		})
	}
}

// spoken keeps the protocol of the first answer. It is for one test, which makes one call after another.
type spoken struct {
	http.Transport
	proto string
}

// RoundTrip sends a request.
func (s *spoken) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.Transport.RoundTrip(r)
	if err == nil && s.proto == "" {
		s.proto = res.Proto
	}
	return res, err
}

// The AWS CLI and boto3 trust an authority of the user's own.
func TestDebianOverTLS(t *testing.T) {
	t.Parallel()
	n, ca, _ := devTLS(t)
	env := []string{"AWS_CA_BUNDLE=" + ca, "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "AWS_DEFAULT_REGION=" + region}
	if out := program(t, "", env, "/usr/bin/aws", "--endpoint-url", "https://"+n.HTTP, "kinesis", "list-streams", "--query", "length(StreamNames)", "--output", "text"); out != "0\n" {
		t.Errorf("the streams of a fresh server are %q", out)
	}
	program(t, "", env, "/usr/bin/python3", "testdata/boto3_walk.py", "https://"+n.HTTP)
}
