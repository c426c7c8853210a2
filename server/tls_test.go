// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/internal/tlstest"
	"github.com/leatstream/leat/server"
)

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
	dir, ca := t.TempDir(), tlstest.NewAuthority(t, "our authority")
	cert, key := ca.Files(t, dir, "first", time.Hour)
	s := leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) { c.TLS = server.TLS{Cert: cert, Key: key} }))
	web := strings.TrimPrefix(strings.TrimPrefix(s.HTTP, "http://"), "https://")

	// gRPC and the Go client.
	cl, err := client.Dial("https://"+s.Endpoint, client.WithCA(ca.Pool()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := cl.System.GetServerInfo(t.Context(), &leatv1.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	// HTTP by both versions.
	for want, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		tr := &http.Transport{TLSClientConfig: ca.Client(), ForceAttemptHTTP2: h2}
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
		conf := ca.Client()
		conf.NextProtos = []string{"h2", "http/1.1"}
		if _, protocol, err := served(t, address, conf); err != nil || protocol != "h2" {
			t.Errorf("%s: %q, %v", address, protocol, err)
		}
		conf.MinVersion, conf.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 //nolint:gosec // it must be refused
		if _, _, err := served(t, address, conf); err == nil {
			t.Errorf("%s accepts TLS 1.1", address)
		}
		if _, _, err := served(t, address, tlstest.NewAuthority(t, "another authority").Client()); err == nil {
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
	tlstest.Write(t, cert, []byte("no certificate"))
	if name, _, err := served(t, web, ca.Client()); err != nil || name != "first" {
		t.Errorf("with a broken file: %q, %v", name, err)
	}
	ca.Files(t, dir, "second", time.Hour)
	for _, address := range []string{web, s.Endpoint} {
		conf := ca.Client()
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
	dir, ca, clients := t.TempDir(), tlstest.NewAuthority(t, "our authority"), tlstest.NewAuthority(t, "the clients' authority")
	cert, key := ca.Files(t, dir, "server", time.Hour)
	theirs := tlstest.Write(t, filepath.Join(dir, "clients.pem"), clients.CA())
	s := leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) {
		c.TLS = server.TLS{Cert: cert, Key: key, ClientCA: theirs, MinVersion: "1.3"}
	}))
	call := func(signer *tlstest.Authority) error {
		t.Helper()
		opts := []client.Option{client.WithCA(ca.Pool())}
		if signer != nil {
			pair, err := tls.X509KeyPair(signer.Pair(t, "app", time.Hour))
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
	conf := ca.Client()
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
