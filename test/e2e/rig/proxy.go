// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP address in front of others. In front of one node it is the road on which other nodes come, which can be
// cut; in front of several it is a load balancer, which takes the next one that lets it connect.
type Proxy struct {
	Addr string // 127.0.0.1:port

	listener net.Listener
	targets  []string
	all      sync.WaitGroup

	mu     sync.Mutex
	next   int
	cut    bool
	silent chan struct{} // closed when bytes pass again; nil while they do
	closed bool
	conns  map[net.Conn]struct{}
}

// NewProxy makes a proxy, which lives as long as the test. Its targets need not listen yet.
func NewProxy(tb testing.TB, targets ...string) *Proxy {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, targets: targets, conns: map[net.Conn]struct{}{}}
	p.all.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Cut breaks every connection, and each new one at once, until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.dropLocked()
}

// Silence lets no byte pass until Mend, while connections stay and new ones come about: a peer that hangs.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent == nil {
		p.silent = make(chan struct{})
	}
}

// Mend lets everything pass again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.speakLocked()
}

func (p *Proxy) speakLocked() {
	if p.silent != nil {
		close(p.silent)
		p.silent = nil
	}
}

func (p *Proxy) dropLocked() {
	for c := range p.conns {
		_ = c.Close() // its pumps notice
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close() // accept ends
	p.mu.Lock()
	p.closed, p.cut = true, true
	p.dropLocked()
	p.speakLocked()
	p.mu.Unlock()
	p.all.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.all.Go(func() { p.join(c) })
	}
}

// join carries one connection until either end closes it.
func (p *Proxy) join(from net.Conn) {
	defer from.Close()
	if !p.keep(from) {
		return
	}
	defer p.forget(from)
	to, err := p.dial()
	if err != nil {
		return // as the target itself would refuse
	}
	defer to.Close()
	if !p.keep(to) {
		return
	}
	defer p.forget(to)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			p.pump(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close() // the other way ends too
		})
	}
	both.Wait()
}

// dial connects to the next target that lets it.
func (p *Proxy) dial() (c net.Conn, err error) {
	p.mu.Lock()
	first := p.next
	p.next++
	p.mu.Unlock()
	for i := range p.targets {
		if c, err = net.DialTimeout("tcp", p.targets[(first+i)%len(p.targets)], time.Second); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// keep notes a connection, unless there may be none now.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cut {
		p.conns[c] = struct{}{}
	}
	return !p.cut
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// pump carries bytes one way.
func (p *Proxy) pump(from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.pass()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass returns when bytes may pass.
func (p *Proxy) pass() {
	for {
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent == nil {
			return
		}
		<-silent
	}
}
