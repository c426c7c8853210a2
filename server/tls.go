// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward"
)

// TLS says how both ports are encrypted. Without a certificate they are not.
type TLS struct {
	Cert       string `name:"cert" takes:"a PEM file; with --tls-key" type:"path" placeholder:"FILE" env:"CERT" help:"PEM file of the server's certificate, with those between it and its authority; encrypts both ports. It is read again when it changes."`
	Key        string `name:"key" takes:"a PEM file; with --tls-cert" type:"path" placeholder:"FILE" env:"KEY" help:"PEM file of the certificate's private key."`
	ClientCA   string `name:"client-ca" takes:"a PEM file; with --tls-cert" type:"path" placeholder:"FILE" env:"CLIENT_CA" help:"PEM file of authorities: clients must show a certificate of one of them, beside their credentials."`
	MinVersion string `name:"min-version" default:"1.2" enum:"1.2,1.3" env:"MIN_VERSION" help:"Oldest version of TLS that is accepted: 1.2 or 1.3."`
}

func (c *TLS) on() bool { return c.Cert != "" }

func (c *TLS) validate() error {
	return errors.Join(
		check(c.Cert == "" || c.Key != "", "tls-cert", c.Cert, "give both --tls-cert and --tls-key, or neither"),
		check(c.Key == "" || c.Cert != "", "tls-key", c.Key, "give both --tls-cert and --tls-key, or neither"),
		check(c.ClientCA == "" || c.on(), "tls-client-ca", c.ClientCA, "give --tls-cert and --tls-key too"),
		check(c.MinVersion == "" || c.MinVersion == "1.2" || c.MinVersion == "1.3", "tls-min-version", c.MinVersion, "give 1.2 or 1.3"),
	)
}

// lookEvery is how often files are looked at for changes, when connections come.
const lookEvery = time.Second

// certificates are the files of TLS, read again when they change. A change that cannot be read is logged, and what was read
// before goes on being used.
type certificates struct {
	files TLS
	clock leat.Clock
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	state  [3]fileState
	now    *tls.Config
}

type fileState struct {
	size int64
	at   time.Time
}

// newCertificates reads the files.
func newCertificates(files TLS, clock leat.Clock, log *slog.Logger) (*certificates, error) {
	c := &certificates{files: files, clock: clock, log: log, looked: clock.Now(), state: files.state()}
	var err error
	c.now, err = files.read()
	return c, err
}

// config is what a listener takes: each connection begins with the files as they are.
func (c *certificates) config() *tls.Config {
	first := c.current()
	outer := first.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil }
	return outer
}

func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if now.Sub(c.looked) < lookEvery {
		return c.now
	}
	c.looked = now
	state := c.files.state()
	if state == c.state {
		return c.now
	}
	next, err := c.files.read()
	if err != nil {
		// One of two files may have been written so far: the other one is to come.
		c.log.Warn("the certificate has changed and cannot be used; the one before it stays", "error", err)
		return c.now
	}
	c.state, c.now = state, next
	c.log.Info("the certificate was read again")
	return c.now
}

func (c *TLS) state() (s [3]fileState) {
	for i, name := range []string{c.Cert, c.Key, c.ClientCA} {
		if info, err := os.Stat(name); name != "" && err == nil {
			s[i] = fileState{info.Size(), info.ModTime()}
		}
	}
	return s
}

// read makes the configuration of the files as they are.
func (c *TLS) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, bad("tls-cert", c.Cert, "with --tls-key %s it cannot be used (%v): give a certificate and its key as PEM files", c.Key, err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.MinVersion == "1.3" {
		conf.MinVersion = tls.VersionTLS13
	}
	if c.ClientCA == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(filepath.Clean(c.ClientCA))
	if err != nil {
		return nil, bad("tls-client-ca", c.ClientCA, "it cannot be read (%v): give a PEM file that this process may read", err)
	}
	conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, bad("tls-client-ca", c.ClientCA, "it holds no PEM certificate: give a file of the clients' authorities")
	}
	return conf, nil
}

// certificateMetrics tell until when certificates hold that a node shows; there is no series without TLS.
type certificateMetrics struct {
	ports  *tls.Config
	peers  *forward.TLS
	expiry *prometheus.Desc
}

func newCertificateMetrics(ports *tls.Config, peers *forward.TLS) *certificateMetrics {
	return &certificateMetrics{
		ports: ports, peers: peers,
		expiry: prometheus.NewDesc("leat_certificate_expiry_timestamp_seconds", "Until when the certificate holds that this node shows: clients (of=ports), other nodes (of=peers). Absent without TLS.", []string{"of"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *certificateMetrics) Describe(c chan<- *prometheus.Desc) { c <- m.expiry }

// Collect implements prometheus.Collector.
func (m *certificateMetrics) Collect(c chan<- prometheus.Metric) {
	tell := func(shown *tls.Certificate, of string) {
		if shown.Leaf != nil {
			c <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(shown.Leaf.NotAfter.Unix()), of)
		}
	}
	if m.ports != nil {
		if now, err := m.ports.GetConfigForClient(nil); err == nil {
			tell(&now.Certificates[0], "ports")
		}
	}
	if m.peers != nil {
		tell(m.peers.Certificate(), "peers")
	}
}
