// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
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
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/forward/internalv1"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodes"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue writes a node's files into a folder; it trusts the authority given, or the one that issues.
func (a *authority) issue(dir string, trusts *authority, valid time.Duration) forward.TLSFiles {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "node"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	f := forward.TLSFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
	for name, b := range map[string]*pem.Block{
		f.Cert: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: secret}, f.CA: {Type: "CERTIFICATE", Bytes: trusts.cert.Raw},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return f
}

// peerPort is a node's port for other nodes, without a session.
func peerPort(t *testing.T, files *forward.TLS) (addr string, creds *forward.Credentials) {
	t.Helper()
	creds, err := forward.NewCredentials(make([]byte, 32), leat.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := forward.NewServer(func() forward.Session { return nil }, nil, creds, nil, nil).NewGRPC(files.Server())
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
	ours, theirs := newAuthority(t), newAuthority(t)
	load := func(by, trusts *authority, valid time.Duration) *forward.TLS {
		files, err := forward.NewTLS(by.issue(t.TempDir(), trusts, valid), leat.SystemClock{}, log)
		if err != nil {
			t.Fatal(err)
		}
		return files
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
	old, fresh := newAuthority(t), newAuthority(t)
	dir, clock := t.TempDir(), &clockOf{}
	mine, err := forward.NewTLS(old.issue(dir, old, time.Hour), clock, log)
	if err != nil {
		t.Fatal(err)
	}
	addr, creds := peerPort(t, mine)
	peer, err := forward.NewTLS(fresh.issue(t.TempDir(), fresh, time.Hour), leat.SystemClock{}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := dials(t, addr, creds, peer.Client()); err == nil {
		t.Fatal("a node of another authority is let in")
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.ahead.Add(int64(time.Minute))
	same, err := forward.NewTLS(old.issue(t.TempDir(), old, time.Hour), leat.SystemClock{}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := dials(t, addr, creds, same.Client()); err != nil {
		t.Errorf("files that do not fit together yet: %v", err)
	}
	fresh.issue(dir, fresh, time.Hour)
	clock.ahead.Add(int64(time.Minute))
	if err := dials(t, addr, creds, peer.Client()); err != nil {
		t.Errorf("after the files have changed: %v", err)
	}
	if err := dials(t, addr, creds, same.Client()); err == nil {
		t.Error("a node of the authority of before is let in")
	}
}
