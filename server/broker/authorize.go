// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"strings"

	"github.com/leatstream/leat"
)

// Action is an operation as policies and the audit log name it.
type Action string

// The actions.
const (
	ActionCreateStream       Action = "CreateStream"
	ActionDescribeStream     Action = "DescribeStream"
	ActionListStreams        Action = "ListStreams"
	ActionUpdateStream       Action = "UpdateStream"
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
	ActionSetMonitoring         Action = "SetMonitoring"
	ActionLimits                Action = "Limits"
	ActionAccountSettings       Action = "AccountSettings"
	ActionUpdateAccountSettings Action = "UpdateAccountSettings"
)

// Resource is what an action is done to. Stream and Delivery are empty for actions on the account.
type Resource struct {
	Account  string
	Stream   string
	Delivery string // a delivery stream
}

// Authorizer decides whether a caller may act. It returns nil or a KindAccessDenied error.
type Authorizer interface {
	Authorize(ctx context.Context, who leat.Principal, action Action, what Resource) error
}

// SameAccount lets everybody do everything in their own account and nothing in others.
type SameAccount struct{}

// Authorize compares the accounts.
func (SameAccount) Authorize(_ context.Context, who leat.Principal, action Action, what Resource) error {
	if who.Account == "" || who.Account != what.Account {
		return leat.Errorf(leat.KindAccessDenied, "%s of account %s is not authorized to perform %s on resources of account %s", who.Name, who.Account, action, what.Account)
	}
	return nil
}

// target reads the name or ARN of a stream and asks whether the caller may act on it. It does not say whether the
// stream exists: who may not act does not learn that.
func (b *Broker) target(ctx context.Context, who leat.Principal, action Action, stream string) (Resource, error) {
	what := Resource{Account: who.Account, Stream: stream}
	if strings.HasPrefix(stream, "arn:") {
		region, account, name, err := leat.ParseStreamARN(stream)
		if err != nil {
			return Resource{}, err
		}
		what = Resource{Account: account, Stream: name}
		if region != b.region {
			return Resource{}, errNoStream(what)
		}
	} else if err := leat.ValidateStreamName(stream); err != nil {
		return Resource{}, err
	}
	return what, b.authorize.Authorize(ctx, who, action, what)
}

// errNoStream has the text of AWS.
func errNoStream(what Resource) error {
	return leat.Errorf(leat.KindNotFound, "Stream %s under account %s not found.", what.Stream, what.Account)
}
