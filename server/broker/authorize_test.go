// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
)

// another is a broker of another node over the same catalog, which authorises by policies. Its directory is empty.
func (r *rig) another(identities *auth.Identities) *broker.Broker {
	r.t.Helper()
	b, err := broker.New(broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1",
		Secret: []byte("0123456789abcdef"), Clock: r.clock, Authorizer: identities, Identities: identities,
	})
	r.must(err)
	return b
}

const denySecret = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/secret":"yes"}}}]}`

// onStream is every way to act on a stream by its name.
var onStream = map[string]func(context.Context, *broker.Broker, leat.Principal) error{
	"PutRecord": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		_, err := b.PutRecord(ctx, who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k"}})
		return err
	},
	"PutRecords": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		_, err := b.PutRecords(ctx, who, broker.PutRecordsRequest{Stream: "s", Puts: puts(1, 1, "k")})
		return err
	},
	"GetShardIterator": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		_, err := b.GetShardIterator(ctx, who, broker.GetShardIteratorRequest{Stream: "s", Shard: "0", Start: broker.StartingPosition{Type: broker.TrimHorizon}})
		return err
	},
	"DescribeStream": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		_, err := b.DescribeStream(ctx, who, broker.DescribeStreamRequest{Stream: "s"})
		return err
	},
	"StreamLoad": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		_, err := b.StreamLoad(ctx, who, "s")
		return err
	},
	"ConsumerProgress": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		_, err := b.ConsumerProgress(ctx, who, "s")
		return err
	},
	"UpdateStream": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		mode := leat.ModeOnDemand
		_, err := b.UpdateStream(ctx, who, broker.UpdateStreamRequest{Stream: "s", Mode: &mode})
		return err
	},
	"AddTags": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		return b.AddTags(ctx, who, broker.ResourceRequest{Stream: "s"}, map[string]string{"secret": "no"})
	},
	"DeleteStream": func(ctx context.Context, b *broker.Broker, who leat.Principal) error {
		return b.DeleteStream(ctx, who, broker.DeleteStreamRequest{Stream: "s"})
	},
}

// A policy that goes by a stream's tags holds on a node that does not know the stream yet, or knows another of its name.
func TestPoliciesOfStreamsThatAreNotKnownYet(t *testing.T) {
	ctx := t.Context()
	load := func(r *rig, nodes map[string]*broker.Broker) {
		for _, b := range nodes {
			r.must(b.Directory().RefreshAll(ctx))
		}
	}
	const again = "the stream was made again"
	fresh := map[string]bool{"DescribeStream": true, "UpdateStream": true, "AddTags": true, "DeleteStream": true}
	for when, prepare := range map[string]func(r *rig, nodes map[string]*broker.Broker){
		"the node has just begun":   func(*rig, map[string]*broker.Broker) {},
		"the stream has just begun": load,
		again: func(r *rig, nodes map[string]*broker.Broker) {
			r.stream("s", 1)
			load(r, nodes)
			r.must(r.DeleteStream(ctx, who, broker.DeleteStreamRequest{Stream: "s"}))
			r.settle()
		},
	} {
		t.Run(when, func(t *testing.T) {
			r := newRig(t, broker.LimitsOff)
			identities, err := auth.NewIdentities(auth.IdentitiesOptions{Catalog: r.catalog, Region: "eu-west-1", Clock: r.clock})
			r.must(err)
			_, err = r.catalog.PutRole(ctx, leat.Role{Account: leat.DevAccount, Name: "intern", Policy: denySecret})
			r.must(err)
			nodes := map[string]*broker.Broker{}
			for action := range onStream { // each looks the stream up itself
				nodes[action] = r.another(identities)
			}
			prepare(r, nodes)
			_, err = r.CreateStream(ctx, who, broker.CreateStreamRequest{Stream: "s", Shards: 1, Tags: map[string]string{"secret": "yes"}})
			r.must(err)
			r.settle()
			identities.Changed(ctx)
			for action, act := range onStream {
				if when == again && !fresh[action] {
					continue // these go on with the stream that they know, and by its policies
				}
				if err := act(ctx, nodes[action], leat.Principal{Account: leat.DevAccount, Name: "intern", Role: "intern"}); leat.KindOf(err) != leat.KindAccessDenied || err == nil {
					t.Errorf("%s: %v", action, err)
				}
			}
		})
	}
}

// What only the policy of a stream allows is not refused by a node that has just begun.
func TestSharedStreamOnANewNode(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.must(r.PutResourcePolicy(t.Context(), who, broker.ResourceRequest{Stream: "s"}, aPolicy))
	identities, err := auth.NewIdentities(auth.IdentitiesOptions{Catalog: r.catalog, Region: "eu-west-1", Clock: r.clock})
	r.must(err)
	_, err = r.another(identities).PutRecord(t.Context(), leat.Principal{Account: "123456789012"}, broker.PutRecordRequest{Stream: arn, Record: leat.Record{PartitionKey: "k"}})
	r.must(err)
}

// Tags that a stream or a consumer is made with hold at once on the node that made it.
func TestTagsOfWhatWasMadeHold(t *testing.T) {
	ctx := t.Context()
	r := newRig(t, broker.LimitsOff)
	identities, err := auth.NewIdentities(auth.IdentitiesOptions{Catalog: r.catalog, Region: "eu-west-1", Clock: r.clock})
	r.must(err)
	_, err = r.catalog.PutRole(ctx, leat.Role{Account: leat.DevAccount, Name: "intern", Policy: denySecret})
	r.must(err)
	r.Broker = r.another(identities)
	intern, secret := leat.Principal{Account: leat.DevAccount, Name: "intern", Role: "intern"}, map[string]string{"secret": "yes"}
	r.stream("open", 1)
	_, err = r.DescribeStream(ctx, intern, broker.DescribeStreamRequest{Stream: "open"})
	r.must(err)

	_, err = r.CreateStream(ctx, who, broker.CreateStreamRequest{Stream: "s", Shards: 1, Tags: secret})
	r.must(err)
	_, err = r.DescribeStream(ctx, intern, broker.DescribeStreamRequest{Stream: "s"})
	r.wantKind(err, leat.KindAccessDenied, "")
	_, err = r.RegisterConsumer(ctx, who, broker.ConsumerRequest{Stream: "open", Consumer: "c", Tags: secret})
	r.must(err)
	_, err = r.DescribeConsumer(ctx, intern, broker.ConsumerRequest{Stream: "open", Consumer: "c"})
	r.wantKind(err, leat.KindAccessDenied, "")
}

// Whoever changes more than the audit log has room for waits before the next change, and for nothing else; others do not.
func TestChangesAreBounded(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	log := audit.New(r.db, audit.Options{Clock: r.clock})
	r.must(log.Migrate(t.Context()))
	var err error
	r.Broker, err = broker.New(broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1", Secret: []byte("0123456789abcdef"), Clock: r.clock, Audit: log,
	})
	r.must(err)
	r.stream("s", 1)
	gone, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for the rows
	for range 1000 {
		log.Write(gone, audit.Event{Account: who.Account, Operation: "PutRole", After: make([]byte, 20<<10)})
	}
	create := func(who leat.Principal, name string) error {
		_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: name, Shards: 1})
		return err
	}
	err = create(who, "t")
	r.wantKind(err, leat.KindLimitExceeded, "")
	refused, _ := errors.AsType[*leat.Error](err)
	if refused.After < time.Minute {
		t.Errorf("to be tried again after %v", refused.After)
	}
	r.put("s", "k", "data")
	r.describe("s")
	r.must(create(leat.Principal{Account: "111111111111"}, "t"))
	r.must(create(leat.Principal{Account: who.Account, Operator: true}, "by-the-operator"))
	r.clock.Advance(refused.After)
	r.must(create(who, "t"))
}
