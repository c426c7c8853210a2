// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/shardstore"
)

// Read returns records of a shard from its owner. See shardstore.Store.Read.
func (r *Router) Read(ctx context.Context, shard leat.ShardKey, from uint64, lim shardstore.ReadLimits) (p shardstore.Page, err error) {
	err = r.ask(ctx, shard, func(o owner) (err error) {
		if o.local != nil {
			p, err = o.local.Read(ctx, shard, from, lim)
			return err
		}
		var out page
		err = r.remote(ctx, o, shard, internalv1.EngineService_Read_FullMethodName, &internalv1.ReadRequest{
			Session: o.peer.session[:], Shard: wireShard(shard, o.epoch), From: from,
			MaxRecords: uint32(lim.Records), MaxBytes: uint64(lim.Bytes), MinTime: lim.MinTime, Limited: lim.Limited, Look: lim.Look,
		}, &out)
		if p = out.Page; p.Became != nil {
			r.ahead.learn(o.peer, p.Became)
		}
		return err
	})
	if err != nil {
		return shardstore.Page{}, err
	}
	return p, nil
}

// Locate finds an offset by time. See shardstore.Store.Locate.
func (r *Router) Locate(ctx context.Context, shard leat.ShardKey, at int64) (offset uint64, err error) {
	err = r.ask(ctx, shard, func(o owner) (err error) {
		if o.local != nil {
			offset, err = o.local.Locate(ctx, shard, at)
			return err
		}
		out := &internalv1.LocateResponse{}
		err = r.remote(ctx, o, shard, internalv1.EngineService_Locate_FullMethodName, &internalv1.LocateRequest{
			Session: o.peer.session[:], Shard: wireShard(shard, o.epoch), At: at,
		}, out)
		offset = out.GetOffset()
		return err
	})
	return offset, err
}

// Bounds returns where a shard begins and ends now. See shardstore.Store.Bounds.
func (r *Router) Bounds(ctx context.Context, shard leat.ShardKey) (b shardstore.Bounds, err error) {
	err = r.ask(ctx, shard, func(o owner) (err error) {
		if o.local != nil {
			b, err = o.local.Bounds(ctx, shard)
			return err
		}
		out := &internalv1.BoundsResponse{}
		err = r.remote(ctx, o, shard, internalv1.EngineService_Bounds_FullMethodName, &internalv1.BoundsRequest{
			Session: o.peer.session[:], Shard: wireShard(shard, o.epoch),
		}, out)
		b = shardstore.Bounds{Epoch: out.GetEpoch(), Horizon: out.GetHorizon(), Tail: out.GetTail(), LastTime: out.GetLastTime(), Closed: out.GetClosed()}
		return err
	})
	return b, err
}

// Wait waits at the shard's owner. Unlike reads it does not look for a new one: it ends with shardstore.ErrNotOwned when
// the shard moves, and whoever waits reads again, which finds the new owner and what it has.
func (r *Router) Wait(ctx context.Context, shard leat.ShardKey, from uint64) error {
	o, ok := r.owner(r.local(), shard)
	switch {
	case !ok:
		r.owners.Stale()
		return moved(errNoOwner)
	case o.local != nil:
		return o.local.Wait(ctx, shard, from)
	}
	err := r.remote(ctx, o, shard, internalv1.EngineService_Wait_FullMethodName, &internalv1.WaitRequest{
		Session: o.peer.session[:], Shard: wireShard(shard, o.epoch), From: from,
	}, &internalv1.WaitResponse{})
	if hasMoved(err) {
		r.outlast(ctx, o, shard)
		return moved(err)
	}
	return err
}

// outlast waits a little for the end of an owner that has ended a wait, as one does that is about to stop. Until others
// hear of its end it can still be read from, and whoever waits would go round between the two as fast as it can.
func (r *Router) outlast(ctx context.Context, o owner, shard leat.ShardKey) {
	one := &call{to: o.peer, targets: []target{{shard, o.epoch}}}
	look := search{r: r, until: r.clock.Now().Add(pauseLast), pause: pauseFirst}
	for stands := true; stands; stands = r.stands(one) && look.again(ctx) {
		r.owners.Stale()
	}
}

// remote makes a call about one shard that changes nothing.
func (r *Router) remote(ctx context.Context, o owner, shard leat.ShardKey, method string, req, resp any) error {
	return r.invoke(ctx, &call{to: o.peer, targets: []target{{shard, o.epoch}}}, method, req, resp)
}

func wireShard(k leat.ShardKey, epoch uint64) *internalv1.Shard {
	return &internalv1.Shard{Stream: k.Stream[:], Ordinal: k.Ordinal, Epoch: epoch}
}
