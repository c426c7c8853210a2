// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"time"
)

const (
	dialWithin = 5 * time.Second
	expiresBad = 3 * 24 * time.Hour
	expiresIn  = 21 * 24 * time.Hour
)

// certificates checks the chain of an https URL as conf has it; nil for others. trust is the flag by which authorities are given.
func certificates(ctx context.Context, endpoint string, conf *tls.Config, trust string) *Finding {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" {
		return nil
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	f := &Finding{Check: "TLS of " + u.Host, Grade: Bad, Means: "clients that check certificates, as Leat does, do not connect"}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", host)
	if err != nil {
		f.Found, f.Do = err.Error(), "serve the whole chain, for this name; trust an authority of your own with "+trust
		return f
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	ends := state.PeerCertificates[0].NotAfter
	for _, c := range state.VerifiedChains[0] {
		if c.NotAfter.Before(ends) {
			ends = c.NotAfter
		}
	}
	f.Found = fmt.Sprintf("%s, a chain of %d that ends on %s", tls.VersionName(state.Version), len(state.VerifiedChains[0]), ends.Format(time.DateOnly))
	switch left := time.Until(ends); {
	case left < expiresBad:
		f.Do = "renew the certificate now"
	case left < expiresIn:
		f.Grade, f.Do = Warn, "renew the certificate, and see why that did not happen by itself"
	default:
		f.Grade, f.Means = OK, ""
	}
	return f
}

// withSystems trusts these authorities, in PEM form, beside the system's.
func withSystems(ca []byte) *tls.Config {
	roots, err := x509.SystemCertPool()
	if err != nil || roots == nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
