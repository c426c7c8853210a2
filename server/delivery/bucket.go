// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// S3 is the object store that destinations use which name none of their own.
type S3 struct {
	Endpoint    string // URL; empty: destinations must have their own
	Region      string
	Credentials *credentials.Credentials // those of Leat's own bucket: keys, or a role's, which are renewed
	CA          []byte                   // PEM, trusted besides the system's
	Transport   http.RoundTripper        // nil: the package's own
	// Bucket is Leat's own there, and Doors are all endpoints that lead to it: nothing is delivered into it but what was under way
	// when that was not refused yet. Empty: it is elsewhere.
	Bucket string
	Doors  []string
}

// bucket is a destination's bucket.
type bucket struct {
	core  *minio.Core
	name  string
	creds *credentials.Credentials
	close func()
}

// What an object says of itself in its metadata.
const (
	metaDelivery = "Leat-Delivery" // id
	metaPlan     = "Leat-Plan"
	metaRanges   = "Leat-Ranges" // for people; cut where it is long
	metaRecords  = "Leat-Records"
	metaHash     = "Leat-Hash"
	metaUnits    = "Leat-Units"
	metaSHA256   = "Leat-Sha256"
)

const (
	answerWithin = 60 * time.Second // of one request
	quotedBytes  = 300              // of what a store said
)

// open makes a bucket. It sends nothing.
func (s S3) open(d *spec.S3) (*bucket, error) {
	endpoint, region := d.Endpoint, d.Region
	creds := credentials.NewStaticV4(d.AccessKey, string(d.SecretKey), "")
	if endpoint == "" {
		if endpoint = s.Endpoint; endpoint == "" {
			return nil, leat.Invalid("destination.s3.endpoint", "this server has no object store of its own: give the endpoint and its access key")
		}
		if d.AccessKey == "" {
			creds = s.Credentials
		}
	}
	if region == "" {
		if region = s.Region; region == "" {
			region = "us-east-1"
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil, leat.Invalid("destination.s3.endpoint", "it is no URL")
	}
	transport, closing := s.Transport, func() {}
	if transport == nil {
		t, err := s.transport()
		if err != nil {
			return nil, err
		}
		transport, closing = t, t.CloseIdleConnections
	}
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds: creds, Secure: u.Scheme == "https", Region: region, Transport: transport,
		MaxRetries: 1, // the delivery tries again, and reads back first
	})
	if err != nil {
		return nil, leat.Invalid("destination.s3.endpoint", "%v", err)
	}
	return &bucket{core: core, name: d.Bucket, creds: creds, close: closing}, nil
}

// refuse returns an error where a bucket is Leat's own: nothing is delivered into it.
func (s S3) refuse(d *spec.S3) error {
	u, err := url.Parse(cmp.Or(d.Endpoint, s.Endpoint))
	if err == nil && d.Bucket == s.Bucket && s.leadsHome(u) {
		return leat.Invalid("destination.s3.bucket", "bucket %q is the one that this server keeps its own records in: give another bucket", d.Bucket)
	}
	return nil
}

// leadsHome tells whether an endpoint is one of those of Leat's own bucket.
func (s S3) leadsHome(u *url.URL) bool {
	for _, door := range append([]string{s.Endpoint}, s.Doors...) {
		if own, err := url.Parse(door); err == nil && door != "" && address(own) == address(u) {
			return true
		}
	}
	return false
}

// address is the host and port that a URL leads to.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" && u.Scheme == "http" {
		port = "80"
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), cmp.Or(port, "443"))
}

func (s S3) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 32, DisableCompression: true,
		WriteBufferSize: 64 << 10, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if len(s.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pool.AppendCertsFromPEM(s.CA)
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

// errForeign says that another's object stands where a plan's should.
type foreignError struct{ key string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("an object that this delivery did not write stands at %q: remove it, or choose another prefix", e.key)
}

// put writes an object if absent. Where one of the same plan stands already, o becomes what that one says of itself.
func (b *bucket) put(ctx context.Context, delivery string, p *plan, o *Object, body []byte, contentType string) error {
	sum := sha256.Sum256(body)
	o.Bytes, o.SHA256 = int64(len(body)), hex.EncodeToString(sum[:])
	opts := minio.PutObjectOptions{ContentType: contentType, DisableContentSha256: true, UserMetadata: map[string]string{
		metaDelivery: delivery, metaPlan: p.id, metaRanges: ranges(p.parts), metaSHA256: o.SHA256,
		metaRecords: strconv.FormatUint(o.Records, 10), metaHash: strconv.FormatUint(o.Hash, 10), metaUnits: strconv.FormatUint(o.Units, 10),
	}}
	opts.SetMatchETagExcept("*")
	ctx, cancel := context.WithTimeout(ctx, answerWithin+time.Duration(len(body)>>20)*time.Second) // 1 MiB/s at least
	defer cancel()
	info, err := b.core.PutObject(ctx, b.name, o.Key, bytes.NewReader(body), int64(len(body)), "", o.SHA256, opts)
	switch {
	case err != nil && status(err) == http.StatusPreconditionFailed:
		return b.adopt(ctx, p, o)
	case err != nil:
		return b.explain("PUT", o.Key, err)
	case info.ETag == "":
		return fmt.Errorf("PUT %s: the answer has no ETag, so it is not an object store's", o.Key)
	}
	return nil
}

// adopt takes over what an earlier try of the same plan wrote.
func (b *bucket) adopt(ctx context.Context, p *plan, o *Object) error {
	there, meta, err := b.head(ctx, o.Key)
	if err != nil {
		return err
	}
	if there == nil || meta.Get(metaPlan) != p.id {
		return &foreignError{o.Key}
	}
	there.Role, there.Backup = o.Role, o.Backup
	*o = *there
	return nil
}

// head returns what an object says of itself; nil when there is none.
func (b *bucket) head(ctx context.Context, key string) (*Object, meta, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	info, err := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil && status(err) == http.StatusNotFound {
		// A HEAD's 404 cannot say what is missing: a GET does.
		var body io.ReadCloser
		if body, _, _, err = b.core.GetObject(ctx, b.name, key, minio.GetObjectOptions{}); err == nil {
			_ = body.Close()
			return nil, nil, fmt.Errorf("HEAD %s: 404, yet a GET finds it", key)
		}
		if r, ok := answered(err); ok && r.Code == minio.NoSuchKey {
			return nil, nil, nil
		}
	}
	if err != nil {
		return nil, nil, b.explain("HEAD", key, err)
	}
	m := meta(info.UserMetadata)
	o := &Object{Key: key, Bytes: info.Size, SHA256: m.Get(metaSHA256)}
	o.Records, _ = strconv.ParseUint(m.Get(metaRecords), 10, 64)
	o.Hash, _ = strconv.ParseUint(m.Get(metaHash), 10, 64)
	o.Units, _ = strconv.ParseUint(m.Get(metaUnits), 10, 64)
	return o, m, nil
}

// sum reads an object and returns the SHA-256 of its bytes.
func (b *bucket) sum(ctx context.Context, key string) (string, error) {
	body, _, _, err := b.core.GetObject(ctx, b.name, key, minio.GetObjectOptions{})
	if err != nil {
		return "", b.explain("GET", key, err)
	}
	h := sha256.New()
	_, err = io.Copy(h, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return "", b.explain("GET", key, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// keys hands every key below a prefix to each.
func (b *bucket) keys(ctx context.Context, prefix string, each func(key string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return b.explain("LIST", prefix, o.Err)
		}
		if err := each(o.Key); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// meta is an object's own metadata; stores disagree about upper case.
type meta map[string]string

// Get returns a value, whatever the case of its name.
func (m meta) Get(name string) string {
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// ranges says for people what a plan holds.
func ranges(parts []Part) string {
	var b strings.Builder
	for i, p := range parts {
		if b.Len() > 900 {
			fmt.Fprintf(&b, " and %d more", len(parts)-i)
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d:%d-%d", p.Shard, p.First, p.End)
	}
	return b.String()
}

func answered(err error) (minio.ErrorResponse, bool) {
	var r minio.ErrorResponse
	ok := errors.As(err, &r)
	return r, ok
}

func status(err error) int {
	r, _ := answered(err)
	return r.StatusCode
}

// storeError is what a bucket's store answered, or why it did not. It has no secret.
type storeError struct {
	bucket, text string
	err          error // of the connection; nil where the store answered
}

func (e *storeError) Error() string { return e.text }

func (e *storeError) Unwrap() error { return e.err }

// explain says in one line, without the secret, what went wrong.
func (b *bucket) explain(op, key string, err error) error {
	r, ok := answered(err)
	if !ok {
		return &storeError{b.name, fmt.Sprintf("%s %s in bucket %s: %v", op, key, b.name, err), err}
	}
	message := strings.Join(strings.Fields(r.Error()), " ")
	if len(message) > quotedBytes {
		message = message[:quotedBytes] + "…"
	}
	for _, secret := range b.secrets() {
		message = strings.ReplaceAll(message, secret, "(hidden)")
	}
	return &storeError{b.name, fmt.Sprintf("%s %s in bucket %s: status %d %s: %s", op, key, b.name, r.StatusCode, r.Code, message), nil}
}

// secrets are those that requests were signed with. New ones, where these have expired, are not asked for: nobody was told of them.
func (b *bucket) secrets() (all []string) {
	if b.creds.IsExpired() {
		return nil
	}
	v, err := b.creds.GetWithContext(nil)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc([]string{v.SecretAccessKey, v.SessionToken}, func(s string) bool { return s == "" })
}
