// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"net"
	"net/http"
	"strings"

	"github.com/leatstream/leat"
)

// RefusePages keeps web pages out of a server that asks for no credential. Whoever visits a page lets it send requests from their machine, and a server that
// listens on loopback addresses alone is no further away for it than for them. KindAccessDenied for a request to a host that is not this machine, as a
// page's own name is that its owner has pointed here (DNS rebinding), and for one that may change something and that a browser says comes from
// another site. Programs say neither.
func RefusePages(r *http.Request) error {
	if !LocalHost(r.Host) {
		return leat.Errorf(leat.KindAccessDenied, "this server lets everybody in, so it answers on localhost and loopback addresses alone, not as %.100q", r.Host)
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return leat.Errorf(leat.KindAccessDenied, "this server lets everybody in, but no page of another site, which sent this request")
	}
	return nil
}

// LocalHost tells whether a Host header names this machine.
func LocalHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
