// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bodies answers as handlers do that read a body, that read none, and whose answers go on for long after it.
func bodies(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/none" {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "the body ended early", http.StatusBadRequest)
			return
		}
	}
	for i := range 3 {
		if r.URL.Path == "/stream" && i > 0 {
			t := time.NewTimer(time.Minute)
			select {
			case <-t.C:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, "%d", i)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}

// pipes are connections without a network, for time that passes at once.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p <- server
	return client, nil
}

// A body that does not arrive holds its connection for a minute, whatever the handler does, and an answer goes on as long as it likes.
func TestBodiesThatDoNotArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		s := httpServer(http.HandlerFunc(bodies), nil)
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(l) }()
		for _, path := range []string{"/all", "/none", "/stream"} {
			began := time.Now()
			c, err := l.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: leat\r\nContent-Length: 5\r\n\r\nab", path) }()
			answer, err := io.ReadAll(bufio.NewReader(c))
			if took := time.Since(began); err != nil || took > 90*time.Second || !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
				t.Errorf("%s: %q after %v, %v", path, answer, took, err)
			}
		}
		for _, version := range []int{1, 2} {
			tr := &http.Transport{DialContext: l.dial, Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP1(version == 1)
			tr.Protocols.SetUnencryptedHTTP2(version == 2)
			for _, body := range []string{"", "hello"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://leat/stream", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				res, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(res.Body)
				if err := errors.Join(err, res.Body.Close()); err != nil || string(answer) != "012" || res.ProtoMajor != version {
					t.Errorf("HTTP/%d, a body of %d: %q, %v", res.ProtoMajor, len(body), answer, err)
				}
			}
			tr.CloseIdleConnections()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
