// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"

	"github.com/leatstream/leat"
)

// The SDK's model is the list of operations and members. When it grows, these tests name what is missing here.

// TestOperationsAreTheModels compares the table with the methods of the SDK's client.
func TestOperationsAreTheModels(t *testing.T) {
	var model []string
	client := reflect.TypeFor[*sdk.Client]()
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Options" {
			model = append(model, name)
		}
	}
	slices.Sort(model)
	if built := slices.Sorted(maps.Keys(operations())); !slices.Equal(built, model) {
		t.Errorf("operations here: %v\nof the SDK: %v", built, model)
	}
}

// modelled is an operation whose input and output are compared with the model's.
type modelled struct {
	name   string
	method any               // of Handler; or the input of an operation that decodes it and writes its answer by itself
	shapes map[string]string // the model's shape of each member of the input
}

// input is the type of what the operation is asked with.
func (o modelled) input() reflect.Type {
	if t := reflect.TypeOf(o.method); t.Kind() != reflect.Func {
		return t
	}
	return reflect.TypeOf(o.method).In(3).Elem()
}

// modelledOperations are all that are built.
func modelledOperations() []modelled { return append(controlOperations(), dataOperations()...) }

// dataOperations are those that decode by themselves. Their answers are held against the SDK by what it reads in them.
func dataOperations() []modelled {
	return []modelled{
		{"GetRecords", getRecordsInput{}, shapes(schemas.GetRecordsInput.Members())},
		{"PutRecord", putRecordInput{}, shapes(schemas.PutRecordInput.Members())},
		{"PutRecords", putRecordsInput{}, shapes(schemas.PutRecordsInput.Members())},
		{"SubscribeToShard", subscribeToShardInput{}, shapes(schemas.SubscribeToShardInput.Members())},
	}
}

// TestEachOperationIsModelledOrRefused finds an operation that is built and stands in no table here.
func TestEachOperationIsModelledOrRefused(t *testing.T) {
	listed := map[string]bool{}
	for _, op := range modelledOperations() {
		if listed[op.name] {
			t.Errorf("%s stands in the tables twice", op.name)
		}
		listed[op.name] = true
	}
	for name, o := range operations() {
		if listed[name] {
			continue
		}
		if err := o.run(nil, t.Context(), &call{wire: jsonWire{}}); leat.KindOf(err) != leat.KindUnsupported {
			t.Errorf("%s is built, and nothing compares it with the model: %v", name, err)
		}
	}
}

func controlOperations() []modelled {
	return []modelled{
		{"AddTagsToStream", (*Handler).addTagsToStream, shapes(schemas.AddTagsToStreamInput.Members())},
		{"CreateStream", (*Handler).createStream, shapes(schemas.CreateStreamInput.Members())},
		{"DecreaseStreamRetentionPeriod", (*Handler).decreaseStreamRetentionPeriod, shapes(schemas.DecreaseStreamRetentionPeriodInput.Members())},
		{"DeleteResourcePolicy", (*Handler).deleteResourcePolicy, shapes(schemas.DeleteResourcePolicyInput.Members())},
		{"DeleteStream", (*Handler).deleteStream, shapes(schemas.DeleteStreamInput.Members())},
		{"DeregisterStreamConsumer", (*Handler).deregisterStreamConsumer, shapes(schemas.DeregisterStreamConsumerInput.Members())},
		{"DescribeAccountSettings", (*Handler).describeAccountSettings, shapes(schemas.DescribeAccountSettingsInput.Members())},
		{"DescribeLimits", (*Handler).describeLimits, shapes(schemas.DescribeLimitsInput.Members())},
		{"DescribeStream", (*Handler).describeStream, shapes(schemas.DescribeStreamInput.Members())},
		{"DescribeStreamConsumer", (*Handler).describeStreamConsumer, shapes(schemas.DescribeStreamConsumerInput.Members())},
		{"DescribeStreamSummary", (*Handler).describeStreamSummary, shapes(schemas.DescribeStreamSummaryInput.Members())},
		{"DisableEnhancedMonitoring", (*Handler).disableEnhancedMonitoring, shapes(schemas.DisableEnhancedMonitoringInput.Members())},
		{"EnableEnhancedMonitoring", (*Handler).enableEnhancedMonitoring, shapes(schemas.EnableEnhancedMonitoringInput.Members())},
		{"GetResourcePolicy", (*Handler).getResourcePolicy, shapes(schemas.GetResourcePolicyInput.Members())},
		{"GetShardIterator", (*Handler).getShardIterator, shapes(schemas.GetShardIteratorInput.Members())},
		{"IncreaseStreamRetentionPeriod", (*Handler).increaseStreamRetentionPeriod, shapes(schemas.IncreaseStreamRetentionPeriodInput.Members())},
		{"ListShards", (*Handler).listShards, shapes(schemas.ListShardsInput.Members())},
		{"ListStreamConsumers", (*Handler).listStreamConsumers, shapes(schemas.ListStreamConsumersInput.Members())},
		{"ListStreams", (*Handler).listStreams, shapes(schemas.ListStreamsInput.Members())},
		{"ListTagsForResource", (*Handler).listTagsForResource, shapes(schemas.ListTagsForResourceInput.Members())},
		{"ListTagsForStream", (*Handler).listTagsForStream, shapes(schemas.ListTagsForStreamInput.Members())},
		{"MergeShards", (*Handler).mergeShards, shapes(schemas.MergeShardsInput.Members())},
		{"PutResourcePolicy", (*Handler).putResourcePolicy, shapes(schemas.PutResourcePolicyInput.Members())},
		{"RegisterStreamConsumer", (*Handler).registerStreamConsumer, shapes(schemas.RegisterStreamConsumerInput.Members())},
		{"RemoveTagsFromStream", (*Handler).removeTagsFromStream, shapes(schemas.RemoveTagsFromStreamInput.Members())},
		{"SplitShard", (*Handler).splitShard, shapes(schemas.SplitShardInput.Members())},
		{"StartStreamEncryption", (*Handler).startStreamEncryption, shapes(schemas.StartStreamEncryptionInput.Members())},
		{"StopStreamEncryption", (*Handler).stopStreamEncryption, shapes(schemas.StopStreamEncryptionInput.Members())},
		{"TagResource", (*Handler).tagResource, shapes(schemas.TagResourceInput.Members())},
		{"UntagResource", (*Handler).untagResource, shapes(schemas.UntagResourceInput.Members())},
		{"UpdateAccountSettings", (*Handler).updateAccountSettings, shapes(schemas.UpdateAccountSettingsInput.Members())},
		{"UpdateMaxRecordSize", (*Handler).updateMaxRecordSize, shapes(schemas.UpdateMaxRecordSizeInput.Members())},
		{"UpdateShardCount", (*Handler).updateShardCount, shapes(schemas.UpdateShardCountInput.Members())},
		{"UpdateStreamMode", (*Handler).updateStreamMode, shapes(schemas.UpdateStreamModeInput.Members())},
		{"UpdateStreamWarmThroughput", (*Handler).updateStreamWarmThroughput, shapes(schemas.UpdateStreamWarmThroughputInput.Members())},
	}
}

func shapes[S interface{ TargetID() T }, T any](members map[string]S) map[string]string {
	out := map[string]string{}
	for name, s := range members {
		id := fmt.Sprint(s.TargetID())
		out[name] = id[strings.LastIndexByte(id, '#')+1:]
	}
	return out
}

// constraints are those of the model's shapes, as check tags. ShardCount and TargetShardCount have no upper bound in
// the model; AWS was seen to refuse more than 100,000.
func constraints(shape, member string) (string, bool) {
	if member == "DryRun" {
		return "reserved", true // what AWS has and this server refuses
	}
	tag, ok := map[string]string{
		"BooleanObject":                 "",
		"ConsumerARN":                   "pattern=consumerARN,len=1..2048",
		"ConsumerName":                  "pattern=consumerName,len=1..128",
		"Data":                          "len=0..10485760",
		"DescribeStreamInputLimit":      "range=1..10000",
		"EncryptionType":                "enum=NONE|KMS",
		"GetRecordsInputLimit":          "range=1..10000",
		"HashKey":                       "pattern=hashKey",
		"KeyId":                         "len=1..2048",
		"ListShardsInputLimit":          "range=1..10000",
		"ListStreamConsumersInputLimit": "range=1..10000",
		"ListStreamsInputLimit":         "range=1..10000",
		"ListTagsForStreamInputLimit":   "range=1..50",
		"MaxRecordSizeInKiB":            "range=1024..10240",
		"MetricsNameList":               "items=1..7,eachEnum=IncomingBytes|IncomingRecords|OutgoingBytes|OutgoingRecords|WriteProvisionedThroughputExceeded|ReadProvisionedThroughputExceeded|IteratorAgeMilliseconds|ALL",
		"MinimumThroughputBillingCommitmentInput": "",
		"NaturalIntegerObject":                    "range=0..2147483647",
		"NextToken":                               "len=1..1048576",
		"PartitionKey":                            "len=1..256",
		"Policy":                                  "",
		"PositiveIntegerObject":                   "range=1..100000",
		"PutRecordsRequestEntryList":              "items=1..500",
		"RecordDistributionStrategy":              "enum=AUTO|USER_PARTITION_KEY",
		"ResourceARN":                             "pattern=resourceARN,len=1..2048",
		"RetentionPeriodHours":                    "",
		"ScalingType":                             "enum=UNIFORM_SCALING",
		"SequenceNumber":                          "pattern=sequenceNumber",
		"ShardFilter":                             "",
		"ShardId":                                 "pattern=shardId,len=1..128",
		"ShardIterator":                           "len=1..512",
		"ShardIteratorType":                       "enum=AFTER_SEQUENCE_NUMBER|LATEST|AT_TIMESTAMP|AT_SEQUENCE_NUMBER|TRIM_HORIZON",
		"StartingPosition":                        "",
		"StreamARN":                               "pattern=streamARN,len=1..2048",
		"StreamId":                                "pattern=streamId,len=1..24",
		"StreamModeDetails":                       "",
		"StreamName":                              "pattern=streamName,len=1..128",
		"TagKey":                                  "len=1..128",
		"TagKeyList":                              "items=1..50,each=1..128",
		"TagMap":                                  "items=1..200,keys=1..128,values=0..256",
		"Timestamp":                               "",
	}[shape]
	return tag, ok
}

// TestInputsAreTheModels compares the members of inputs and of the structures in them, which are required, and their
// constraints.
func TestInputsAreTheModels(t *testing.T) {
	client := reflect.TypeFor[*sdk.Client]()
	for _, op := range modelledOperations() {
		required := requiredBy(t, op.name)
		in := op.input()
		method, _ := client.MethodByName(op.name)
		sameMembers(t, op.name, in, method.Type.In(2).Elem())
		ours := map[string]string{}
		for i := range in.NumField() {
			name, _, _ := strings.Cut(in.Field(i).Tag.Get("json"), ",")
			ours[name] = in.Field(i).Tag.Get("check")
		}
		for member, shape := range op.shapes {
			want, known := constraints(shape, member)
			if !known {
				t.Errorf("%s.%s: the constraints of shape %s are not in the table", op.name, member, shape)
			}
			// The model leaves the key out for streams that distribute records without one, which are not built.
			if slices.Contains(required, member) || op.name == "PutRecord" && member == "PartitionKey" {
				want = strings.TrimSuffix("required,"+want, ",")
			}
			got, there := ours[member]
			if !there || got != want {
				t.Errorf("%s.%s has check %q (there: %v), want %q", op.name, member, got, there, want)
			}
			delete(ours, member)
		}
		for member := range ours {
			t.Errorf("%s.%s is not in the model", op.name, member)
		}
	}
}

var missing = regexp.MustCompile(`missing required field, \w+Input\.(\w+)\.`)

// requiredBy asks the SDK, which refuses an empty input with the names of its required members.
func requiredBy(t *testing.T, operation string) (members []string) {
	t.Helper()
	client := sdk.New(sdk.Options{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		BaseEndpoint: aws.String("http://127.0.0.1:1"), HTTPClient: nowhere{}, RetryMaxAttempts: 1,
	})
	method := reflect.ValueOf(client).MethodByName(operation)
	in := reflect.New(method.Type().In(1).Elem())
	out := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	err, _ := out[1].Interface().(error)
	for _, m := range missing.FindAllStringSubmatch(err.Error(), -1) {
		members = append(members, m[1])
	}
	return members
}

// nowhere has no network.
type nowhere struct{}

func (nowhere) Do(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no network here")
}

// TestOutputsAreTheModels compares the members of outputs, and of the structures in them.
func TestOutputsAreTheModels(t *testing.T) {
	client := reflect.TypeFor[*sdk.Client]()
	for _, op := range controlOperations() {
		method, _ := client.MethodByName(op.name)
		sameMembers(t, op.name, reflect.TypeOf(op.method).Out(0).Elem(), method.Type.Out(0).Elem())
	}
}

// sameMembers walks two structs. AWS reserves the StreamId of a summary and does not send it.
func sameMembers(t *testing.T, path string, ours, model reflect.Type) {
	t.Helper()
	have := fieldsOf(ours)
	for i := range model.NumField() {
		f := model.Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" || (f.Name == "StreamId" && model.Name() == "StreamDescriptionSummary") {
			continue
		}
		mine, ok := have[f.Name]
		if !ok {
			t.Errorf("%s.%s is not told", path, f.Name)
			continue
		}
		delete(have, f.Name)
		a, b := plain(mine), plain(f.Type)
		if a.Kind() == reflect.Struct && b.Kind() == reflect.Struct && a != reflect.TypeFor[timestamp]() {
			sameMembers(t, path+"."+f.Name, a, b)
		}
	}
	for name := range have {
		t.Errorf("%s.%s is not in the model", path, name)
	}
}

// fieldsOf returns the types of a struct's members by their names on the wire.
func fieldsOf(s reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(s) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			out[name] = f.Type
		}
	}
	return out
}

// plain is what pointers point to and lists hold.
func plain(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}
