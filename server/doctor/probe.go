// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	probeWithin = 5 * time.Second
	probeMost   = 64 << 10
)

// probe asks a running server as SDKs do.
func probe(ctx context.Context, base string, conf *tls.Config, report func(Finding)) {
	base = strings.TrimSuffix(base, "/")
	ready := ask(ctx, base, conf, false, http.MethodGet, "/readyz", "", nil)
	switch {
	case errors.As(ready.err, new(*tls.CertificateVerificationError)):
		report(*certificates(ctx, base, conf, "--ca"))
		return
	case ready.err != nil:
		report(Finding{"server", Bad, ready.err.Error(), "nothing answers there", "start it, or give its --endpoint-http; where it asks for a certificate give --client-cert"})
		return
	case ready.code != http.StatusOK:
		report(Finding{"server", Warn, fmt.Sprintf("%d: %s", ready.code, bytes.TrimSpace(ready.body)), "it answers and serves no records: it stands by, recovers, or lacks something", "see the reasons"})
	default:
		report(Finding{Check: "server", Grade: OK, Found: "ready"})
	}
	if chain := certificates(ctx, base, conf, "--ca"); chain != nil {
		report(*chain)
	}
	// {} in CBOR, and an operation that needs no stream. Without a signature a server of leat serve refuses it, in the form
	// that was asked for: that is what is looked at.
	cbor := []byte{0xa0}
	for _, way := range []struct {
		name string
		h2   bool
		kind string
		body []byte
		who  string
	}{
		{"HTTP/1.1, JSON", false, "application/x-amz-json-1.1", []byte("{}"), "most SDKs and the AWS CLI"},
		{"HTTP/2, CBOR", true, "application/x-amz-cbor-1.1", cbor, "the SDKs for Java, and JavaScript's by HTTP/2"},
	} {
		f := Finding{Check: "AWS wire, " + way.name, Grade: Bad, Means: way.who + " speak it", Do: "a load balancer or proxy between must pass HTTP/2 (h2c with prior knowledge where there is no TLS) and bodies as they are"}
		a := ask(ctx, base, conf, way.h2, http.MethodPost, "/", way.kind, way.body)
		got := a.header.Get("Content-Type")
		switch {
		case a.err != nil:
			f.Found = a.err.Error()
		case way.h2 != (a.major == 2):
			f.Found = fmt.Sprintf("answered by HTTP/%d", a.major)
		case got != way.kind || a.header.Get("X-Amzn-Requestid") == "":
			f.Found = fmt.Sprintf("%d with the type %q: not an answer of Leat's", a.code, got)
		default:
			f = Finding{Check: f.Check, Grade: OK, Found: fmt.Sprintf("%d in the same form, in %s", a.code, short(a.took))}
		}
		report(f)
	}
}

type answer struct {
	code, major int
	header      http.Header
	body        []byte
	took        time.Duration
	err         error
}

// ask makes one request on a connection of its own.
func ask(ctx context.Context, base string, conf *tls.Config, h2 bool, method, path, kind string, body []byte) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	t := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: conf.Clone()}
	defer t.CloseIdleConnections()
	if h2 {
		t.Protocols.SetHTTP2(true)
		t.Protocols.SetUnencryptedHTTP2(true)
	} else {
		t.Protocols.SetHTTP1(true)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.ListStreams")
	}
	began := time.Now()
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	a = answer{code: res.StatusCode, major: res.ProtoMajor, header: res.Header}
	a.body, a.err = io.ReadAll(io.LimitReader(res.Body, probeMost))
	a.took = time.Since(began)
	return a
}
