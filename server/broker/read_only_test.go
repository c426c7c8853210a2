// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

func TestReadOnlyMaintenance(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	ctx := t.Context()
	r.stream("s", 1)
	r.put("s", "k", "before")
	open := r.Broker
	b, err := broker.New(broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1",
		Secret: []byte("0123456789abcdef"), Clock: r.clock, ReadOnly: true,
	})
	r.must(err)
	r.Broker = b
	r.must(b.Directory().RefreshAll(ctx))

	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "before" {
		t.Errorf("read %q", got)
	}
	_, err = b.ListStreams(ctx, who, broker.ListStreamsRequest{})
	r.must(err)
	longer := 48 * time.Hour
	for action, do := range map[string]func() error{
		"PutRecord": func() error {
			_, err := b.PutRecord(ctx, who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", Data: []byte("x")}})
			return err
		},
		"CreateStream": func() error {
			_, err := b.CreateStream(ctx, who, broker.CreateStreamRequest{Stream: "new", Shards: 1})
			return err
		},
		"DeleteStream": func() error { return b.DeleteStream(ctx, who, broker.DeleteStreamRequest{Stream: "s"}) },
		"IncreaseStreamRetentionPeriod": func() error {
			_, err := b.UpdateStream(ctx, who, broker.UpdateStreamRequest{Stream: "s", Retention: &longer})
			return err
		},
		"AddTags": func() error {
			return b.AddTags(ctx, who, broker.ResourceRequest{Stream: "s"}, map[string]string{"a": "b"})
		},
		"PutRole": func() error {
			_, err := b.PutRole(ctx, who, leat.Role{Name: "r", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`})
			return err
		},
	} {
		err := do()
		r.wantKind(err, leat.KindUnavailable, "")
		if !strings.Contains(err.Error(), "read-only maintenance and does no "+action) {
			t.Errorf("%s: %v", action, err)
		}
	}
	r.Broker = open
	r.put("s", "k", "after")
}

// A node whose clock is wrong changes nothing, since changes are noted with its time. It passes puts on, which their shards'
// owners time, and reads.
func TestAWrongClockChangesNothing(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	ctx := t.Context()
	r.stream("s", 1)
	r.wrong = leat.Errorf(leat.KindUnavailable, "the clock is wrong")
	r.put("s", "k", "data")
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "data" {
		t.Errorf("read %q", got)
	}
	_, err := r.CreateStream(ctx, who, broker.CreateStreamRequest{Stream: "new", Shards: 1})
	r.wantKind(err, leat.KindUnavailable, "")
	err = r.DeleteStream(ctx, who, broker.DeleteStreamRequest{Stream: "s"})
	r.wantKind(err, leat.KindUnavailable, "")
	// The clock has jumped ahead, and nobody knows whether it is right.
	r.wrong, r.jumped = nil, true
	r.clock.Advance(100 * time.Hour)
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "data" {
		t.Errorf("after a jump ahead of retention: read %q", got)
	}
	more := 48 * time.Hour
	_, err = r.UpdateStream(ctx, who, broker.UpdateStreamRequest{Stream: "s", Retention: &more, Direction: broker.RetentionIncrease})
	r.wantKind(err, leat.KindUnavailable, "")
	r.wrong, r.jumped = leat.Errorf(leat.KindUnavailable, "the clock is wrong"), false
	// Nothing seems to have expired either: a reader that was told so would not come back.
	r.clock.Advance(100 * time.Hour)
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "data" {
		t.Errorf("with a clock that is ahead of retention: read %q", got)
	}
	r.wrong = nil
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "" {
		t.Errorf("when it was right after all: read %q", got)
	}
	r.stream("new", 1)
}
