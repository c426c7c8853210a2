// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tlstest"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/forward/internalv1"
)

// files writes a node's files into a folder; it trusts an authority that need not be the one that signs.
func files(t *testing.T, dir string, by, trusts *tlstest.Authority, valid time.Duration) forward.TLSFiles {
	t.Helper()
	cert, key := by.Files(t, dir, "node", valid)
	return forward.TLSFiles{Cert: cert, Key: key, CA: tlstest.Write(t, filepath.Join(dir, "ca.pem"), trusts.CA())}
}

// peerPort is a node's port for other nodes, without a session.
func peerPort(t *testing.T, conf *forward.TLS) (addr string, creds *forward.Credentials) {
	t.Helper()
	creds, err := forward.NewCredentials(make([]byte, 32), leat.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := forward.NewServer(func() forward.Session { return nil }, nil, creds, nil, nil).NewGRPC(conf.Server())
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return l.Addr().String(), creds
}

// dials makes one call by connections of its own; nil means that the node has answered it, if only to refuse it.
func dials(t *testing.T, addr string, creds *forward.Credentials, tls credentials.TransportCredentials) error {
	t.Helper()
	opts := []grpc.DialOption{grpc.WithTransportCredentials(tls)}
	if creds != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(creds))
	}
	c, err := grpc.NewClient(addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	shard := &internalv1.Shard{Stream: make([]byte, 16), Epoch: 1}
	_, err = internalv1.NewEngineServiceClient(c).Bounds(ctx, &internalv1.BoundsRequest{Session: make([]byte, 16), Shard: shard})
	if len(status.Convert(err).Details()) > 0 {
		return nil // what a node says of the call itself
	}
	return err
}

func TestPeersWithoutACertificateAreRefused(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	ours, theirs := tlstest.NewAuthority(t, "nodes"), tlstest.NewAuthority(t, "nodes")
	load := func(by, trusts *tlstest.Authority, valid time.Duration) *forward.TLS {
		conf, err := forward.NewTLS(files(t, t.TempDir(), by, trusts, valid), leat.SystemClock{}, log)
		if err != nil {
			t.Fatal(err)
		}
		return conf
	}
	addr, creds := peerPort(t, load(ours, ours, time.Hour))
	if err := dials(t, addr, creds, load(ours, ours, time.Hour).Client()); err != nil {
		t.Errorf("a node is refused: %v", err)
	}
	if err := dials(t, addr, nil, load(ours, ours, time.Hour).Client()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a certificate without the cluster's token: %v", err)
	}
	for about, tls := range map[string]credentials.TransportCredentials{
		"no TLS":                              insecure.NewCredentials(),
		"no certificate":                      credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}), //nolint:gosec // it is the one to be refused
		"a certificate of another authority":  load(theirs, ours, time.Hour).Client(),
		"a certificate that has expired":      load(ours, ours, -time.Hour).Client(),
		"a node that does not trust this one": load(ours, theirs, time.Hour).Client(),
	} {
		if err := dials(t, addr, creds, tls); err == nil || status.Code(err) == codes.Unauthenticated {
			t.Errorf("%s: the call came through (%v)", about, err)
		}
	}
}

// clockOf is a clock that a test moves.
type clockOf struct {
	leat.SystemClock
	ahead atomic.Int64
}

func (c *clockOf) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// A node changes to another authority without a restart: both its files and the other's change under them.
func TestCertificatesAreReadAgain(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	old, fresh := tlstest.NewAuthority(t, "nodes"), tlstest.NewAuthority(t, "nodes")
	dir, clock := t.TempDir(), &clockOf{}
	mine, err := forward.NewTLS(files(t, dir, old, old, time.Hour), clock, log)
	if err != nil {
		t.Fatal(err)
	}
	addr, creds := peerPort(t, mine)
	peer, err := forward.NewTLS(files(t, t.TempDir(), fresh, fresh, time.Hour), leat.SystemClock{}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := dials(t, addr, creds, peer.Client()); err == nil {
		t.Fatal("a node of another authority is let in")
	}
	tlstest.Write(t, filepath.Join(dir, "key.pem"), []byte("half a fi"))
	clock.ahead.Add(int64(time.Minute))
	same, err := forward.NewTLS(files(t, t.TempDir(), old, old, time.Hour), leat.SystemClock{}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := dials(t, addr, creds, same.Client()); err != nil {
		t.Errorf("files that do not fit together yet: %v", err)
	}
	files(t, dir, fresh, fresh, time.Hour)
	clock.ahead.Add(int64(time.Minute))
	if err := dials(t, addr, creds, peer.Client()); err != nil {
		t.Errorf("after the files have changed: %v", err)
	}
	if err := dials(t, addr, creds, same.Client()); err == nil {
		t.Error("a node of the authority of before is let in")
	}
}
