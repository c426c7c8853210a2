// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward/internalv1"
)

// Report is what this node tells others that it has counted of streams.
type Report func(streams []leat.StreamID) ([]byte, error)

// Reports asks all other nodes what they have counted of streams, all at once. silent are those that have not answered when ctx ends, or whose answer
// is an error.
func (r *Router) Reports(ctx context.Context, streams []leat.StreamID) (reports map[leat.SessionID][]byte, silent []leat.SessionID) {
	own := leat.SessionID{}
	if local := r.local(); local != nil {
		own = local.Session()
	}
	ids := make([][]byte, len(streams))
	for i := range streams {
		ids[i] = streams[i][:]
	}
	reports = map[leat.SessionID][]byte{}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for session, address := range r.owners.Peers() {
		if session == own || address == "" {
			continue
		}
		asking.Go(func() {
			out := &internalv1.ReportResponse{}
			err := r.invoke(ctx, &call{to: peerKey{session, address}}, internalv1.EngineService_Report_FullMethodName, &internalv1.ReportRequest{Session: session[:], Streams: ids}, out)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, session)
				return
			}
			reports[session] = out.GetReport()
		})
	}
	asking.Wait()
	return reports, silent
}

func (s *Server) report(_ context.Context, req *internalv1.ReportRequest) (*internalv1.ReportResponse, error) {
	id, err := sessionOf(req.GetSession())
	if err != nil {
		return nil, leat.Errorf(leat.KindInternal, "forward: a call names no session")
	}
	if _, err := s.session(id); err != nil {
		return nil, err
	}
	var streams []leat.StreamID
	for _, b := range req.GetStreams() {
		var stream leat.StreamID
		if len(b) != len(stream) {
			return nil, leat.Errorf(leat.KindInternal, "forward: a call names no stream")
		}
		copy(stream[:], b)
		streams = append(streams, stream)
	}
	out, err := s.tell(streams)
	return &internalv1.ReportResponse{Report: out}, err
}
