// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"

	"google.golang.org/grpc"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// Server answers the Routers of other nodes out of this node's open session.
type Server struct {
	local  Local
	tell   Report
	creds  *Credentials
	tracer *tracing.Tracer
	log    *slog.Logger

	life context.Context // ends with Stop
	end  context.CancelFunc
}

// NewServer makes a server for this node's sessions. It has nothing to join: its calls are those of the gRPC server that
// it is registered with. tracer and log may be nil.
func NewServer(local Local, tell Report, creds *Credentials, tracer *tracing.Tracer, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{local: local, tell: tell, creds: creds, tracer: tracer, log: log}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Stop ends the calls that wait for records, so that they do not hold up the node's stop. It may be called twice.
func (s *Server) Stop() { s.end() }

// Owns tells whether a gRPC method is of this service.
func (s *Server) Owns(method string) bool { return strings.HasPrefix(method, prefix) }

const prefix = "/leat.internal.v1.EngineService/"

// Authenticate returns an Unauthenticated status unless a node of this cluster makes the call.
func (s *Server) Authenticate(ctx context.Context, method string) error {
	return s.creds.Check(ctx, method)
}

// Register adds the service to a gRPC server. Whoever serves it MUST call Authenticate before each call, and have a codec
// that lets messages marshal and unmarshal themselves, as grpcapi's does.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: internalv1.EngineService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			method(s, "Append", s.append), method(s, "Read", s.read), method(s, "Wait", s.wait),
			method(s, "Locate", s.locate), method(s, "Bounds", s.bounds), method(s, "Report", s.report),
		},
		Metadata: internalv1.EngineService_ServiceDesc.Metadata,
	}, s)
}

// method describes one call, as generated code does for messages that are generated.
func method[Req, Resp any](s *Server, name string, do func(context.Context, *Req) (*Resp, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		req := new(Req)
		if err := dec(req); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, req any) (any, error) {
			ctx, span := s.tracer.Serve(s.tracer.FromGRPC(ctx), "serve "+name)
			resp, err := do(ctx, req.(*Req))
			if span.End(err); err != nil {
				return nil, statusOf(err)
			}
			return resp, nil
		}
		if intercept == nil {
			return handle(ctx, req)
		}
		return intercept(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: prefix + name}, handle)
	}}
}

// session returns the open session if it is the one that a call is for.
func (s *Server) session(id leat.SessionID) (Session, error) {
	local := s.local()
	if local == nil || local.Session() != id {
		return nil, moved(errors.New("the node has another session open, or none"))
	}
	return local, nil
}

// one returns the session for a call about one shard, if it owns that in the epoch asked for.
func (s *Server) one(session []byte, shard *internalv1.Shard) (Session, leat.ShardKey, error) {
	id, err := sessionOf(session)
	t, wrong := targetOf(shard)
	if err != nil || wrong != nil {
		return nil, leat.ShardKey{}, leat.Errorf(leat.KindInternal, "forward: a call names no session or shard")
	}
	local, err := s.session(id)
	if err == nil {
		err = owned(local, t)
	}
	return local, t.shard, err
}

func owned(s Session, t target) error {
	if epoch, ok := s.Epoch(t.shard); !ok || epoch != t.epoch {
		return shardstore.ErrNotOwned
	}
	return nil
}

// append puts those records whose shard is owned in their epoch, and refuses the others.
func (s *Server) append(ctx context.Context, req *incoming) (*internalv1.AppendResponse, error) {
	defer req.free()
	local, err := s.session(req.session)
	if err != nil {
		return nil, err
	}
	for i := range req.puts {
		if r := &req.puts[i].Record; r.Checksum() != r.CRC {
			s.log.Error("a record does not match its checksum on its way from another node", "shard", req.puts[i].Shard)
			return nil, moved(errors.New("a record was damaged between two nodes"))
		}
	}
	out := &internalv1.AppendResponse{Offsets: make([]uint64, len(req.puts)), Times: make([]int64, len(req.puts))}
	take, at := s.mine(local, req)
	if len(take) > 0 {
		req.lent = true
		err := shardstore.Ask(ctx, local, take)
		req.lent = false
		if err != nil {
			return nil, err
		}
	}
	for i := range take {
		to := i
		if at != nil {
			to = at[i]
		}
		if take[i].Err != nil {
			req.puts[to].Err = take[i].Err
			continue
		}
		out.Offsets[to], out.Times[to], req.puts[to].Err = take[i].Record.Offset, take[i].Record.Time, nil
	}
	for i := range req.puts {
		if err := req.puts[i].Err; err != nil {
			out.Failures = append(out.Failures, &internalv1.Failure{Index: uint32(i), Fault: faultOf(err)})
		}
	}
	return out, nil
}

// mine returns the puts that the session may take, and their indexes in the request; nil for all. The others are
// refused.
func (s *Server) mine(local Session, req *incoming) (take []shardstore.Put, at []int) {
	refused := make([]error, len(req.targets))
	all := true
	for i, t := range req.targets {
		refused[i] = owned(local, t)
		all = all && refused[i] == nil
	}
	if all {
		return req.puts, nil
	}
	at = []int{}
	for i := range req.puts {
		if req.puts[i].Err = refused[req.of[i]]; req.puts[i].Err == nil {
			take, at = append(take, req.puts[i]), append(at, i)
		}
	}
	return take, at
}

func (s *Server) read(ctx context.Context, req *internalv1.ReadRequest) (*page, error) {
	local, shard, err := s.one(req.GetSession(), req.GetShard())
	if err != nil {
		return nil, err
	}
	p, err := local.Read(ctx, shard, req.GetFrom(), shardstore.ReadLimits{
		Records: int(req.GetMaxRecords()), Bytes: int(min(req.GetMaxBytes(), math.MaxInt32)), MinTime: req.GetMinTime(), Limited: req.GetLimited(), Look: req.GetLook(),
	})
	return &page{p}, err
}

// wait ends with the node's stop too: its sessions are about to end.
func (s *Server) wait(ctx context.Context, req *internalv1.WaitRequest) (*internalv1.WaitResponse, error) {
	local, shard, err := s.one(req.GetSession(), req.GetShard())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	err = local.Wait(ctx, shard, req.GetFrom())
	if err != nil && s.life.Err() != nil {
		err = moved(errors.New("the node is stopping"))
	}
	return &internalv1.WaitResponse{}, err
}

func (s *Server) locate(ctx context.Context, req *internalv1.LocateRequest) (*internalv1.LocateResponse, error) {
	local, shard, err := s.one(req.GetSession(), req.GetShard())
	if err != nil {
		return nil, err
	}
	offset, err := local.Locate(ctx, shard, req.GetAt())
	return &internalv1.LocateResponse{Offset: offset}, err
}

func (s *Server) bounds(ctx context.Context, req *internalv1.BoundsRequest) (*internalv1.BoundsResponse, error) {
	local, shard, err := s.one(req.GetSession(), req.GetShard())
	if err != nil {
		return nil, err
	}
	b, err := local.Bounds(ctx, shard)
	return &internalv1.BoundsResponse{Epoch: b.Epoch, Horizon: b.Horizon, Tail: b.Tail, LastTime: b.LastTime, Closed: b.Closed}, err
}
