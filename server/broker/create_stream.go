// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// CreateStream promises: when it returns no error the stream exists in status CREATING, with shards that cut the hash
// space evenly, and becomes ACTIVE by itself. Until then puts and reads answer NotFound, as with AWS.
//
// Differs from AWS: retention and the maximum record size can be given at once.

// CreateStreamRequest says what stream to make.
type CreateStreamRequest struct {
	Stream         string          // its name
	Shards         int             // 1 to 10,000; 0 means 4, in on-demand mode only
	Mode           leat.StreamMode // empty: provisioned when Shards is given, else on-demand
	Retention      time.Duration   // 0 means 24 hours
	MaxRecordBytes int             // 0 means 1 MiB
}

// maxShards bounds how many open shards one stream can have.
const maxShards = 10_000

// CreateStream makes a stream.
func (b *Broker) CreateStream(ctx context.Context, who leat.Principal, req CreateStreamRequest) (StreamDescription, error) {
	spec, err := req.spec()
	if err != nil {
		return StreamDescription{}, err
	}
	spec.Account = who.Account
	if err := b.authorize.Authorize(ctx, who, ActionCreateStream, Resource{Account: spec.Account, Stream: spec.Name}); err != nil {
		return StreamDescription{}, err
	}
	s, err := b.catalog.CreateStream(ctx, spec)
	if err != nil {
		return StreamDescription{}, err
	}
	b.settled(ctx, s)
	return StreamDescription{Stream: s, OpenShards: spec.Shards}, nil
}

// spec validates a request and fills in what it leaves open.
func (r *CreateStreamRequest) spec() (catalog.NewStream, error) {
	if err := leat.ValidateStreamName(r.Stream); err != nil {
		return catalog.NewStream{}, err
	}
	spec := catalog.NewStream{Name: r.Stream, Mode: r.Mode, Shards: r.Shards, Retention: r.Retention, MaxRecordBytes: r.MaxRecordBytes}
	if spec.Mode == "" && spec.Shards > 0 {
		spec.Mode = leat.ModeProvisioned
	} else if spec.Mode == "" {
		spec.Mode = leat.ModeOnDemand
	}
	if spec.Shards == 0 && spec.Mode == leat.ModeOnDemand {
		spec.Shards = leat.DefaultOnDemand
	}
	if spec.Retention == 0 {
		spec.Retention = leat.MinRetention
	}
	if spec.MaxRecordBytes == 0 {
		spec.MaxRecordBytes = leat.DefaultMaxRecordBytes
	}
	if spec.Shards < 1 || spec.Shards > maxShards {
		return spec, leat.Invalid("shard_count", "a %s stream needs from 1 to %d shards, not %d", spec.Mode, maxShards, spec.Shards)
	}
	if err := validateMode(spec.Mode); err != nil {
		return spec, err
	}
	if err := leat.ValidateRetention(spec.Retention); err != nil {
		return spec, err
	}
	return spec, leat.ValidateMaxRecordBytes(spec.MaxRecordBytes)
}

func validateMode(m leat.StreamMode) error {
	if m != leat.ModeProvisioned && m != leat.ModeOnDemand {
		return leat.Invalid("mode", "mode %.40q must be PROVISIONED or ON_DEMAND", m)
	}
	return nil
}

// settled is called after each change of a stream: this node knows of it at once, and the control loop carries it out.
// The change is made; that the directory cannot be read now is no error of it.
func (b *Broker) settled(ctx context.Context, s leat.Stream) {
	if _, err := b.directory.refresh(ctx, s.Account, s.Name); err != nil {
		b.directory.Stale()
	}
	b.control.Kick()
}
