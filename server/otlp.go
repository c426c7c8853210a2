// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/shardstore"
)

// OTLP says where traces go. Without an endpoint there are none.
type OTLP struct {
	Endpoint string   `name:"endpoint" takes:"an http:// or https:// URL" placeholder:"URL" env:"ENDPOINT" help:"Send traces to this OpenTelemetry collector over OTLP/gRPC, such as http://127.0.0.1:4317; https for TLS. Without it nothing is traced, and tracing costs nothing."`
	Headers  []string `name:"header" takes:"a list of NAME=VALUE" secret:"" sep:"none" placeholder:"NAME=VALUE" env:"HEADER" help:"Send this header with the traces, such as a collector's credential; may be given more than once."`
	CAFile   string   `name:"ca-file" takes:"a PEM file" type:"path" placeholder:"FILE" env:"CA_FILE" help:"PEM file of certificate authorities to trust for an https collector."`
}

func (o *OTLP) validate() error {
	if o.Endpoint == "" {
		return errors.Join(
			check(len(o.Headers) == 0, "otlp-header", hidden, "give --otlp-endpoint, the collector that it is for"),
			check(o.CAFile == "", "otlp-ca-file", o.CAFile, "give --otlp-endpoint, the collector that it is for"),
		)
	}
	_, err := o.options()
	return err
}

// headerName is what gRPC takes as the name of an entry of metadata. It is sent in lower case.
var headerName = regexp.MustCompile(`^[0-9a-z_.-]+$`)

func (o *OTLP) options() (out tracing.Options, err error) {
	const remedy = "give http:// or https://, a host and a port, such as http://127.0.0.1:4317"
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil:
		return out, bad("otlp-endpoint", hidden, remedy) // it may hold a password
	case u.User != nil:
		return out, bad("otlp-endpoint", u.Redacted(), "it holds credentials: give them by --otlp-header, such as authorization=Basic …")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Port() == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return out, bad("otlp-endpoint", o.Endpoint, remedy)
	}
	out = tracing.Options{Endpoint: u.Host, Plain: u.Scheme == "http", Headers: map[string]string{}}
	for _, h := range o.Headers {
		name, value, ok := strings.Cut(h, "=")
		if name = strings.ToLower(name); !ok || !headerName.MatchString(name) || strings.HasPrefix(name, "grpc-") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return out, bad("otlp-header", hidden, "give NAME=VALUE, a name of letters, digits, -, _ and . and a value of visible ASCII characters")
		}
		out.Headers[name] = value
	}
	if out.Plain && o.CAFile != "" {
		return out, bad("otlp-ca-file", o.CAFile, "it is for an https:// endpoint: leave it out")
	}
	out.CA, err = readCA("otlp-ca-file", o.CAFile)
	return out, err
}

// tracer makes what traces are made with, and the logger that names them; nil, and log itself, where there are none.
func (c *Common) tracer(version, node string, log *slog.Logger) (*tracing.Tracer, *slog.Logger, error) {
	if c.OTLP.Endpoint == "" {
		return nil, log, nil
	}
	o, err := c.OTLP.options()
	if err != nil {
		return nil, nil, err
	}
	o.Sample, o.Version, o.Node, o.Logger = c.TraceSample, version, node, log
	t, err := tracing.New(o)
	if err != nil {
		return nil, nil, bad("otlp-endpoint", c.OTLP.Endpoint, "it cannot be used: %v", err)
	}
	return t, slog.New(t.Logs(log.Handler())), nil
}

// engineTracer is a tracer as the engine wants it: the engine knows no OpenTelemetry.
type engineTracer struct{ t *tracing.Tracer }

// forEngine returns nil where nothing is followed.
func forEngine(t *tracing.Tracer) shardstore.Tracer {
	if t == nil {
		return nil // not an interface that holds a nil
	}
	return engineTracer{t}
}

// Begin implements shardstore.Tracer.
func (e engineTracer) Begin(ctx context.Context, name string) (context.Context, shardstore.Span) {
	ctx, span := e.t.Begin(ctx, name)
	return ctx, spanOrNil(span)
}

// Work implements shardstore.Tracer.
func (e engineTracer) Work(ctx context.Context, name string) (context.Context, shardstore.Span) {
	ctx, span := e.t.Work(ctx, name)
	return ctx, spanOrNil(span)
}

// Carry implements shardstore.Tracer.
func (e engineTracer) Carry(ctx, from context.Context) context.Context { return e.t.Carry(ctx, from) }

func spanOrNil(s tracing.Span) shardstore.Span {
	if !s.Followed() {
		return nil
	}
	return s
}
