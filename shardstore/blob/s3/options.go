// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/shardstore/blob"
)

// Options say which bucket a Store uses and how it is reached.
type Options struct {
	// Endpoint is a URL (https://s3.eu-west-1.amazonaws.com) or host[:port], which
	// UseTLS then completes. A bucket with several endpoints has a Store for each.
	Endpoint string
	UseTLS   bool
	Region   string // us-east-1 if empty
	Bucket   string
	Prefix   string // of all keys; a slash is put after it. May be empty.

	// Without an access key the credentials come from the environment (AWS_…),
	// ~/.aws/credentials or the machine's role, in this order.
	AccessKey    string
	SecretKey    string
	SessionToken string

	PathStyle   bool   // bucket in the path, not in the host name; not-AWS endpoints do so anyway
	CA          []byte // PEM certificates trusted besides the system's
	SignPayload bool   // see the package's doc

	// Transport replaces the package's own; CA is then ignored.
	Transport http.RoundTripper
}

// endpoint parses Endpoint into host[:port] and whether TLS is used.
func (o Options) endpoint() (host string, secure bool, err error) {
	text, secure := o.Endpoint, o.UseTLS
	if !strings.Contains(text, "://") {
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		// The text may hold a password, and url.Error would quote it.
		return "", false, errors.New("s3: the endpoint is not a URL")
	}
	switch {
	case u.User != nil:
		return "", false, errors.New("s3: the endpoint holds credentials; give them apart from it")
	case u.Host == "":
		return "", false, errors.New("s3: the endpoint is missing")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", false, fmt.Errorf("s3: endpoint %s: only scheme, host and port, please; the bucket is an option of its own", u.Host)
	}
	switch u.Scheme {
	case "":
	case "http":
		secure = false
	case "https":
		secure = true
	default:
		return "", false, fmt.Errorf("s3: endpoint %s: scheme %q is neither http nor https", u.Host, u.Scheme)
	}
	return u.Host, secure, nil
}

// prefix returns Prefix with a slash after it.
func (o Options) prefix() (string, error) {
	p := strings.Trim(o.Prefix, "/")
	if p == "" {
		return "", nil
	}
	if err := blob.CheckKey(p); err != nil {
		return "", fmt.Errorf("s3: prefix: %w", err)
	}
	return p + "/", nil
}

func (o Options) credentials() (*credentials.Credentials, error) {
	switch {
	case o.AccessKey != "" && o.SecretKey != "":
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken), nil
	case o.AccessKey != "" || o.SecretKey != "":
		return nil, errors.New("s3: one of access key and secret key is missing")
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	}), nil
}

func (o Options) lookup() minio.BucketLookupType {
	if o.PathStyle {
		return minio.BucketLookupPath
	}
	return minio.BucketLookupAuto
}

// Timeouts of one request. A store that takes longer to begin its answer is
// asked again by whoever waits, well within the 30 s after which a session
// without progress ends. Bodies are watched by pace.
const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 15 * time.Second
	idleTimeout   = 90 * time.Second
)

// transport returns connections of our own: many stay open, as PUTs in flight
// and read-ahead need them, and HTTP/1.1 gives each its own TCP window.
func (o Options) transport() (http.RoundTripper, error) {
	if o.Transport != nil {
		return o.Transport, nil
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   128,
		ReadBufferSize:        64 << 10,
		WriteBufferSize:       64 << 10,
		DisableCompression:    true, // objects are what they are
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if len(o.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("s3: the CA file holds no certificate")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}
