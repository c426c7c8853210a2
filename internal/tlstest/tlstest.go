// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package tlstest makes certificates for tests: an authority, and what it signs for 127.0.0.1.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// NewAuthority makes an authority, which is valid for a year.
func NewAuthority(tb testing.TB, name string) *Authority {
	tb.Helper()
	a := &Authority{pool: x509.NewCertPool()}
	a.cert, a.key = a.sign(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, 365*24*time.Hour)
	a.pool.AddCert(a.cert)
	return a
}

// sign makes a certificate and its key: with its own where there is no authority yet.
func (a *Authority) sign(tb testing.TB, c *x509.Certificate, valid time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(valid)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return made, key
}

// Pair makes a certificate for servers at 127.0.0.1 and for clients, and its key, both in PEM. It is valid for so long from
// now on; a negative time makes one that has ended.
func (a *Authority) Pair(tb testing.TB, name string, valid time.Duration) (cert, key []byte) {
	tb.Helper()
	c, k := a.sign(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, valid)
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return certPEM(c), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// Files writes a Pair to cert.pem and key.pem in a folder, in the place of those that are there.
func (a *Authority) Files(tb testing.TB, dir, name string, valid time.Duration) (cert, key string) {
	tb.Helper()
	c, k := a.Pair(tb, name, valid)
	return Write(tb, filepath.Join(dir, "cert.pem"), c), Write(tb, filepath.Join(dir, "key.pem"), k)
}

// CA is the authority's own certificate in PEM: what trusts it.
func (a *Authority) CA() []byte { return certPEM(a.cert) }

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool { return a.pool }

// Client is how a client that trusts the authority alone speaks TLS.
func (a *Authority) Client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Write makes a file that its owner alone may read, or replaces its content, and returns its name.
func Write(tb testing.TB, file string, content []byte) string {
	tb.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}
