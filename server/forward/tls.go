// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/leatstream/leat"
)

// lookEvery is how often, at most, the files are looked at again.
const lookEvery = time.Second

// TLSFiles are PEM files.
type TLSFiles struct {
	Cert, Key string // of this node, for calls that it makes and takes
	CA        string // of the authorities whose certificates are those of nodes
}

// TLS is the mutual TLS between nodes. Whoever shows a certificate of the CA is a node, under whatever name and address:
// the CA MUST be the cluster's alone. The files are read again when they have changed, with the next connection.
type TLS struct {
	files TLSFiles
	clock leat.Clock
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  [3]fileStamp
	cert   *tls.Certificate
	pool   *x509.CertPool
}

type fileStamp struct {
	size int64
	at   time.Time
}

// NewTLS reads the files.
func NewTLS(files TLSFiles, clock leat.Clock, log *slog.Logger) (*TLS, error) {
	t := &TLS{files: files, clock: clock, log: log}
	stamp, err := t.stamps()
	if err == nil {
		err = t.read()
	}
	if err != nil {
		return nil, err
	}
	t.stamp, t.looked = stamp, clock.Now()
	return t, nil
}

func (t *TLS) stamps() (s [3]fileStamp, err error) {
	for i, name := range []string{t.files.Cert, t.files.Key, t.files.CA} {
		info, err := os.Stat(name)
		if err != nil {
			return s, err
		}
		s[i] = fileStamp{info.Size(), info.ModTime()}
	}
	return s, nil
}

// read takes in all three files, or none.
func (t *TLS) read() error {
	cert, err := tls.LoadX509KeyPair(t.files.Cert, t.files.Key)
	if err != nil {
		return fmt.Errorf("the certificate of this node and its key: %w", err)
	}
	pem, err := os.ReadFile(filepath.Clean(t.files.CA))
	if err != nil {
		return fmt.Errorf("the authorities of nodes: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no PEM certificate", t.files.CA)
	}
	t.cert, t.pool = &cert, pool
	return nil
}

// now returns what the files hold. Files that cannot be read, or do not fit together yet, change nothing.
func (t *TLS) now() (*tls.Certificate, *x509.CertPool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if now.Sub(t.looked) < lookEvery {
		return t.cert, t.pool
	}
	t.looked = now
	stamp, err := t.stamps()
	if err == nil && stamp != t.stamp {
		if err = t.read(); err == nil {
			t.stamp = stamp
			t.log.Info("the certificates between nodes were read again")
		}
	}
	if err != nil {
		t.log.Warn("the certificates between nodes stay as they are", "error", err)
	}
	return t.cert, t.pool
}

// Certificate is what this node shows to others now.
func (t *TLS) Certificate() *tls.Certificate {
	cert, _ := t.now()
	return cert
}

// verify returns a check of the other end's certificate, at each handshake, resumed ones too.
func (t *TLS) verify(usage x509.ExtKeyUsage) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the other end shows no certificate")
		}
		_, pool := t.now()
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: t.clock.Now(), KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
}

// Server is for the calls that this node takes: without a certificate of the CA there is no connection.
func (t *TLS) Server() credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert, // VerifyConnection verifies it: the CA may change
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, _ := t.now()
			return cert, nil
		},
		VerifyConnection: t.verify(x509.ExtKeyUsageClientAuth),
	})
}

// Client is for the calls that this node makes.
func (t *TLS) Client() credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it, by the CA and not by a name
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, _ := t.now()
			return cert, nil
		},
		VerifyConnection: t.verify(x509.ExtKeyUsageServerAuth),
	})
}
