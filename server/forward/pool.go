// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/wiremem"
)

const (
	connections     = 2                // to one peer: each has one goroutine that writes
	idleFor         = 30 * time.Second // before the connections to a peer are closed
	maxMessageBytes = 64 << 20         // more than what any page or batch has: the server's bounds decide
	window          = 4 << 20          // of one stream, as grpcapi's
	connWindow      = 16 << 20
	connBuffer      = 128 << 10
	connectWithin   = 2 * time.Second
)

// peerKey names a peer: a node that has begun another session is another one, so that nothing which an old connection
// has learned (that nobody answers) holds up the first calls to it.
type peerKey struct {
	session leat.SessionID
	address string
}

// peer is the connections to one session.
type peer struct {
	conns []*grpc.ClientConn
	turn  atomic.Uint32

	calls int       // under way; with pool.mu
	idle  time.Time // since when there are none; with pool.mu
}

func (p *peer) conn() *grpc.ClientConn { return p.conns[p.turn.Add(1)%uint32(len(p.conns))] }

// pool has the connections to all peers.
type pool struct {
	options []grpc.DialOption
	clock   leat.Clock

	mu     sync.Mutex
	peers  map[peerKey]*peer
	closed bool
}

func newPool(c *Config) *pool {
	tls, memory := c.TLS, c.Memory
	if tls == nil {
		tls = insecure.NewCredentials()
	}
	if memory == nil {
		memory = new(wiremem.Pool)
	}
	return &pool{clock: c.Clock, peers: map[peerKey]*peer{}, options: []grpc.DialOption{
		grpc.WithTransportCredentials(tls), grpc.WithPerRPCCredentials(c.Credentials), grpc.WithStatsHandler(marks{}),
		// No retries but those that gRPC makes of calls which the peer has certainly not begun, however large they are.
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{wiremem.NewCodec(memory)}), grpc.MaxRetryRPCBufferSize(maxMessageBytes),
			grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		experimental.WithBufferPool(memory),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(connBuffer), grpc.WithWriteBufferSize(connBuffer),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: connectWithin,
		}),
		grpc.WithNoProxy(),
	}}
}

// get returns the connections to a peer, which MUST be given back by put.
func (p *pool) get(k peerKey) (*peer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("forward: this node is stopping")
	}
	to := p.peers[k]
	if to == nil {
		to = &peer{}
		for range connections {
			c, err := grpc.NewClient("passthrough:///"+k.address, p.options...) // it connects when it is used
			if err != nil {
				closeAll([]*peer{to})
				return nil, err
			}
			to.conns = append(to.conns, c)
		}
		p.peers[k] = to
	}
	to.calls++
	return to, nil
}

func (p *pool) put(to *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to.calls--; to.calls == 0 {
		to.idle = p.clock.Now()
	}
}

// tidy closes the connections to peers that nobody has asked for long: those whose session is over, above all.
func (p *pool) tidy(now time.Time) {
	p.mu.Lock()
	var out []*peer
	for k, to := range p.peers {
		if to.calls == 0 && now.Sub(to.idle) >= idleFor {
			delete(p.peers, k)
			out = append(out, to)
		}
	}
	p.mu.Unlock()
	closeAll(out)
}

// close ends every call and refuses new ones.
func (p *pool) close() {
	p.mu.Lock()
	out := make([]*peer, 0, len(p.peers))
	for _, to := range p.peers {
		out = append(out, to)
	}
	p.peers, p.closed = nil, true
	p.mu.Unlock()
	closeAll(out)
}

func closeAll(peers []*peer) {
	for _, to := range peers {
		for _, c := range to.conns {
			_ = c.Close() // fails only when it was closed before
		}
	}
}
