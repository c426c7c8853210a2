// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/policy"
)

// Action is an operation as errors and the audit log name it; policy.Action.Names are what policies call it.
type Action = policy.Action

// The actions.
const (
	ActionCreateStream       Action = "CreateStream"
	ActionDescribeStream     Action = "DescribeStream"
	ActionListStreams        Action = "ListStreams"
	ActionDeleteStream       Action = "DeleteStream"
	ActionListShards         Action = "ListShards"
	ActionSplitShard         Action = "SplitShard"
	ActionMergeShards        Action = "MergeShards"
	ActionScaleStream        Action = "ScaleStream"
	ActionPutRecord          Action = "PutRecord"
	ActionPutRecords         Action = "PutRecords"
	ActionGetShardIterator   Action = "GetShardIterator"
	ActionGetRecords         Action = "GetRecords"
	ActionSubscribeToShard   Action = "SubscribeToShard"
	ActionRegisterConsumer   Action = "RegisterConsumer"
	ActionDescribeConsumer   Action = "DescribeConsumer"
	ActionListConsumers      Action = "ListConsumers"
	ActionDeregisterConsumer Action = "DeregisterConsumer"

	ActionAddTags               Action = "AddTags"
	ActionRemoveTags            Action = "RemoveTags"
	ActionListTags              Action = "ListTags"
	ActionPutResourcePolicy     Action = "PutResourcePolicy"
	ActionGetResourcePolicy     Action = "GetResourcePolicy"
	ActionDeleteResourcePolicy  Action = "DeleteResourcePolicy"
	ActionStartStreamEncryption Action = "StartStreamEncryption"
	ActionStopStreamEncryption  Action = "StopStreamEncryption"
	ActionEnableMonitoring      Action = "EnableEnhancedMonitoring"
	ActionDisableMonitoring     Action = "DisableEnhancedMonitoring"
	ActionLimits                Action = "Limits"
	ActionAccountSettings       Action = "AccountSettings"
	ActionUpdateAccountSettings Action = "UpdateAccountSettings"
)

// The actions that change one setting of a stream, as policies know them. UpdateStream asks for each that it is to change.
const (
	ActionDescribeStreamSummary      Action = "DescribeStreamSummary"
	ActionListScaleEvents            Action = "ListScaleEvents"
	ActionIncreaseRetention          Action = "IncreaseStreamRetentionPeriod"
	ActionDecreaseRetention          Action = "DecreaseStreamRetentionPeriod"
	ActionUpdateStreamMode           Action = "UpdateStreamMode"
	ActionUpdateMaxRecordSize        Action = "UpdateMaxRecordSize"
	ActionUpdateStreamWarmThroughput Action = "UpdateStreamWarmThroughput"
)

// Resource is what an action is done to. Stream and Path are empty for actions on the account at large.
type Resource = policy.Resource

// Authorizer decides whether a caller may act. It returns nil or a KindAccessDenied error.
type Authorizer interface {
	Authorize(ctx context.Context, who leat.Principal, action Action, what Resource) error
}

// SameAccount lets everybody do everything in their own account and nothing in others, and operators everything.
type SameAccount struct{}

// Authorize compares the accounts.
func (SameAccount) Authorize(_ context.Context, who leat.Principal, action Action, what Resource) error {
	if who.Operator && who.Account != "" {
		return nil
	}
	if who.Account == "" || who.Account != what.Account {
		return leat.Errorf(leat.KindAccessDenied, "%s of account %s is not authorized to perform %s on resources of account %s", who.Name, who.Account, action, what.Account)
	}
	return nil
}

// may asks whether a caller may act. It is the one place where anything that a caller asks for is allowed or refused, and
// where the audit log hears of it.
func (b *Broker) may(ctx context.Context, who leat.Principal, action Action, what Resource) error {
	var span tracing.Span
	if b.tracer != nil {
		b.tracer.Current(ctx).On(what.Account, what.Stream)
		ctx, span = b.tracer.Begin(ctx, "authorise")
	}
	err := b.decide(ctx, who, action, what)
	span.End(err)
	b.asked(ctx, who, action, what, err)
	return err
}

// operatorOnly are the actions that take an operator, whatever a policy says.
var operatorOnly = map[Action]bool{
	ActionListNodes: true, ActionDrainNode: true, ActionCreateAccount: true, ActionListAccounts: true, ActionUpdateAccount: true,
	ActionDeleteAccount: true, ActionCloseInvoice: true, ActionAddEntry: true,
}

func (b *Broker) decide(ctx context.Context, who leat.Principal, action Action, what Resource) error {
	if operatorOnly[action] && !who.Operator {
		return leat.Errorf(leat.KindAccessDenied, "%s of account %s is not authorized to perform %s: it takes the server's own token", who.Name, who.Account, action)
	}
	if err := b.authorize.Authorize(ctx, who, action, what); err != nil {
		return err
	}
	if b.readOnly && !onlyReads(action) {
		return &leat.Error{Kind: leat.KindUnavailable, After: retryMaintenance,
			Message: fmt.Sprintf("this server is in read-only maintenance and does no %s; nothing was executed: retry later, or ask another node", action)}
	}
	if changes(action) && !OnDataPlane(action) && !who.Operator {
		if err := b.mayChangeMore(who.Account); err != nil {
			return err
		}
	}
	if !puts(action) && !onlyReads(action) {
		// What is changed is noted with this node's time: when a stream began, what an hour costs (data-plane.md, rule 19).
		if err := b.control.ClockWrong(); err != nil {
			return err
		}
	}
	return nil
}

// puts tells whether an action is timed by a shard's owner alone, which any node may ask.
func puts(action Action) bool { return action == ActionPutRecord || action == ActionPutRecords }

// retryMaintenance is when a caller may ask again during maintenance.
const retryMaintenance = 5 * time.Second

// onlyReads tells whether an action changes nothing. What is not known to read is taken for a change. DrainNode is for
// maintenance itself.
func onlyReads(action Action) bool {
	for _, verb := range []string{"Describe", "List", "Get", "Export", "Estimate", "Find", "Verify"} {
		if strings.HasPrefix(string(action), verb) {
			return true
		}
	}
	return action == ActionSubscribeToShard || action == ActionLimits || action == ActionAccountSettings || action == ActionDrainNode
}

// finder finds a stream: nil where there is none and none is needed.
type finder func(b *Broker, ctx context.Context, what Resource) (*streamView, error)

// on finds the stream that a caller names and asks whether the caller may act on it, or on a consumer of it that is named too.
// Policies and tags go by a stream's identity: where the one that is found was not known, or had another, it is asked again.
func (b *Broker) on(ctx context.Context, who leat.Principal, action Action, find finder, stream string, consumer ...string) (*streamView, error) {
	what, err := b.target(ctx, who, action, stream, consumer...)
	if err != nil {
		return nil, err
	}
	v, err := find(b, ctx, what)
	if err != nil || v == nil || v.ID == what.ID {
		return v, err
	}
	what.ID = v.ID
	return v, b.may(ctx, who, action, what)
}

// target reads the name or ARN of a stream and asks whether the caller may act on it, or on a consumer of it that is named
// too. It does not say whether the stream exists: who may not act does not learn that. Whoever acts on the stream MUST come by on.
func (b *Broker) target(ctx context.Context, who leat.Principal, action Action, stream string, consumer ...string) (Resource, error) {
	what, err := b.named(ctx, who, stream)
	if err != nil {
		return Resource{}, err
	}
	for _, name := range consumer {
		what.Consumer = name
	}
	if err := b.may(ctx, who, action, what); err != nil {
		return Resource{}, err
	}
	if strings.HasPrefix(stream, "arn:") {
		if region, _, _, _ := leat.ParseStreamARN(stream); region != b.region {
			return Resource{}, errNoStream(what)
		}
	}
	return what, nil
}

// named reads the name or ARN of a stream. A node that has just been started looks it up: a policy that allows what nothing
// else does is of a stream that it would not know.
func (b *Broker) named(ctx context.Context, who leat.Principal, stream string) (Resource, error) {
	what := Resource{Account: who.Account, Stream: stream}
	if strings.HasPrefix(stream, "arn:") {
		_, account, name, err := leat.ParseStreamARN(stream)
		if err != nil {
			return Resource{}, err
		}
		what.Account, what.Stream = account, name
	} else if err := leat.ValidateStreamName(stream); err != nil {
		return Resource{}, err
	}
	key := streamName{what.Account, what.Stream}
	v := b.directory.snap.Load().byName[key]
	if v == nil && !b.directory.Loaded() {
		v, _ = b.directory.find(ctx, key) // what cannot be found out now is said by whoever acts on it
	}
	if v != nil {
		what.ID = v.ID
	}
	return what, nil
}

// errNoStream has the text of AWS.
func errNoStream(what Resource) error {
	return leat.Errorf(leat.KindNotFound, "Stream %s under account %s not found.", what.Stream, what.Account)
}
