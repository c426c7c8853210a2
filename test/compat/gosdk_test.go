// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
)

// walk makes what it needs, calls its operations, and looks at the answers and at what became of them.
type walk struct {
	operations []string // for which it stands
	run        func(*testing.T, *kinesis.Client)
}

// walks covers every operation that Leat has, once.
func walks() []walk {
	return []walk{
		{[]string{"CreateStream"}, walkCreateStream},
		{[]string{"DeleteStream"}, walkDeleteStream},
		{[]string{"DescribeStream"}, walkDescribeStream},
		{[]string{"DescribeStreamSummary"}, walkDescribeStreamSummary},
		{[]string{"ListStreams"}, walkListStreams},
		{[]string{"PutRecord"}, walkPutRecord},
		{[]string{"PutRecords"}, walkPutRecords},
		{[]string{"GetRecords"}, walkGetRecords},
		{[]string{"GetShardIterator"}, walkGetShardIterator},
		{[]string{"ListShards"}, walkListShards},
		{[]string{"SplitShard", "MergeShards"}, walkReshard},
		{[]string{"UpdateShardCount"}, walkUpdateShardCount},
		{[]string{"RegisterStreamConsumer", "DescribeStreamConsumer", "DeregisterStreamConsumer"}, walkConsumers},
		{[]string{"ListStreamConsumers"}, walkListStreamConsumers},
		{[]string{"SubscribeToShard"}, walkSubscribeToShard},
		{[]string{"IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"}, walkRetention},
		{[]string{"AddTagsToStream", "RemoveTagsFromStream", "ListTagsForStream"}, walkStreamTags},
		{[]string{"TagResource", "UntagResource", "ListTagsForResource"}, walkResourceTags},
		{[]string{"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy"}, walkResourcePolicy},
		{[]string{"EnableEnhancedMonitoring", "DisableEnhancedMonitoring"}, walkMonitoring},
		{[]string{"StartStreamEncryption", "StopStreamEncryption"}, walkEncryption},
		{[]string{"UpdateMaxRecordSize"}, walkMaxRecordSize},
		{[]string{"UpdateStreamMode"}, walkUpdateStreamMode},
		{[]string{"UpdateStreamWarmThroughput"}, walkWarmThroughput},
		{[]string{"DescribeLimits"}, walkDescribeLimits},
		{[]string{"DescribeAccountSettings", "UpdateAccountSettings"}, walkAccountSettings},
	}
}

// walked is how many walks stand for an operation.
func walked(operation string) (n int) {
	for _, w := range walks() {
		if slices.Contains(w.operations, operation) {
			n++
		}
	}
	return n
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
	for _, name := range operations() {
		if _, refused := refusals()[name]; walked(name) > 1 || refused == (walked(name) == 1) {
			t.Errorf("%s is walked %d times, refused: %v", name, walked(name), refused)
		}
	}
	for _, w := range walks() {
		t.Run(strings.Join(w.operations, ","), func(t *testing.T) {
			t.Parallel()
			var seen answered
			w.run(t, client(t, n, seen.watch))
			for _, name := range w.operations {
				if !t.Failed() && !seen.has(name) {
					t.Errorf("the walk has no answer of %s", name)
				}
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(refusals())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refusals()[name](t.Context(), client(t, n))
			fails[*types.InvalidArgumentException](t, err, name+" is not supported")
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
