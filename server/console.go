// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/web"
)

// newConsole makes the pages for people. Where callers need no credential, people need not sign in.
func (s *Server) newConsole(p *parts, secret []byte, failures *auth.Failures) (*web.Console, error) {
	bearers := s.bearers(p)
	if p.nodes != nil {
		secret = p.nodes // whoever seals a cookie is believed what it says
	}
	o := web.Options{
		Broker: s.broker, Auth: bearers, Failures: failures, Secret: secret,
		Info: web.Info{Version: p.version, Node: p.node}, Logger: p.log, Metrics: s.metrics, OIDC: s.oidc, Tracer: p.tracer,
	}
	if _, err := bearers.Authenticate(""); err == nil {
		o.Open = true
	} else {
		o.Keys, o.Login = s.keys, s.login
	}
	return web.New(o)
}
