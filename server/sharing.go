// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/grpcapi"
)

// sharing is how a node that shares the shards with others asks them, and answers them.
type sharing struct {
	router *forward.Router
	server *forward.Server
	peers  *grpc.Server // on a port of its own; nil when other nodes use the public one
}

// newSharing makes both. What they hand to the node's session is limited and counted by the broker, which is made later
// and tells other nodes what it has counted.
func newSharing(node *cluster.Node, metered func(broker.OwnShards) broker.Metered, report forward.Report, info catalog.ClusterInfo, p *parts) (*sharing, error) {
	creds, err := forward.NewCredentials(info.Secret[:], leat.SystemClock{})
	if p.nodes != nil {
		creds, err = forward.NewSealedCredentials(p.nodes, info.Secret[:], node.Owners().Former, leat.SystemClock{})
	}
	if err != nil {
		return nil, err
	}
	local := func() forward.Session {
		if s := node.Store(); s != nil {
			return metered(s)
		}
		return nil // not an interface that holds a nil
	}
	var out, in credentials.TransportCredentials // nil: not encrypted
	if p.peerTLS != nil {
		out, in = p.peerTLS.Client(), p.peerTLS.Server()
	}
	router, err := forward.NewRouter(forward.Config{Local: local, Owners: node.Owners(), Credentials: creds, TLS: out, Tracer: p.tracer})
	if err != nil {
		return nil, err
	}
	s := &sharing{router: router, server: forward.NewServer(local, report, creds, p.tracer, p.log)}
	if p.doors.peers != nil {
		s.peers = s.server.NewGRPC(in)
	}
	return s, nil
}

// metrics count what this node hands to others.
func (s *sharing) metrics() []prometheus.Collector {
	counter := func(name, help string, value func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	return []prometheus.Collector{
		counter("leat_forwarded_puts_total", "Calls by which this node handed puts to the owners of their shards.", func() uint64 { n, _ := s.router.Forwarded(); return n }),
		counter("leat_forwarded_records_total", "Records in those calls.", func() uint64 { _, n := s.router.Forwarded(); return n }),
	}
}

// stop ends the calls of other nodes, at once when ctx ends.
func (s *sharing) stop(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.peers.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.peers.Stop()
		<-done
	}
}

// owns tells whether this node's session has a shard now. The directory does not hear of shards that move.
func (s *Server) owns(shard leat.ShardKey) bool {
	own := s.node.Store()
	if own == nil {
		return false
	}
	_, ok := own.Epoch(shard)
	return ok
}

// others are the other nodes; nil where one session owns all.
func (s *Server) others() broker.Peers {
	if s.sharing == nil {
		return nil
	}
	return s.sharing.router
}

// owner tells who owns a shard; nil where one session owns all.
func (s *Server) owner() func(leat.ShardKey) (leat.SessionID, uint64, bool) {
	if s.sharing == nil {
		return nil
	}
	return func(k leat.ShardKey) (leat.SessionID, uint64, bool) {
		session, epoch, _, ok := s.node.Owners().Owner(k)
		return session, epoch, ok
	}
}

// engine is what puts and reads are done with: all shards of the cluster, or those of this node where that is all.
func (s *Server) engine() broker.Engine {
	if s.sharing != nil {
		return s.sharing.router
	}
	return s.node
}

// internal is what other nodes ask of this one on the public port; nil where they do not.
func (s *Server) internal() grpcapi.Internal {
	if s.sharing != nil && s.sharing.peers == nil {
		return s.sharing.server
	}
	return nil
}

// address is where other nodes reach this one, which listens on an address. Where that is all addresses it is the one
// that this machine has towards PostgreSQL, which is where the nodes of a cluster meet.
func (c *ServeConfig) address(listens string) (string, error) {
	switch {
	case c.Advertise != "":
		return c.Advertise, nil
	case !c.Share || reachable(listens):
		return listens, nil
	}
	_, port, err := net.SplitHostPort(listens)
	if err == nil {
		var ip net.IP
		if ip, err = facing(c.Postgres); err == nil {
			return net.JoinHostPort(ip.String(), port), nil
		}
	}
	return "", bad("advertise-address", `""`, "--grpc-addr %s listens on all addresses and %v: give the HOST:PORT by which other nodes reach it", listens, err)
}

// facing returns this machine's own address on the way to a database; nothing is sent. A database on this machine says
// nothing about where others find it.
func facing(dsn string) (net.IP, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the database's address cannot be read")
	}
	if strings.HasPrefix(c.Host, "/") {
		return nil, errors.New("the database is reached by a socket of this machine")
	}
	conn, err := net.Dial("udp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))) //nolint:noctx // it sends and waits for nothing
	if err != nil {
		return nil, fmt.Errorf("there is no way to the database: %w", err)
	}
	defer conn.Close()
	at, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok || at.IP.IsLoopback() || at.IP.IsUnspecified() {
		return nil, errors.New("the database is on this machine")
	}
	return at.IP, nil
}
