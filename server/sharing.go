// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"log/slog"

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
}

// newSharing makes both. What they hand to the node's session is limited and counted by the broker, which is made later.
func newSharing(node *cluster.Node, metered func(broker.OwnShards) broker.Metered, info catalog.ClusterInfo, log *slog.Logger) (*sharing, error) {
	creds, err := forward.NewCredentials(info.Secret[:], leat.SystemClock{})
	if err != nil {
		return nil, err
	}
	local := func() forward.Session {
		if s := node.Store(); s != nil {
			return metered(s)
		}
		return nil // not an interface that holds a nil
	}
	router, err := forward.NewRouter(forward.Config{Local: local, Owners: node.Owners(), Credentials: creds})
	if err != nil {
		return nil, err
	}
	return &sharing{router: router, server: forward.NewServer(local, creds, log)}, nil
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

// engine is what puts and reads are done with: all shards of the cluster, or those of this node where that is all.
func (s *Server) engine() broker.Engine {
	if s.sharing != nil {
		return s.sharing.router
	}
	return s.node
}

// internal is what other nodes ask of this one; nil where there are none.
func (s *Server) internal() grpcapi.Internal {
	if s.sharing != nil {
		return s.sharing.server
	}
	return nil
}

// address is where other nodes reach this one, which listens on an address.
func (p *parts) address(listens string) (string, error) {
	switch {
	case p.advertise != "":
		return p.advertise, nil
	case p.shared && !reachable(listens):
		return "", bad("advertise-address", `""`, "--grpc-addr %s listens on all addresses: give the HOST:PORT by which other nodes reach it", listens)
	}
	return listens, nil
}
