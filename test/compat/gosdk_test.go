// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// walks has one walk for each operation that Leat has. A walk makes what it needs, calls the operation, and looks at
// the answer and at what became of it.
func walks() map[string]func(*testing.T, *kinesis.Client) {
	return map[string]func(*testing.T, *kinesis.Client){
		"AddTagsToStream":               walkStreamTags,
		"CreateStream":                  walkCreateStream,
		"DecreaseStreamRetentionPeriod": walkRetention,
		"DeleteResourcePolicy":          walkResourcePolicy,
		"DeleteStream":                  walkDeleteStream,
		"DeregisterStreamConsumer":      walkConsumers,
		"DescribeAccountSettings":       walkAccountSettings,
		"DescribeLimits":                walkDescribeLimits,
		"DescribeStream":                walkDescribeStream,
		"DescribeStreamConsumer":        walkConsumers,
		"DescribeStreamSummary":         walkDescribeStreamSummary,
		"DisableEnhancedMonitoring":     walkMonitoring,
		"EnableEnhancedMonitoring":      walkMonitoring,
		"GetRecords":                    walkGetRecords,
		"GetResourcePolicy":             walkResourcePolicy,
		"GetShardIterator":              walkGetShardIterator,
		"IncreaseStreamRetentionPeriod": walkRetention,
		"ListShards":                    walkListShards,
		"ListStreamConsumers":           walkListStreamConsumers,
		"ListStreams":                   walkListStreams,
		"ListTagsForResource":           walkResourceTags,
		"ListTagsForStream":             walkStreamTags,
		"MergeShards":                   walkReshard,
		"PutRecord":                     walkPutRecord,
		"PutRecords":                    walkPutRecords,
		"PutResourcePolicy":             walkResourcePolicy,
		"RegisterStreamConsumer":        walkConsumers,
		"RemoveTagsFromStream":          walkStreamTags,
		"SplitShard":                    walkReshard,
		"StartStreamEncryption":         walkEncryption,
		"StopStreamEncryption":          walkEncryption,
		"SubscribeToShard":              walkSubscribeToShard,
		"TagResource":                   walkResourceTags,
		"UntagResource":                 walkResourceTags,
		"UpdateAccountSettings":         walkAccountSettings,
		"UpdateMaxRecordSize":           walkMaxRecordSize,
		"UpdateShardCount":              walkUpdateShardCount,
		"UpdateStreamMode":              walkUpdateStreamMode,
		"UpdateStreamWarmThroughput":    walkWarmThroughput,
	}
}

// operations are all that the SDK's client can ask for.
func operations() (names []string) {
	client := reflect.TypeFor[*kinesis.Client]()
	for m := range client.Methods() {
		if m.Type.NumIn() == 4 && m.Type.NumOut() == 2 && m.Type.IsVariadic() {
			names = append(names, m.Name)
		}
	}
	return names
}

// Each operation of the SDK is walked through and answers at least once, or stands in the list of those that Leat
// refuses by name.
func TestGoSDKOperations(t *testing.T) {
	t.Parallel()
	n := dev(t)
	walks := walks()
	for _, name := range operations() {
		_, walked := walks[name]
		_, refused := refusals()[name]
		if walked == refused {
			t.Errorf("%s is walked: %v, refused: %v", name, walked, refused)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(walks)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen answered
			walks[name](t, client(t, n, seen.watch))
			if !t.Failed() && !seen.has(name) {
				t.Errorf("the walk has no answer of %s", name)
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(refusals())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refusals()[name](t.Context(), client(t, n))
			fails[smithy.APIError](t, err, "")
			if e, ok := err.(interface{ HTTPStatusCode() int }); ok && e.HTTPStatusCode() >= 500 {
				t.Errorf("it answers %v", err)
			}
		})
	}
}

// answered collects the names of the operations that were answered without an error.
type answered struct {
	mu    sync.Mutex
	names []string
}

func (a *answered) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.names, name)
}

// watch makes a client tell of its calls.
func (a *answered) watch(o *kinesis.Options) {
	watcher := middleware.InitializeMiddlewareFunc("answered",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, meta, err := next.HandleInitialize(ctx, in)
			if err == nil {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.names = append(a.names, awsmiddleware.GetOperationName(ctx))
			}
			return out, meta, err
		})
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error { return s.Initialize.Add(watcher, middleware.After) })
}
