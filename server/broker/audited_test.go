// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/broker"
)

// audited is a rig with an audit log that is written.
func audited(t *testing.T) (*rig, *audit.Log) {
	t.Helper()
	r := newRig(t, broker.LimitsOff)
	log := audit.New(r.db, audit.Options{})
	r.must(log.Migrate(t.Context()))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx, func() bool { return false }) }()
	t.Cleanup(func() {
		stop()
		r.must(<-done)
	})
	var err error
	r.Broker, err = broker.New(broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1", Secret: []byte("0123456789abcdef"), Clock: r.clock, Audit: log,
	})
	r.must(err)
	return r, log
}

// A change whose call panicked afterwards may have happened: the log has it, and does not say that all was well.
func TestAuditOfAPanic(t *testing.T) {
	r, log := audited(t)
	func() {
		defer func() {
			if p := recover(); p != "a fault" {
				t.Errorf("whoever runs the call learns %v of the panic", p)
			}
		}()
		_ = r.Watch(t.Context(), func(ctx context.Context) error {
			_, err := r.CreateStream(ctx, who, broker.CreateStreamRequest{Stream: "s", Shards: 1})
			r.must(err)
			panic("a fault")
		})
	}()
	r.must(log.Flush(t.Context()))
	events, err := log.List(t.Context(), audit.Filter{Operation: "CreateStream", Limit: 10})
	r.must(err)
	if len(events) != 1 || events[0].Outcome != leat.KindInternal.String() || len(events[0].After) == 0 {
		t.Errorf("the log has %+v", events)
	}
}

// What an operator changes for an account is in the log, and the account's own keys do not wait for it.
func TestOperatorsOweNothing(t *testing.T) {
	r, log := audited(t)
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", Shards: 1})
	r.must(err)
	r.settle()
	policy := aPolicy + strings.Repeat(" ", leat.MaxPolicyBytes-len(aPolicy))
	for _, operator := range []bool{true, false} {
		by := who
		by.Operator = operator
		for range 250 {
			r.must(r.Watch(t.Context(), func(ctx context.Context) error {
				err := r.PutResourcePolicy(ctx, by, broker.ResourceRequest{Stream: "s"}, policy)
				if !operator && leat.KindOf(err) == leat.KindLimitExceeded {
					return nil
				}
				return err
			}))
		}
		if wait := log.Wait(who.Account); (wait == 0) != operator {
			t.Errorf("operator %v: the account waits %v", operator, wait)
		}
	}
}
