// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/scaler"
	"github.com/leatstream/leat/shardstore/wal"
)

// Common is what `leat dev` and `leat serve` share. The struct tags are the flags, their help and their environment; a YAML file
// has the same names. takes is what docs/config.md says that a setting takes, secret marks what is never shown.
type Common struct {
	HTTPAddr    string        `name:"http-addr" takes:"HOST:PORT; HOST is an IP address, localhost or nothing (all addresses)" default:"127.0.0.1:4567" placeholder:"HOST:PORT" env:"LEAT_HTTP_ADDR" help:"Listen here for REST under /v1, the console under /console, /docs, /metrics, /healthz and /readyz. Port 0 lets the kernel choose."`
	GRPCAddr    string        `name:"grpc-addr" takes:"HOST:PORT; HOST is an IP address, localhost or nothing (all addresses)" default:"127.0.0.1:4568" placeholder:"HOST:PORT" env:"LEAT_GRPC_ADDR" help:"Listen here for gRPC. Port 0 lets the kernel choose."`
	Region      string        `name:"region" takes:"1 to 32 of a-z, 0-9 and -" default:"us-east-1" env:"LEAT_REGION" help:"The region that ARNs name and, with leat serve, that AWS requests must be signed for."`
	Memory      int64         `name:"memory-mib" takes:"16 to 1048576, or 0" default:"0" env:"LEAT_MEMORY_MIB" help:"Budget in MiB of recent records kept in memory for readers. 0: a quarter of the machine's memory, 1024 at most (dev: 256)."`
	PackEvery   time.Duration `name:"pack-every" takes:"1s to 1h" default:"1m" env:"LEAT_PACK_EVERY" help:"How long records stay in the session log before they are packed into larger objects (1s to 1h)."`
	LogLevel    string        `name:"log-level" default:"info" enum:"debug,info,warn,error" env:"LEAT_LOG_LEVEL" help:"Least severe message that is logged: debug, info, warn or error."`
	LogFormat   string        `name:"log-format" default:"text" enum:"text,json" env:"LEAT_LOG_FORMAT" help:"text for people, json for programs."`
	ShardLimits string        `name:"shard-limits" default:"${shard_limits}" enum:"aws,off" env:"LEAT_SHARD_LIMITS" help:"aws: a shard of a provisioned stream takes 1 MiB/s or 1,000 records/s and gives 2 MiB/s and 5 reads/s. off: no limits a shard."`
	ScaleLimits string        `name:"scale-limits" default:"off" enum:"aws,off" env:"LEAT_SCALE_LIMITS" help:"aws: a stream is scaled at most to double or to half its shards at once, and ten times in 24 hours. off: to any number, at any time."`
	OnDemand    string        `name:"on-demand-scaling" default:"on" enum:"on,off" env:"LEAT_ON_DEMAND_SCALING" help:"on: streams in on-demand mode split shards that stay hot and merge neighbours that stay cold. off: they keep the shards they have."`
	Transition  time.Duration `name:"transition-delay" takes:"20ms to 1m" default:"50ms" env:"LEAT_TRANSITION_DELAY" help:"How long CREATING, UPDATING and DELETING are visible at least: tools wait to see them (20ms to 1m)."`

	DeliveryMemory int64 `name:"delivery-memory-mib" takes:"64 to 1048576" default:"512" env:"LEAT_DELIVERY_MEMORY_MIB" help:"MiB of records that delivery streams hold in memory. They work on as many besides, and make as much more of these: a node has three times this for them, and 512 MiB at most that one range may go beyond."`

	PriceBook  string        `name:"price-book" takes:"a YAML file or the name of a book" default:"showback" env:"LEAT_PRICE_BOOK" help:"What usage costs: a YAML file, or one of the books that 'leat billing prices list' shows. All nodes should have the same."`
	AuditKeep  time.Duration `name:"audit-retention" takes:"24h to 87600h" default:"2160h" env:"LEAT_AUDIT_RETENTION" help:"How long the audit log keeps who asked for what (24h to 87600h)."`
	MetricKeep time.Duration `name:"metric-retention" takes:"1h to 360h, or 0" default:"6h" env:"LEAT_METRIC_RETENTION" help:"How long the statistics of each minute are kept that the CloudWatch API answers with (1h to 360h). 0: there are none."`
	ReadOnly   bool          `name:"read-only" env:"LEAT_READ_ONLY" help:"Maintenance: puts and changes that callers ask this node for are refused as UNAVAILABLE; reads go on."`
	TLS        TLS           `embed:"" prefix:"tls-" envprefix:"LEAT_TLS_" group:"TLS"`

	OIDC OIDC `embed:"" prefix:"oidc-" envprefix:"LEAT_OIDC_" group:"OpenID Connect"`

	OTLP        OTLP    `embed:"" prefix:"otlp-" envprefix:"LEAT_OTLP_" group:"Traces"`
	TraceSample float64 `name:"trace-sample" takes:"0 to 1" default:"0.01" env:"LEAT_TRACE_SAMPLE" group:"Traces" help:"How many of the requests are traced whose caller has not decided it by a traceparent (0 to 1)."`

	AuditEvery time.Duration `kong:"-"` // a round of the audit log; 0: its default

	Scaling scaler.Params `kong:"-"` // of on-demand scaling; no flags: docs/on-demand.md says what they are
}

// DevConfig is `leat dev`: everything in one process and one folder.
type DevConfig struct {
	Common  `embed:""`
	DataDir string `name:"data-dir" takes:"a folder that can be written" default:"leat-data" type:"path" env:"LEAT_DATA_DIR" help:"The folder that holds everything; made when absent. One process at a time."`
	Token   string `kong:"-" secret:""` // the operator's, as of leat serve; empty: anybody is an operator. No flag: for tests of who may do what
}

// ServeConfig is `leat serve`: Postgres and an S3-compatible bucket.
type ServeConfig struct {
	Common        `embed:""`
	Postgres      string `name:"postgres" takes:"a URL or key=value pairs, as libpq takes them" secret:"" placeholder:"DSN" env:"LEAT_POSTGRES" help:"PostgreSQL, as postgres://user:password@host/database."`
	Token         string `name:"token" takes:"16 characters or more" secret:"" placeholder:"SECRET" env:"LEAT_TOKEN" help:"Bootstrap token, 16 characters or more: clients send it as 'authorization: Bearer …'. Needed unless both addresses are loopback."`
	MasterKeyFile string `name:"master-key-file" takes:"a file that leat master-key made" type:"path" placeholder:"FILE" env:"LEAT_MASTER_KEY_FILE" help:"File with the master key, under which access keys, the keys of encrypted streams and what nodes know each other by are kept; make one with 'leat master-key'. Without it there are neither of the first two, and whoever reads the database can act as a node."`
	MasterKey     string `name:"master-key" takes:"the text of such a file" secret:"" hidden:"" env:"LEAT_MASTER_KEY" help:"The text of that file, for environments that hold secrets."`
	Profile       string `name:"profile" default:"balanced" enum:"balanced,cost,latency" env:"LEAT_PROFILE" help:"How records are gathered before a PUT: cost (up to 250 ms), balanced (50 ms) or latency (10 ms)."`
	Node          string `name:"node" takes:"up to 255 visible characters" placeholder:"NAME" env:"LEAT_NODE" help:"This node's name for people. Default: the host's name."`
	Share         bool   `name:"share-shards" default:"true" negatable:"" env:"LEAT_SHARE_SHARDS" help:"Share the shards with all other nodes. With --share-shards=false one node serves all of them and the others stand by until it is dead: for nodes that cannot reach each other. All nodes of a cluster are started alike."`
	Advertise     string `name:"advertise-address" takes:"HOST:PORT that another machine can reach" placeholder:"HOST:PORT" env:"LEAT_ADVERTISE_ADDRESS" help:"Where other nodes reach this one's gRPC. Default: the address that it listens on; where that is all addresses, the one from which this machine reaches PostgreSQL."`
	PeerAddr      string `name:"peer-addr" takes:"HOST:PORT, as --http-addr" placeholder:"HOST:PORT" env:"LEAT_PEER_ADDR" help:"Listen here for the other nodes alone, which --advertise-address tells then. Default: they use --grpc-addr."`
	PeerCert      string `name:"peer-tls-cert" takes:"a PEM file; all three or none" type:"path" placeholder:"FILE" env:"LEAT_PEER_TLS_CERT" help:"PEM certificate of this node for calls between nodes, both ways; with --peer-tls-key, --peer-tls-ca and --peer-addr. Files that change are read again."`
	PeerKey       string `name:"peer-tls-key" takes:"a PEM file; all three or none" type:"path" placeholder:"FILE" env:"LEAT_PEER_TLS_KEY" help:"PEM key of that certificate."`
	PeerCA        string `name:"peer-tls-ca" takes:"a PEM file; all three or none" type:"path" placeholder:"FILE" env:"LEAT_PEER_TLS_CA" help:"PEM certificate authorities of this cluster's nodes and of nobody else: whoever shows a certificate of theirs is a node."`
	S3            S3     `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
}

// S3 is where the bucket is.
type S3 struct {
	Endpoint  []string `name:"endpoint" takes:"http:// or https:// URLs" placeholder:"URL" env:"ENDPOINT" help:"http(s)://host:port of the object store; more than one for several doors to the same bucket."`
	Bucket    string   `name:"bucket" takes:"the name of a bucket that exists" env:"BUCKET" help:"An existing bucket."`
	Region    string   `name:"region" takes:"up to 64 of A-Z, a-z, 0-9, ., _ and -" default:"us-east-1" env:"REGION" help:"The region that requests are signed for."`
	Prefix    string   `name:"prefix" takes:"text that ends with a slash and does not begin with one" env:"PREFIX" help:"Put before every key, such as leat/prod/."`
	AccessKey string   `name:"access-key" takes:"an id that the store knows; with --s3-secret-key or not at all" env:"ACCESS_KEY" help:"Access key id."`
	SecretKey string   `name:"secret-key" takes:"its secret" secret:"" env:"SECRET_KEY" help:"Secret access key; better given in the environment than on the command line."`
	CAFile    string   `name:"ca-file" takes:"a PEM file" placeholder:"FILE" type:"path" env:"CA_FILE" help:"PEM file of certificate authorities to trust for https."`
}

// hidden stands for a value that nobody should see.
const hidden = "(hidden)"

// bad makes the error of one setting: its flag, its value, and what to do.
func bad(flag string, value any, remedy string, args ...any) error {
	if value == "" {
		value = `""`
	}
	return leat.Invalid(flag, "--%s %v: %s", flag, value, fmt.Sprintf(remedy, args...))
}

func (c *Common) validate() error {
	return errors.Join(
		c.TLS.validate(),
		c.OIDC.validate(),
		c.OTLP.validate(),
		check(c.TraceSample >= 0 && c.TraceSample <= 1, "trace-sample", c.TraceSample, "give 0 to 1"),
		checkAddr("http-addr", c.HTTPAddr),
		checkAddr("grpc-addr", c.GRPCAddr),
		check(c.AuditKeep == 0 || c.AuditKeep >= 24*time.Hour && c.AuditKeep <= 87600*time.Hour, "audit-retention", c.AuditKeep, "give 24h to 87600h"),
		check(c.MetricKeep == 0 || c.MetricKeep >= time.Hour && c.MetricKeep <= 360*time.Hour, "metric-retention", c.MetricKeep, "give 1h to 360h, or 0 for none"),
		check(c.Memory == 0 || c.Memory >= 16 && c.Memory <= 1<<20, "memory-mib", c.Memory, "give 16 to 1048576, or 0 for the default"),
		check(c.PackEvery >= time.Second && c.PackEvery <= time.Hour, "pack-every", c.PackEvery, "give 1s to 1h"),
		check(c.DeliveryMemory == 0 || c.DeliveryMemory >= 64 && c.DeliveryMemory <= 1<<20, "delivery-memory-mib", c.DeliveryMemory, "give 64 to 1048576"),
		oneOf("on-demand-scaling", c.OnDemand, "on", "off"),
		check(c.ShardLimits == "aws" || c.ShardLimits == "off", "shard-limits", c.ShardLimits, "give aws or off"),
		oneOf("scale-limits", c.ScaleLimits, "aws", "off"),
		check(c.Transition == 0 || c.Transition >= 20*time.Millisecond && c.Transition <= time.Minute, "transition-delay", c.Transition, "give 20ms to 1m"),
		check(regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(c.Region), "region", c.Region, "give a name such as us-east-1"),
		oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error"),
		oneOf("log-format", c.LogFormat, "text", "json"),
	)
}

func check(ok bool, flag string, value any, remedy string) error {
	if ok {
		return nil
	}
	return bad(flag, value, "%s", remedy)
}

// oneOf takes one of some words; none stands for the default.
func oneOf(flag, value string, words ...string) error {
	last := len(words) - 1
	return check(value == "" || slices.Contains(words, value), flag, value, "give "+strings.Join(words[:last], ", ")+" or "+words[last])
}

func checkAddr(flag, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return bad(flag, addr, "give HOST:PORT, such as 127.0.0.1:4567")
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return bad(flag, addr, "give an IP address or localhost before the port")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return bad(flag, addr, "give a port from 0 to 65535")
	}
	return nil
}

// Validate returns everything that is wrong, joined.
func (c *DevConfig) Validate() error {
	err := c.validate()
	if c.DataDir == "" {
		err = errors.Join(err, bad("data-dir", "", "give a folder"))
	}
	for _, door := range [][2]string{{"http-addr", c.HTTPAddr}, {"grpc-addr", c.GRPCAddr}} {
		if flag, addr := door[0], door[1]; checkAddr(flag, addr) == nil && !loopback(addr) {
			err = errors.Join(err, bad(flag, addr, "leat dev accepts any credentials, so it listens on loopback addresses alone; use leat serve for others"))
		}
	}
	return err
}

// Validate returns everything that is wrong, joined.
func (c *ServeConfig) Validate() error {
	errs := []error{
		c.validate(),
		check(c.Postgres != "", "postgres", "", "give the DSN of a PostgreSQL database, such as postgres://leat@127.0.0.1/leat"),
		check(len(c.S3.Endpoint) > 0, "s3-endpoint", "", "give the URL of the object store, such as http://127.0.0.1:9000"),
		check(c.S3.Bucket != "", "s3-bucket", "", "give the name of an existing bucket"),
		check((c.S3.AccessKey == "") == (c.S3.SecretKey == ""), "s3-secret-key", hidden, "give both --s3-access-key and --s3-secret-key, or neither"),
		check(c.S3.Prefix == "" || strings.HasSuffix(c.S3.Prefix, "/") && !strings.HasPrefix(c.S3.Prefix, "/"), "s3-prefix", c.S3.Prefix, "end it with a slash and begin it without one, such as leat/"),
		check(c.MasterKey == "" || c.MasterKeyFile == "", "master-key-file", c.MasterKeyFile, "LEAT_MASTER_KEY is set too: give one of them"),
		check(c.Advertise == "" || reachable(c.Advertise), "advertise-address", c.Advertise, "give HOST:PORT by which other nodes reach --grpc-addr, such as node-1.example.com:4568"),
		check(!c.Share || !c.TLS.on() || c.PeerAddr != "", "peer-addr", c.PeerAddr, "with --tls-cert the other nodes need a port of their own, such as 0.0.0.0:4569; or give --share-shards=false"),
		check(c.PeerAddr == "" || c.Share, "peer-addr", c.PeerAddr, "nodes that do not share the shards ask each other nothing: leave it out"),
		check(c.PeerCert == "" || c.PeerAddr != "", "peer-tls-cert", c.PeerCert, "give --peer-addr, a port for the other nodes"),
		check(c.Token == "" || len(c.Token) >= 16 && !strings.ContainsAny(c.Token, " \t\r\n"), "token", hidden, "make it 16 characters or longer, without white space"),
		check(regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`).MatchString(c.S3.Region), "s3-region", c.S3.Region, "give the name of the store's region, such as us-east-1"),
		check(regexp.MustCompile(`^[[:graph:]]{0,255}$`).MatchString(c.Node), "node", strconv.Quote(c.Node), "give up to 255 visible characters without spaces"),
		oneOf("profile", c.Profile, "balanced", "cost", "latency"),
	}
	for _, file := range [][2]string{{"peer-tls-cert", c.PeerCert}, {"peer-tls-key", c.PeerKey}, {"peer-tls-ca", c.PeerCA}} {
		if file[1] != "" && !allOrNone(c.PeerCert, c.PeerKey, c.PeerCA) {
			errs = append(errs, bad(file[0], file[1], "give --peer-tls-cert, --peer-tls-key and --peer-tls-ca, or none of them"))
		}
	}
	for _, e := range c.S3.Endpoint {
		errs = append(errs, checkEndpoint(e))
	}
	if c.PeerAddr != "" {
		errs = append(errs, checkAddr("peer-addr", c.PeerAddr))
	}
	if c.Token == "" && checkAddr("", c.HTTPAddr) == nil && checkAddr("", c.GRPCAddr) == nil && (!loopback(c.HTTPAddr) || !loopback(c.GRPCAddr)) {
		errs = append(errs, bad("token", "", "an address that is not loopback (%s, %s) needs a bootstrap token: set LEAT_TOKEN, or listen on 127.0.0.1", c.HTTPAddr, c.GRPCAddr))
	}
	return errors.Join(errs...)
}

// checkEndpoint takes the URL of an object store.
func checkEndpoint(text string) error {
	const flag, remedy = "s3-endpoint", "give http:// or https:// and a host, such as https://s3.eu-west-1.amazonaws.com"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return bad(flag, hidden, remedy) // it may hold a password
	case u.User != nil:
		return bad(flag, u.Redacted(), "it holds credentials: give them by --s3-access-key and --s3-secret-key")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return bad(flag, text, remedy)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return bad(flag, text, "end it after the host and port: the bucket is --s3-bucket")
	}
	return nil
}

// loopback tells whether only this machine can reach an address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// reachable tells whether another machine could make something of an address: it names a host and a port.
func reachable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "0" {
		return false
	}
	ip := net.ParseIP(host)
	_, err = net.LookupPort("tcp", port)
	return err == nil && (ip == nil || !ip.IsUnspecified())
}

func (c *Common) logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

func (c *ServeConfig) logParams() wal.Params {
	switch c.Profile {
	case "cost":
		return wal.CostParams()
	case "latency":
		return wal.LatencyParams()
	}
	return wal.ObjectParams()
}

// readCA returns the PEM file of certificate authorities; nil when none is given.
func readCA(flag, file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, bad(flag, file, "it cannot be read (%v): give a PEM file that this process may read", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, bad(flag, file, "it holds no PEM certificate: give a file of the authorities to trust")
	}
	return pem, nil
}

// allOrNone tells whether all of some settings are given, or none.
func allOrNone(settings ...string) bool {
	given := 0
	for _, s := range settings {
		if s != "" {
			given++
		}
	}
	return given == 0 || given == len(settings)
}
