// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/leatstream/leat"
)

// trust is how a command meets a server that speaks TLS.
type trust struct {
	CA   string `name:"ca" aliases:"tls-ca" help:"Trust the authorities in this PEM file, and use TLS." env:"LEAT_CA" type:"existingfile" group:"Server" placeholder:"FILE"`
	Cert string `name:"client-cert" help:"Show the certificate in this PEM file to a server that asks for one." env:"LEAT_CLIENT_CERT" type:"existingfile" group:"Server" placeholder:"FILE"`
	Key  string `name:"client-key" help:"The private key of --client-cert." env:"LEAT_CLIENT_KEY" type:"existingfile" group:"Server" placeholder:"FILE"`
}

// tls is nil where no flag is given: TLS is then as an address says, and trusts what this machine trusts.
func (t *trust) tls() (*tls.Config, error) {
	if *t == (trust{}) {
		return nil, nil //nolint:nilnil // the nil configuration is the default
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, leat.Invalid("ca", "%s has no certificate in PEM form", t.CA)
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, leat.Invalid("client-cert", "--client-cert %q with --client-key %q cannot be used: %v", t.Cert, t.Key, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// http returns the URL of a server's HTTP address and a client for it. The client follows no redirection: Leat answers by none, and
// what a request carries is for the server that was named.
func (t *trust) http(endpoint string) (base *url.URL, c *http.Client, err error) {
	conf, err := t.tls()
	if err != nil {
		return nil, nil, err
	}
	base, err = httpBase(endpoint, conf != nil)
	if err != nil {
		return nil, nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	transport.TLSClientConfig = conf
	return base, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// httpBase checks the URL of a server: HOST:PORT is taken for https where that was asked for, and for http else.
func httpBase(endpoint string, secure bool) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		if secure {
			endpoint = "https://" + endpoint
		} else {
			endpoint = "http://" + endpoint
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, leat.Invalid("endpoint-http", "--endpoint-http %s: give http(s)://HOST:PORT", endpoint)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
