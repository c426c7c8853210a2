// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"net/http"
	"time"
)

// httpServer serves all that speaks HTTP. conf is nil where connections are not encrypted.
//
// What a caller may keep waiting is bounded here, once for all handlers: ReadTimeout ends a request whose body does not arrive, also
// where its handler does not read it, and ends with the body, so that answers may go on for longer. No handler sets a read deadline
// of its own: taken away too early, net/http would wait for the rest of the body for ever.
func httpServer(handler http.Handler, conf *tls.Config) *http.Server {
	edge := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	edge.Protocols = new(http.Protocols)
	edge.Protocols.SetHTTP1(true)
	edge.Protocols.SetUnencryptedHTTP2(conf == nil)
	edge.Protocols.SetHTTP2(conf != nil)
	edge.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          1000,      // one connection carries all the subscriptions of a consumer
		MaxReceiveBufferPerStream:     2 << 20,   // two batches of 500 KiB in base64
		MaxReceiveBufferPerConnection: 4<<20 - 1, // as much as is allowed: many batches are in flight on one connection
	}
	if conf != nil {
		edge.TLSConfig = conf.Clone()
	}
	return edge
}
