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
// Differs from AWS: retention can be given at once, and an on-demand stream can begin with any number of shards.

// CreateStreamRequest says what stream to make.
type CreateStreamRequest struct {
	Stream         string          // its name
	Shards         int             // 1 to 10,000; 0 means 4, in on-demand mode only
	Mode           leat.StreamMode // empty: provisioned when Shards is given, else on-demand
	Retention      time.Duration   // 0 means 24 hours
	MaxRecordBytes int             // 0 means 1 MiB
	// WarmThroughput is what an on-demand stream keeps room for, in MiB/s: it begins with a shard for each. 0 for none.
	WarmThroughput int
	Tags           map[string]string
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
	if err := b.may(ctx, who, ActionCreateStream, Resource{Account: spec.Account, Stream: spec.Name}); err != nil {
		return StreamDescription{}, err
	}
	if len(spec.Tags) > 0 {
		if err := b.may(ctx, who, ActionAddTags, Resource{Account: spec.Account, Stream: spec.Name}); err != nil {
			return StreamDescription{}, err
		}
	}
	if err := b.roomForStream(spec.Account, spec.Retention); err != nil {
		return StreamDescription{}, err
	}
	if err := b.roomForShards(spec.Account, spec.Shards); err != nil {
		return StreamDescription{}, err
	}
	if spec.Mode == leat.ModeOnDemand {
		if err := b.roomForOnDemand(spec.Account); err != nil {
			return StreamDescription{}, err
		}
	}
	s, err := b.catalog.CreateStream(ctx, spec)
	if err != nil {
		return StreamDescription{}, err
	}
	b.settled(ctx, s)
	b.identityChanged(ctx) // its tags
	b.changed(ctx, nil, ofStream(&s, spec.Shards))
	return StreamDescription{Stream: s, OpenShards: spec.Shards}, nil
}

// spec validates a request and fills in what it leaves open.
func (r *CreateStreamRequest) spec() (catalog.NewStream, error) {
	if err := leat.ValidateStreamName(r.Stream); err != nil {
		return catalog.NewStream{}, err
	}
	spec := catalog.NewStream{Name: r.Stream, Mode: r.Mode, Shards: r.Shards, Retention: r.Retention, MaxRecordBytes: r.MaxRecordBytes,
		WarmThroughput: r.WarmThroughput, Tags: r.Tags}
	if spec.Mode == "" && spec.Shards > 0 {
		spec.Mode = leat.ModeProvisioned
	} else if spec.Mode == "" {
		spec.Mode = leat.ModeOnDemand
	}
	if spec.Shards == 0 && spec.Mode == leat.ModeOnDemand {
		spec.Shards = max(leat.DefaultOnDemand, min(spec.WarmThroughput, maxShards))
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
	if err := leat.ValidateMaxRecordBytes(spec.MaxRecordBytes); err != nil {
		return spec, err
	}
	if spec.WarmThroughput > 0 && spec.Mode != leat.ModeOnDemand {
		return spec, leat.Invalid("warm_throughput_mibps", "only a stream in ON_DEMAND mode keeps warm throughput")
	}
	if err := validateWarmThroughput(spec.WarmThroughput); err != nil {
		return spec, err
	}
	return spec, validateTags(spec.Tags)
}

func validateWarmThroughput(mibps int) error {
	if mibps < 0 || mibps > leat.MaxWarmThroughput {
		return leat.Invalid("warm_throughput_mibps", "warm throughput of %d MiB/s must be from 0 to %d", mibps, leat.MaxWarmThroughput)
	}
	return nil
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
