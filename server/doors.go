// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/leatstream/leat"
)

// doors are where a server listens, and what it encrypts with there. They are opened before storage is: a wrong address or
// certificate is refused while nothing has changed yet.
type doors struct {
	http, grpc net.Listener
	peers      net.Listener // nil when other nodes use grpc
	tls        *tls.Config  // nil: http and grpc are not encrypted
}

func openDoors(ctx context.Context, c *Common, peerAddr string, log *slog.Logger) (d doors, err error) {
	defer func() {
		if err != nil {
			d.shut()
		}
	}()
	if c.TLS.on() {
		certs, err := newCertificates(c.TLS, leat.SystemClock{}, log)
		if err != nil {
			return d, err
		}
		d.tls = certs.config()
	}
	if d.http, err = listen(ctx, "http-addr", c.HTTPAddr); err != nil {
		return d, err
	}
	if d.grpc, err = listen(ctx, "grpc-addr", c.GRPCAddr); err != nil {
		return d, err
	}
	if peerAddr != "" {
		d.peers, err = listen(ctx, "peer-addr", peerAddr)
	}
	return d, err
}

// forNodes is the address where this node listens for others.
func (d doors) forNodes() string {
	if d.peers != nil {
		return d.peers.Addr().String()
	}
	return d.grpc.Addr().String()
}

// shut may be called more than once.
func (d doors) shut() {
	for _, l := range []net.Listener{d.http, d.grpc, d.peers} {
		if l != nil {
			_ = l.Close() // closed already after a Run that went well
		}
	}
}

func listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, bad(flag, addr, "it cannot be listened on (%v): stop what uses it, or choose another port", err)
	}
	return l, nil
}
