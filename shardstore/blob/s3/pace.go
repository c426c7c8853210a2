// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// What a body may take. Tests change it.
var (
	slowest   int64 = 128 << 10        // bytes a second: 64 MiB may take almost nine minutes
	bodyGrace       = 30 * time.Second // beside that
)

// pace ends requests whose bodies stand still, in either direction, over a connection that lives: a gateway that hangs
// would otherwise hold the packer, a recovery or all readers of a window for ever. The log's own tries end much earlier.
type pace struct{ next http.RoundTripper }

// bodyTime is how long a body of so many bytes may take. One of unknown length, less than 0, is a short answer's.
func bodyTime(length int64) time.Duration {
	return bodyGrace + time.Duration(float64(max(length, 0))/float64(slowest)*float64(time.Second))
}

func (p pace) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(bodyTime(r.ContentLength), func() {
		cancel(tooSlow("took in"))
	})
	resp, err := p.next.RoundTrip(r.WithContext(ctx))
	timer.Stop()
	if err != nil {
		cancel(nil)
		return nil, err
	}
	length := resp.ContentLength
	if part, _, err := parseRange(resp.Header.Get("Content-Range")); length < 0 && err == nil { // a gateway that sends chunks
		length = part.to - part.from
	}
	timer = time.AfterFunc(bodyTime(length), func() {
		cancel(tooSlow("sent"))
	})
	resp.Body = &pacedBody{ReadCloser: resp.Body, end: sync.OnceFunc(func() {
		timer.Stop()
		cancel(nil)
	})}
	return resp, nil
}

func tooSlow(what string) error {
	return fmt.Errorf("the store %s less than %d KiB a second of a body", what, slowest>>10)
}

// pacedBody ends what watches over a body once it is closed.
type pacedBody struct {
	io.ReadCloser
	end func()
}

func (b *pacedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
