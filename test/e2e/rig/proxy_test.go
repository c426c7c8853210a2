// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/leatstream/leat/test/e2e/rig"
)

// echo answers every connection with its own bytes, after a byte that tells which echo it is.
func echo(t *testing.T, name byte) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Write([]byte{name}); err == nil {
					_, _ = io.Copy(c, c)
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// call connects and returns the connection and who answered; 0 when nobody did.
func call(t *testing.T, p *rig.Proxy) (net.Conn, byte) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, read(c, rig.Patience)
}

// silence is how long nothing must come for it to count as nothing.
const silence = 300 * time.Millisecond

// read returns the next byte, 0 when none comes.
func read(c net.Conn, within time.Duration) byte {
	var b [1]byte
	_ = c.SetReadDeadline(time.Now().Add(within))
	if _, err := c.Read(b[:]); err != nil {
		return 0
	}
	return b[0]
}

func TestProxyIsCutAndMended(t *testing.T) {
	p := rig.NewProxy(t, echo(t, 'a').Addr().String())
	c, who := call(t, p)
	if who != 'a' {
		t.Fatalf("got %q", who)
	}
	p.Cut()
	if err := c.SetReadDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a cut connection gives %d bytes and %v: it is not cut", n, err)
	}
	if _, who := call(t, p); who != 0 {
		t.Errorf("while it is cut %q answers", who)
	}
	p.Mend()
	if _, who := call(t, p); who != 'a' {
		t.Errorf("after it was mended %q answers", who)
	}
}

func TestProxyIsSilent(t *testing.T) {
	p := rig.NewProxy(t, echo(t, 'a').Addr().String())
	c, _ := call(t, p)
	p.Silence()
	if _, err := c.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	if got := read(c, silence); got != 0 {
		t.Errorf("a silent proxy passes %q", got)
	}
	p.Mend()
	if got := read(c, rig.Patience); got != 'x' {
		t.Errorf("after that it passes %q: what was sent meanwhile is not there", got)
	}
}

func TestProxyTakesTheNextTarget(t *testing.T) {
	a, b := echo(t, 'a'), echo(t, 'b')
	p := rig.NewProxy(t, a.Addr().String(), b.Addr().String())
	seen := map[byte]int{}
	for range 4 {
		_, who := call(t, p)
		seen[who]++
	}
	if seen['a'] != 2 || seen['b'] != 2 {
		t.Errorf("answered: %v", seen)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, who := call(t, p); who != 'b' {
			t.Errorf("with one target gone %q answers", who)
		}
	}
}
