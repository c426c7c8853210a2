// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
)

// DefaultEndpoint is the gRPC address of a server on this machine.
const DefaultEndpoint = "127.0.0.1:4568"

// Client is a connection to a Leat server. All methods may be called concurrently. It connects when it is first used,
// and again by itself when the connection was lost.
type Client struct {
	Streams   leatv1.StreamServiceClient
	Shards    leatv1.ShardServiceClient
	Records   leatv1.RecordServiceClient
	Consumers leatv1.ConsumerServiceClient
	Resources leatv1.ResourceServiceClient
	Account   leatv1.AccountServiceClient
	Billing   leatv1.BillingServiceClient
	Keys      leatv1.KeyServiceClient
	Delivery  leatv1.DeliveryServiceClient
	Identity  leatv1.IdentityServiceClient
	Audit     leatv1.AuditServiceClient
	System    leatv1.SystemServiceClient

	endpoint string
	conn     *grpc.ClientConn
}

// Option changes how Dial connects.
type Option func(*dialOptions)

type dialOptions struct {
	token     string
	account   string
	secure    bool
	insecure  bool
	roots     *x509.CertPool
	cert      *tls.Certificate
	serverTLS *tls.Config
	grpc      []grpc.DialOption
}

// WithToken sends a token with every call, as authorization: Bearer. Over a network that takes TLS.
func WithToken(token string) Option { return func(o *dialOptions) { o.token = token } }

// WithAccount acts for an account in every call, by the header x-leat-account. It takes an operator: the server's own token,
// or `leat dev`. Empty is the token's own account.
func WithAccount(account string) Option { return func(o *dialOptions) { o.account = account } }

// WithTLS connects by TLS and trusts what this machine trusts.
func WithTLS() Option { return func(o *dialOptions) { o.secure = true } }

// WithCA connects by TLS and trusts these authorities alone.
func WithCA(roots *x509.CertPool) Option {
	return func(o *dialOptions) { o.secure, o.roots = true, roots }
}

// WithClientCertificate connects by TLS and shows a certificate to a server that asks for one.
func WithClientCertificate(cert tls.Certificate) Option {
	return func(o *dialOptions) { o.secure, o.cert = true, &cert }
}

// WithTLSConfig connects by TLS as c says.
func WithTLSConfig(c *tls.Config) Option {
	return func(o *dialOptions) { o.secure, o.serverTLS = true, c }
}

// WithPlaintext allows a token to be sent without TLS to another machine: for networks that are encrypted themselves.
func WithPlaintext() Option { return func(o *dialOptions) { o.insecure = true } }

// WithGRPC adds options of gRPC, after Dial's own.
func WithGRPC(opts ...grpc.DialOption) Option {
	return func(o *dialOptions) { o.grpc = append(o.grpc, opts...) }
}

// Sizes of messages and of HTTP/2's windows: an answer has 10 MiB of data and keys and some more around them.
const (
	maxMessage   = 32 << 20
	streamWindow = 4 << 20
	connWindow   = 16 << 20
	ioBuffer     = 128 << 10
)

// Dial makes a client of the server at endpoint: host:port, or https://host:port for TLS. Empty means LEAT_ENDPOINT, or
// else DefaultEndpoint. It does not wait for a connection: Ready does.
func Dial(endpoint string, opts ...Option) (*Client, error) {
	if endpoint == "" {
		endpoint = os.Getenv("LEAT_ENDPOINT")
	}
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	var o dialOptions
	for _, opt := range opts {
		opt(&o)
	}
	address, err := o.parse(endpoint)
	if err != nil {
		return nil, err
	}
	c := &Client{endpoint: address}
	c.conn, err = grpc.NewClient(address, append(c.dialOptions(&o), o.grpc...)...)
	if err != nil {
		return nil, leat.Invalid("endpoint", "endpoint %q: %v", endpoint, err)
	}
	c.Streams = leatv1.NewStreamServiceClient(c.conn)
	c.Shards = leatv1.NewShardServiceClient(c.conn)
	c.Records = leatv1.NewRecordServiceClient(c.conn)
	c.Consumers = leatv1.NewConsumerServiceClient(c.conn)
	c.Resources = leatv1.NewResourceServiceClient(c.conn)
	c.Account = leatv1.NewAccountServiceClient(c.conn)
	c.Billing = leatv1.NewBillingServiceClient(c.conn)
	c.Keys = leatv1.NewKeyServiceClient(c.conn)
	c.Delivery = leatv1.NewDeliveryServiceClient(c.conn)
	c.Identity = leatv1.NewIdentityServiceClient(c.conn)
	c.Audit = leatv1.NewAuditServiceClient(c.conn)
	c.System = leatv1.NewSystemServiceClient(c.conn)
	return c, nil
}

// parse reads the scheme off an endpoint and checks the rest.
func (o *dialOptions) parse(endpoint string) (address string, err error) {
	address = endpoint
	if rest, ok := strings.CutPrefix(endpoint, "https://"); ok {
		address, o.secure = rest, true
	} else if rest, ok := strings.CutPrefix(endpoint, "http://"); ok {
		address = rest
	}
	address = strings.TrimSuffix(address, "/")
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return "", leat.Invalid("endpoint", "endpoint %q must be host:port of a gRPC address, such as %s", endpoint, DefaultEndpoint)
	}
	if o.token != "" && !o.secure && !o.insecure && !loopback(host) {
		return "", leat.Invalid("endpoint", "a token would go to %s in clear: use https://%s, or allow plaintext", address, address)
	}
	return address, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (c *Client) dialOptions(o *dialOptions) []grpc.DialOption {
	creds := insecure.NewCredentials()
	if o.secure {
		conf := o.serverTLS
		if conf == nil {
			conf = &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12}
			if o.cert != nil {
				conf.Certificates = []tls.Certificate{*o.cert}
			}
		}
		creds = credentials.NewTLS(conf)
	}
	memory := new(wiremem.Pool)
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		experimental.WithBufferPool(memory),
		grpc.WithStatsHandler(departures{}),
		grpc.WithChainUnaryInterceptor(c.unary),
		grpc.WithChainStreamInterceptor(c.streaming),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{wiremem.NewCodec(memory)}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(ioBuffer), grpc.WithWriteBufferSize(ioBuffer),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithUserAgent("leat-go"),
		grpc.WithDisableServiceConfig(), // no retries but ours: a put that was repeated unseen could stand twice
	}
	if o.token != "" || o.account != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(bearer{o.token, o.account}))
	}
	return opts
}

// bearer sends a token and an account; parse has checked where to.
type bearer struct{ token, account string }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	sent := map[string]string{}
	if b.token != "" {
		sent["authorization"] = "Bearer " + b.token
	}
	if b.account != "" {
		sent["x-leat-account"] = b.account
	}
	return sent, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// Endpoint is the address that Dial was given, without a scheme.
func (c *Client) Endpoint() string { return c.endpoint }

// Conn is the connection, for other services of the server.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Ready connects and returns when a connection stands; KindUnavailable as soon as an attempt has failed.
func (c *Client) Ready(ctx context.Context) error {
	for {
		state := c.conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return c.nothingAnswers(nil)
		case connectivity.Idle:
			c.conn.Connect()
		}
		if !c.conn.WaitForStateChange(ctx, state) || ctx.Err() != nil { // when both have come it says either
			return c.nothingAnswers(ctx.Err())
		}
	}
}

// connected waits for a connection, over failed attempts, for as long as patience says.
func (c *Client) connected(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		switch state := c.conn.GetState(); state {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return c.nothingAnswers(nil)
		default:
			if state == connectivity.Idle {
				c.conn.Connect()
			}
			if !c.conn.WaitForStateChange(ctx, state) || ctx.Err() != nil {
				return c.nothingAnswers(ctx.Err())
			}
		}
	}
}

func (c *Client) nothingAnswers(cause error) error {
	e := &leat.Error{Kind: leat.KindUnavailable, Op: "Dial", Message: "nothing answers at " + c.endpoint}
	if cause != nil {
		e.Err = silent{cause}
	}
	return e
}

// Close ends the connection and every call on it. It may be called twice.
func (c *Client) Close() error {
	if c.conn.GetState() == connectivity.Shutdown {
		return nil
	}
	return c.conn.Close()
}
