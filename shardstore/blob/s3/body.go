// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// lentBody gives the transport the caller's buffer for as long as Create runs.
// The transport may go on reading a body after it has answered (the store
// refused early, the context ended); by then the caller may be filling the
// buffer with something else, and that must never go out under the old key.
type lentBody struct {
	mu   sync.Mutex
	rest []byte
	back bool
}

var errTakenBack = errors.New("s3: the request is over")

func lend(body []byte) *lentBody { return &lentBody{rest: body} }

func (b *lentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.back {
		return 0, errTakenBack
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// takeBack ends the loan; no Read touches the buffer once it returned.
func (b *lentBody) takeBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.back, b.rest = true, nil
}

// listCheck refuses listings that are not a store's. minio-go decodes any XML,
// such as a proxy's page, into an empty one.
type listCheck struct{ next http.RoundTripper }

// maxList bounds a listing of 1000 keys of 1 KiB, escaped, with what belongs to
// them.
const maxList = 16 << 20

func (c listCheck) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	root := ""
	switch query := r.URL.Query(); {
	case query.Has("list-type"):
		root = "<ListBucketResult"
	case query.Has("versions"):
		root = "<ListVersionsResult"
	}
	if err != nil || resp.StatusCode != http.StatusOK || root == "" {
		return resp, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxList))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if !bytes.Contains(text, []byte(root)) {
		return nil, errors.New("the answer to a listing is none")
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}
