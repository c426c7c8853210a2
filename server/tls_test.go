// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.cert, a.key, _ = a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

// issue signs a certificate, with its own key where there is no authority yet.
func (a *authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key, der
}

// pair makes a certificate for 127.0.0.1 and its key, in PEM.
func (a *authority) pair(name string) (cert, key []byte) {
	a.t.Helper()
	_, k, der := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

func write(t *testing.T, file string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// files writes a server's certificate and key into a folder.
func (a *authority) files(dir, name string) (cert, key string) {
	a.t.Helper()
	c, k := a.pair(name)
	return write(a.t, filepath.Join(dir, "cert.pem"), c), write(a.t, filepath.Join(dir, "key.pem"), k)
}

func (a *authority) config() *tls.Config {
	return &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
}

// served is the name of the certificate that an address shows, and the protocol that was agreed on.
func served(t *testing.T, address string, conf *tls.Config) (name, protocol string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	s := c.(*tls.Conn).ConnectionState()
	return s.PeerCertificates[0].Subject.CommonName, s.NegotiatedProtocol, nil
}

func TestTLSOnBothPorts(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t, "our authority")
	cert, key := ca.files(dir, "first")
	s := leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) { c.TLS = server.TLS{Cert: cert, Key: key} }))
	web := strings.TrimPrefix(strings.TrimPrefix(s.HTTP, "http://"), "https://")

	// gRPC and the Go client.
	cl, err := client.Dial("https://"+s.Endpoint, client.WithCA(ca.pool))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := cl.System.GetServerInfo(t.Context(), &leatv1.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	// HTTP by both versions.
	for want, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		tr := &http.Transport{TLSClientConfig: ca.config(), ForceAttemptHTTP2: h2}
		res, err := (&http.Client{Transport: tr}).Get("https://" + web + "/v1/server")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		tr.CloseIdleConnections()
		if err != nil || res.StatusCode != http.StatusOK || res.Proto != want {
			t.Errorf("%s: %d %s, %v", res.Proto, res.StatusCode, body, err)
		}
	}
	for _, address := range []string{web, s.Endpoint} {
		conf := ca.config()
		conf.NextProtos = []string{"h2", "http/1.1"}
		if _, protocol, err := served(t, address, conf); err != nil || protocol != "h2" {
			t.Errorf("%s: %q, %v", address, protocol, err)
		}
		conf.MinVersion, conf.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 //nolint:gosec // it must be refused
		if _, _, err := served(t, address, conf); err == nil {
			t.Errorf("%s accepts TLS 1.1", address)
		}
		if _, _, err := served(t, address, newAuthority(t, "another authority").config()); err == nil {
			t.Errorf("%s is trusted by an authority that did not sign its certificate", address)
		}
		// Who does not speak TLS gets nothing.
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v1/server", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := (&http.Client{}).Do(r); err == nil {
			if res.StatusCode == http.StatusOK {
				t.Errorf("%s answers without TLS", address)
			}
			_ = res.Body.Close()
		}
	}

	// A certificate that cannot be used leaves the one before; a new one is shown without a restart.
	write(t, cert, []byte("no certificate"))
	if name, _, err := served(t, web, ca.config()); err != nil || name != "first" {
		t.Errorf("with a broken file: %q, %v", name, err)
	}
	ca.files(dir, "second")
	for _, address := range []string{web, s.Endpoint} {
		conf := ca.config()
		conf.NextProtos = []string{"h2"}
		for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
			name, _, err := served(t, address, conf)
			if err != nil {
				t.Fatal(err)
			}
			if name == "second" {
				tick.Stop()
				break
			}
		}
	}
}

func TestClientCertificates(t *testing.T) {
	dir, ca, clients := t.TempDir(), newAuthority(t, "our authority"), newAuthority(t, "the clients' authority")
	cert, key := ca.files(dir, "server")
	theirs := write(t, filepath.Join(dir, "clients.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: clients.cert.Raw}))
	s := leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) {
		c.TLS = server.TLS{Cert: cert, Key: key, ClientCA: theirs, MinVersion: "1.3"}
	}))
	call := func(signer *authority) error {
		t.Helper()
		opts := []client.Option{client.WithCA(ca.pool)}
		if signer != nil {
			pair, err := tls.X509KeyPair(signer.pair("app"))
			if err != nil {
				t.Fatal(err)
			}
			opts = append(opts, client.WithClientCertificate(pair))
		}
		cl, err := client.Dial("https://"+s.Endpoint, opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		_, err = cl.System.GetServerInfo(t.Context(), &leatv1.GetServerInfoRequest{})
		return err
	}
	if err := call(clients); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	if call(nil) == nil || call(ca) == nil {
		t.Error("a client without a certificate of the right authority was accepted")
	}
	conf := ca.config()
	conf.MaxVersion = tls.VersionTLS12
	if _, _, err := served(t, s.Endpoint, conf); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

func TestTLSSettings(t *testing.T) {
	for want, c := range map[string]server.TLS{
		"tls-key": {Cert: "x"}, "tls-client-ca": {ClientCA: "x"}, "tls-min-version": {MinVersion: "1.1"},
	} {
		d := server.DevConfig{DataDir: t.TempDir(), Common: server.Common{
			HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off", PackEvery: time.Minute, TLS: c,
		}}
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
