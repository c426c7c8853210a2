// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

// Info is what a node tells of itself. All but Session stays as it is.
type Info struct {
	Version   string
	ClusterID string                // 32 hexadecimal digits
	Node      string                // its name
	Session   func() leat.SessionID // zero while none is open; nil when the node has no sessions
	Started   time.Time             // of the process; zero means New
}

type systemService struct {
	leatv1.UnimplementedSystemServiceServer
	*Server
}

func (s systemService) GetServerInfo(context.Context, *leatv1.GetServerInfoRequest) (*leatv1.GetServerInfoResponse, error) {
	info := &leatv1.ServerInfo{
		Version: s.info.Version, ClusterId: s.info.ClusterID, NodeId: s.info.Node, Region: s.broker.Region(),
		ShardLimits: leatv1.ShardLimits_SHARD_LIMITS_OFF, State: s.state(), StartTime: stamp(s.info.Started),
	}
	if s.broker.ShardLimits() == broker.LimitsAWS {
		info.ShardLimits = leatv1.ShardLimits_SHARD_LIMITS_AWS
	}
	if s.info.Session != nil {
		info.SessionId = sessionOf(s.info.Session())
	}
	return &leatv1.GetServerInfoResponse{Server: info}, nil
}

// state is draining from the moment that Stop is called.
func (s *Server) state() leatv1.ServerState {
	switch {
	case s.draining.Load():
		return leatv1.ServerState_SERVER_STATE_DRAINING
	case s.ready() != nil:
		return leatv1.ServerState_SERVER_STATE_OPENING
	}
	return leatv1.ServerState_SERVER_STATE_SERVING
}
