// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/leatstream/leat"
)

// refuseOnce is a server of HTTP/2 that says of the first request that it did nothing with it, and is gone.
func refuseOnce(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(conn, conn)
		if f.WriteSettings() != nil {
			return
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if _, ok := frame.(*http2.HeadersFrame); ok {
				_ = l.Close()
				_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
				return
			}
		}
	}()
	return l.Addr().String()
}

// A request that came back is not in doubt, and waits for another connection no longer than one that never left.
func TestPutThatComesBack(t *testing.T) {
	c, err := Dial(refuseOnce(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	const attempt = 30 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), attempt)
	defer cancel()
	began := time.Now()
	_, err = c.putBatch(ctx, "s", []*Record{{PartitionKey: "k"}}, 200*time.Millisecond)
	if leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > attempt/3 {
		t.Errorf("it waited %v", took)
	}
}
