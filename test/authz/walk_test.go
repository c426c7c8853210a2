// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/kinesis"
)

// Two accounts on one server. What the first one has carries the mark, which nothing that the second one is told may hold.
const (
	ours   = "111111111111"
	theirs = "222222222222"
	mark   = "secretmark"

	stream     = "orders"
	streamARN  = "arn:aws:kinesis:us-east-1:" + ours + ":stream/" + stream
	allowAll   = `{"Version":"2012-10-17","Statement":{"Sid":"` + mark + `","Effect":"Allow","Action":"*","Resource":"*"}}`
	allowNone  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"leat:Nothing","Resource":"*"}}`
	ownPolicy  = `{"Version":"2012-10-17","Statement":{"Sid":"` + mark + `","Effect":"Allow","Principal":{"AWS":"` + ours + `"},"Action":"kinesis:*","Resource":"*"}}`
	somePolicy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:*","Resource":"*"}}`
)

// house is a server with both accounts in it.
type house struct {
	*testing.T
	server   *leattest.Server
	root     string // the operator's token; empty: anybody is an operator
	operator *client.Client
	owner    *client.Client // a token of ours without a role
	keyID    string         // of a key of ours
	tokenID  string
	iterator string
	consumer string // its ARN
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) dial(token, account string) *client.Client {
	h.Helper()
	c, err := client.Dial(h.server.Endpoint, client.WithToken(cmp.Or(token, h.root)), client.WithAccount(account))
	h.must(err)
	h.Cleanup(func() { _ = c.Close() })
	return c
}

// token makes a token of an account with a role.
func (h *house) token(account, role string) *client.Client {
	h.Helper()
	res, err := h.dial("", account).Identity.CreateToken(h.Context(), &leatv1.CreateTokenRequest{Name: "caller", Role: role})
	h.must(err)
	return h.dial(res.GetSecret(), "")
}

func build(t *testing.T) *house { return buildWith(t, "") }

// buildWith is build with an operator's token, without which nobody is an operator.
func buildWith(t *testing.T, operator string, change ...func(*server.DevConfig)) *house {
	h := &house{T: t, root: operator, server: leattest.Start(t, leattest.WithConfig(func(c *server.DevConfig) {
		c.AuditEvery, c.Token = 20*time.Millisecond, operator
		for _, ch := range change {
			ch(c)
		}
	}))}
	ctx := t.Context()
	h.operator = h.dial("", "")
	for _, id := range []string{ours, theirs} {
		_, err := h.operator.Identity.CreateAccount(ctx, &leatv1.CreateAccountRequest{AccountId: id, Name: "account " + id, Labels: map[string]string{"of": id}})
		h.must(err)
	}
	admin := h.dial("", ours)
	for name, policy := range map[string]string{"all": allowAll, "none": allowNone} {
		_, err := admin.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: name, Policy: policy, Description: mark})
		h.must(err)
	}
	h.owner = h.token(ours, "")
	for _, name := range []string{stream, mark + "-stream"} {
		_, err := h.owner.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: name, ShardCount: 2, Tags: map[string]string{"of": mark}})
		h.must(err)
	}
	h.ready(stream)
	put, err := h.owner.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: stream, PartitionKey: mark, Data: []byte(mark)})
	h.must(err)
	it, err := h.owner.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{
		Stream: stream, ShardId: put.GetShardId(), Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
	})
	h.must(err)
	h.iterator = it.GetShardIterator()
	c, err := h.owner.Consumers.RegisterStreamConsumer(ctx, &leatv1.RegisterStreamConsumerRequest{Stream: stream, Consumer: "app", Tags: map[string]string{"of": mark}})
	h.must(err)
	h.consumer = c.GetConsumer().GetArn()
	_, err = h.owner.Resources.PutResourcePolicy(ctx, &leatv1.PutResourcePolicyRequest{Stream: stream, Policy: ownPolicy})
	h.must(err)
	key, err := h.owner.Keys.CreateKey(ctx, &leatv1.CreateKeyRequest{Name: mark})
	h.must(err)
	h.keyID = key.GetKey().GetId()
	token, err := h.owner.Identity.CreateToken(ctx, &leatv1.CreateTokenRequest{Name: mark})
	h.must(err)
	h.tokenID = token.GetToken().GetId()
	return h
}

// ready waits until a stream of ours takes records.
func (h *house) ready(name string) {
	h.Helper()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		d, err := h.owner.Streams.DescribeStreamSummary(h.Context(), &leatv1.DescribeStreamSummaryRequest{Stream: name})
		h.must(err)
		if d.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			tick.Stop()
			return
		}
		<-tick.C
	}
}

// free are the methods that everybody may call who has a credential, with the reason.
var free = map[string]string{
	"leat.v1.SystemService/GetServerInfo": "it tells the version and the region, as the wire's headers do",
}

// operators are the methods that take an operator, whatever a policy says.
var operators = map[string]bool{
	"leat.v1.SystemService/ListNodes": true, "leat.v1.SystemService/DrainNode": true,
	"leat.v1.BillingService/CloseInvoice": true, "leat.v1.BillingService/AddInvoiceEntry": true,
	"leat.v1.IdentityService/CreateAccount": true, "leat.v1.IdentityService/ListAccounts": true,
	"leat.v1.IdentityService/UpdateAccount": true, "leat.v1.IdentityService/DeleteAccount": true,
}

// requests has a request of each method, about things of ours. %s is the stream.
func (h *house) requests() map[string]string {
	return map[string]string{
		"leat.v1.AccountService/GetAccountLimits":      `{}`,
		"leat.v1.AccountService/GetAccountSettings":    `{}`,
		"leat.v1.AccountService/UpdateAccountSettings": `{"minimumThroughputCommitment":"COMMITMENT_STATUS_DISABLED"}`,

		"leat.v1.AuditService/ListAuditEvents":   `{"filter":{"account":"` + ours + `"}}`,
		"leat.v1.AuditService/ExportAuditEvents": `{"filter":{"account":"` + ours + `"}}`,

		"leat.v1.BillingService/GetUsage":        `{"account":"` + ours + `","startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-02T00:00:00Z"}`,
		"leat.v1.BillingService/ListInvoices":    `{"account":"` + ours + `"}`,
		"leat.v1.BillingService/GetInvoice":      `{"account":"` + ours + `","month":"2026-01"}`,
		"leat.v1.BillingService/ExportInvoice":   `{"account":"` + ours + `","month":"2026-01","format":1}`,
		"leat.v1.BillingService/CloseInvoice":    `{"account":"` + ours + `","month":"2026-01"}`,
		"leat.v1.BillingService/AddInvoiceEntry": `{"account":"` + ours + `","month":"2026-01","entryId":"a","amount":"1","reason":"r"}`,
		"leat.v1.BillingService/EstimateCost":    `{"mode":1,"shardCount":1}`,
		"leat.v1.BillingService/PutBudget":       `{"account":"` + ours + `","name":"all","amount":"10"}`,
		"leat.v1.BillingService/ListBudgets":     `{"account":"` + ours + `"}`,
		"leat.v1.BillingService/DeleteBudget":    `{"account":"` + ours + `","name":"all"}`,
		"leat.v1.BillingService/FindSavings":     `{}`,

		"leat.v1.ConsumerService/RegisterStreamConsumer":   `{"stream":"%s","consumer":"other"}`,
		"leat.v1.ConsumerService/DescribeStreamConsumer":   `{"stream":"%s","consumer":"app"}`,
		"leat.v1.ConsumerService/ListStreamConsumers":      `{"stream":"%s"}`,
		"leat.v1.ConsumerService/DeregisterStreamConsumer": `{"stream":"%s","consumer":"app"}`,

		"leat.v1.DeliveryService/CreateDelivery":     `{"delivery":"d","config":{"source":{"stream":"` + stream + `"},"s3":{"bucket":"nowhere","endpoint":"http://127.0.0.1:1","accessKey":"k","secretKey":"secretsecret"}}}`,
		"leat.v1.DeliveryService/DescribeDelivery":   `{"delivery":"d"}`,
		"leat.v1.DeliveryService/ListDeliveries":     `{}`,
		"leat.v1.DeliveryService/UpdateDelivery":     `{"delivery":"d","state":"DELIVERY_STATE_PAUSED"}`,
		"leat.v1.DeliveryService/DeleteDelivery":     `{"delivery":"d"}`,
		"leat.v1.DeliveryService/PutDeliveryRecords": `{"delivery":"d","records":["aGVsbG8="]}`,
		"leat.v1.DeliveryService/BackfillDelivery":   `{"delivery":"d","fromTime":"2026-01-01T00:00:00Z"}`,
		"leat.v1.DeliveryService/VerifyDelivery":     `{"delivery":"d"}`,

		"leat.v1.IdentityService/CreateAccount": `{"name":"third"}`,
		"leat.v1.IdentityService/ListAccounts":  `{}`,
		"leat.v1.IdentityService/GetAccount":    `{"accountId":"` + ours + `"}`,
		"leat.v1.IdentityService/UpdateAccount": `{"accountId":"` + ours + `","name":"x"}`,
		"leat.v1.IdentityService/DeleteAccount": `{"accountId":"` + ours + `","erase":true}`,
		"leat.v1.IdentityService/PutRole":       `{"name":"none","policy":` + quote(allowNone) + `}`,
		"leat.v1.IdentityService/GetRole":       `{"name":"all"}`,
		"leat.v1.IdentityService/ListRoles":     `{}`,
		"leat.v1.IdentityService/DeleteRole":    `{"name":"all"}`,
		"leat.v1.IdentityService/CreateToken":   `{"name":"x"}`,
		"leat.v1.IdentityService/ListTokens":    `{}`,
		"leat.v1.IdentityService/DeleteToken":   `{"tokenId":"` + h.tokenID + `"}`,

		"leat.v1.KeyService/CreateKey": `{"name":"x"}`,
		"leat.v1.KeyService/ListKeys":  `{}`,
		"leat.v1.KeyService/UpdateKey": `{"keyId":"` + h.keyID + `","state":"KEY_STATE_INACTIVE"}`,
		"leat.v1.KeyService/DeleteKey": `{"keyId":"` + h.keyID + `"}`,

		"leat.v1.RecordService/PutRecord":        `{"stream":"%s","partitionKey":"k","data":"aGVsbG8="}`,
		"leat.v1.RecordService/PutRecords":       `{"stream":"%s","records":[{"partitionKey":"k","data":"aGVsbG8="}]}`,
		"leat.v1.RecordService/GetShardIterator": `{"stream":"%s","shardId":"0","start":{"type":"STARTING_POSITION_TYPE_LATEST"}}`,
		"leat.v1.RecordService/GetRecords":       `{"shardIterator":"` + h.iterator + `"}`,
		"leat.v1.RecordService/SubscribeToShard": `{"stream":"%s","consumer":"app","shardId":"0","start":{"type":"STARTING_POSITION_TYPE_LATEST"}}`,

		"leat.v1.ResourceService/AddTags":              `{"stream":"%s","tags":{"a":"b"}}`,
		"leat.v1.ResourceService/RemoveTags":           `{"stream":"%s","names":["of"]}`,
		"leat.v1.ResourceService/ListTags":             `{"stream":"%s"}`,
		"leat.v1.ResourceService/PutResourcePolicy":    `{"stream":"%s","policy":` + quote(somePolicy) + `}`,
		"leat.v1.ResourceService/GetResourcePolicy":    `{"stream":"%s"}`,
		"leat.v1.ResourceService/DeleteResourcePolicy": `{"stream":"%s"}`,

		"leat.v1.ShardService/ListShards":  `{"stream":"%s"}`,
		"leat.v1.ShardService/SplitShard":  `{"stream":"%s","shardId":"0","newStartingHashKey":"10"}`,
		"leat.v1.ShardService/MergeShards": `{"stream":"%s","shardId":"0","adjacentShardId":"1"}`,
		"leat.v1.ShardService/ScaleStream": `{"stream":"%s","targetShardCount":3}`,

		"leat.v1.StreamService/CreateStream":          `{"stream":"another","shardCount":1}`,
		"leat.v1.StreamService/DescribeStream":        `{"stream":"%s"}`,
		"leat.v1.StreamService/DescribeStreamSummary": `{"stream":"%s"}`,
		"leat.v1.StreamService/ListStreams":           `{}`,
		"leat.v1.StreamService/UpdateStream":          `{"stream":"%s","settings":{"retentionHours":48},"updateMask":"retentionHours"}`,
		"leat.v1.StreamService/DeleteStream":          `{"stream":"%s","enforceConsumerDeletion":true}`,
		"leat.v1.StreamService/SetStreamMonitoring":   `{"stream":"%s","enable":["SHARD_METRIC_INCOMING_BYTES"]}`,
		"leat.v1.StreamService/StartStreamEncryption": `{"stream":"%s","key":"alias/x"}`,
		"leat.v1.StreamService/StopStreamEncryption":  `{"stream":"%s"}`,
		"leat.v1.StreamService/ListScaleEvents":       `{"stream":"%s"}`,

		"leat.v1.SystemService/GetServerInfo": `{}`,
		"leat.v1.SystemService/ListNodes":     `{}`,
		"leat.v1.SystemService/DrainNode":     `{"node":"dev"}`,
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a text always has a form in JSON
	return string(b)
}

// methods calls f for every method of the native API.
func methods(f func(name string, m protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFilesByPackage("leat.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				f(string(s.FullName())+"/"+string(s.Methods().Get(j).Name()), s.Methods().Get(j))
			}
		}
		return true
	})
}

// call makes a call by its name and returns the answer, or the first message of a stream, as JSON.
func (h *house) call(c *client.Client, name string, m protoreflect.MethodDescriptor, request string) (string, error) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	in, out := h.message(m.Input()), h.message(m.Output())
	if err := protojson.Unmarshal([]byte(request), in); err != nil {
		h.Fatalf("%s: %v", name, err)
	}
	var err error
	if m.IsStreamingServer() {
		var s grpc.ClientStream
		if s, err = c.Conn().NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+name); err == nil {
			if err = s.SendMsg(in); err == nil {
				if err = s.CloseSend(); err == nil {
					err = s.RecvMsg(out)
				}
			}
		}
	} else {
		err = c.Conn().Invoke(ctx, "/"+name, in, out)
	}
	return protojson.Format(out), err
}

func (h *house) message(d protoreflect.MessageDescriptor) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	h.must(err)
	return t.New().Interface()
}

func kind(err error) codes.Code { return status.Code(err) }

func TestEveryMethodIsAuthorised(t *testing.T) {
	h := build(t)
	requests := h.requests()
	none, all, stranger := h.token(ours, "none"), h.token(ours, "all"), h.token(theirs, "")
	forged := h.dial("leat_AAAAAAAAAAAAAAAA_"+strings.Repeat("A", 43), "")
	walked := 0
	methods(func(name string, m protoreflect.MethodDescriptor) {
		request, ok := requests[name]
		if !ok {
			t.Errorf("%s is new: add a request of it to requests, so that it is shown to be authorised", name)
			return
		}
		walked++
		named := strings.ReplaceAll(request, "%s", stream)
		if _, err := h.call(forged, name, m, named); kind(err) != codes.Unauthenticated {
			t.Errorf("%s with a forged token: %v", name, err)
		}
		if free[name] != "" {
			return
		}
		// Without permission: refused, and nothing is told.
		if got, err := h.call(none, name, m, named); kind(err) != codes.PermissionDenied || strings.Contains(got+fmt.Sprint(err), mark) {
			t.Errorf("%s without permission: %s, %v", name, got, err)
		}
		// Another account, by name: it finds its own alone. By ARN, which the native API takes for no name of a stream: refused.
		got, err := h.call(stranger, name, m, named)
		if strings.Contains(got+fmt.Sprint(err), mark) {
			t.Errorf("%s tells another account what is ours: %s, %v", name, got, err)
		}
		if strings.Contains(request, "%s") && err == nil {
			t.Errorf("%s found a stream of ours in another account: %s", name, got)
		}
		got, err = h.call(stranger, name, m, strings.ReplaceAll(request, "%s", streamARN))
		if strings.Contains(request, "%s") && kind(err) != codes.InvalidArgument && kind(err) != codes.PermissionDenied || strings.Contains(got+fmt.Sprint(err), mark) {
			t.Errorf("%s by ARN from another account: %s, %v", name, got, err)
		}
	})
	if walked != len(requests) {
		t.Errorf("%d methods were walked, and there are requests of %d", walked, len(requests))
	}
	h.unharmed()
	// With permission none of these is refused for want of it: what refused them above was the policy.
	methods(func(name string, m protoreflect.MethodDescriptor) {
		if _, err := h.call(all, name, m, strings.ReplaceAll(requests[name], "%s", stream)); (kind(err) == codes.PermissionDenied) != operators[name] {
			t.Errorf("%s with permission for everything: %v", name, err)
		}
	})
}

// unharmed shows that what is ours is as it was.
func (h *house) unharmed() {
	h.Helper()
	ctx := h.Context()
	tags, err := h.owner.Resources.ListTags(ctx, &leatv1.ListTagsRequest{Stream: stream})
	h.must(err)
	if len(tags.GetTags()) != 1 || tags.GetTags()[0].GetValue() != mark {
		h.Errorf("tags: %v", tags)
	}
	page, err := h.owner.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: h.iterator})
	h.must(err)
	if len(page.GetRecords()) != 1 || string(page.GetRecords()[0].GetData()) != mark {
		h.Errorf("records: %v", page)
	}
	keys, err := h.owner.Keys.ListKeys(ctx, &leatv1.ListKeysRequest{})
	h.must(err)
	if len(keys.GetKeys()) == 0 || keys.GetKeys()[0].GetState() != leatv1.KeyState_KEY_STATE_ACTIVE {
		h.Errorf("keys: %v", keys)
	}
	if p, err := h.owner.Resources.GetResourcePolicy(ctx, &leatv1.GetResourcePolicyRequest{Stream: stream}); err != nil || p.GetPolicy() != ownPolicy {
		h.Errorf("policy: %v, %v", p, err)
	}
}

// accountWide are the operations of the wire that are about the caller's account, not about a stream that is there.
var accountWide = map[string]bool{
	"CreateStream": true, "DescribeAccountSettings": true, "DescribeLimits": true, "ListStreams": true, "UpdateAccountSettings": true,
}

// wire has a request of each operation of the Kinesis wire, about things of ours.
func (h *house) wire() map[string]string {
	a := `"StreamARN":"` + streamARN + `"`
	policy := `"ResourceARN":"` + streamARN + `"`
	return map[string]string{
		"AddTagsToStream":               `{` + a + `,"Tags":{"a":"b"}}`,
		"CreateStream":                  `{"StreamName":"another","ShardCount":1}`,
		"DecreaseStreamRetentionPeriod": `{` + a + `,"RetentionPeriodHours":24}`,
		"DeleteResourcePolicy":          `{` + policy + `}`,
		"DeleteStream":                  `{` + a + `}`,
		"DeregisterStreamConsumer":      `{"ConsumerARN":"` + h.consumer + `"}`,
		"DescribeAccountSettings":       `{}`,
		"DescribeLimits":                `{}`,
		"DescribeStream":                `{` + a + `}`,
		"DescribeStreamConsumer":        `{"ConsumerARN":"` + h.consumer + `"}`,
		"DescribeStreamSummary":         `{` + a + `}`,
		"DisableEnhancedMonitoring":     `{` + a + `,"ShardLevelMetrics":["ALL"]}`,
		"EnableEnhancedMonitoring":      `{` + a + `,"ShardLevelMetrics":["ALL"]}`,
		"GetRecords":                    `{"ShardIterator":"` + h.iterator + `"}`,
		"GetResourcePolicy":             `{` + policy + `}`,
		"GetShardIterator":              `{` + a + `,"ShardId":"shardId-000000000000","ShardIteratorType":"LATEST"}`,
		"IncreaseStreamRetentionPeriod": `{` + a + `,"RetentionPeriodHours":48}`,
		"ListShards":                    `{` + a + `}`,
		"ListStreamConsumers":           `{` + a + `}`,
		"ListStreams":                   `{}`,
		"ListTagsForResource":           `{` + policy + `}`,
		"ListTagsForStream":             `{` + a + `}`,
		"MergeShards":                   `{` + a + `,"ShardToMerge":"shardId-000000000000","AdjacentShardToMerge":"shardId-000000000001"}`,
		"PutRecord":                     `{` + a + `,"PartitionKey":"k","Data":"aGVsbG8="}`,
		"PutRecords":                    `{` + a + `,"Records":[{"PartitionKey":"k","Data":"aGVsbG8="}]}`,
		"PutResourcePolicy":             `{` + policy + `,"Policy":` + quote(somePolicy) + `}`,
		"RegisterStreamConsumer":        `{` + a + `,"ConsumerName":"other"}`,
		"RemoveTagsFromStream":          `{` + a + `,"TagKeys":["of"]}`,
		"SplitShard":                    `{` + a + `,"ShardToSplit":"shardId-000000000000","NewStartingHashKey":"10"}`,
		"StartStreamEncryption":         `{` + a + `,"EncryptionType":"KMS","KeyId":"alias/x"}`,
		"StopStreamEncryption":          `{` + a + `,"EncryptionType":"KMS","KeyId":"alias/x"}`,
		"SubscribeToShard":              `{"ConsumerARN":"` + h.consumer + `","ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}`,
		"TagResource":                   `{` + policy + `,"Tags":{"a":"b"}}`,
		"UntagResource":                 `{` + policy + `,"TagKeys":["of"]}`,
		"UpdateAccountSettings":         `{"MinimumThroughputBillingCommitment":{"Status":"DISABLED"}}`,
		"UpdateMaxRecordSize":           `{` + a + `,"MaxRecordSizeInKiB":2048}`,
		"UpdateShardCount":              `{` + a + `,"TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`,
		"UpdateStreamMode":              `{` + a + `,"StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`,
		"UpdateStreamWarmThroughput":    `{` + a + `,"WarmThroughputMiBps":1}`,
	}
}

// aws makes a call of the Kinesis wire.
func (h *house) aws(key *leatv1.CreateKeyResponse, operation, body string) (int, string) {
	h.Helper()
	return h.sign(key, "kinesis", "Kinesis_20131202."+operation, body)
}

// sign signs a request with a key and returns the status and the body.
func (h *house) sign(key *leatv1.CreateKeyResponse, service, target, body string) (int, string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.server.HTTP+"/", bytes.NewReader([]byte(body)))
	h.must(err)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	sum := sha256.Sum256([]byte(body))
	h.must(v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: key.GetKey().GetId(), SecretAccessKey: key.GetSecret()}, r, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()))
	client := &http.Client{}
	res, err := client.Do(r)
	h.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil && ctx.Err() == nil {
		h.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// key makes an access key of an account with a role.
func (h *house) key(account, role string) *leatv1.CreateKeyResponse {
	h.Helper()
	res, err := h.dial("", account).Keys.CreateKey(h.Context(), &leatv1.CreateKeyRequest{Name: "signer", Role: role})
	h.must(err)
	return res
}

func TestEveryOperationOfTheKinesisWireIsAuthorised(t *testing.T) {
	h := build(t)
	requests := h.wire()
	none, owner, stranger := h.key(ours, "none"), h.key(ours, ""), h.key(theirs, "")
	wrong := &leatv1.CreateKeyResponse{Key: owner.GetKey(), Secret: "not the secret"}
	for _, name := range kinesis.Operations() {
		request, ok := requests[name]
		if !ok {
			if _, got := h.aws(owner, name, `{}`); !strings.Contains(got, name+" is not supported by this server") {
				t.Errorf("%s is new: add a request of it to wire, so that it is shown to be authorised: %s", name, got)
			}
			continue
		}
		if code, got := h.aws(wrong, name, request); code != http.StatusBadRequest || !strings.Contains(got, "InvalidSignatureException") {
			t.Errorf("%s with a wrong signature: %d %s", name, code, got)
		}
		if code, got := h.aws(none, name, request); code != http.StatusBadRequest || !strings.Contains(got, "AccessDeniedException") || strings.Contains(got, mark) {
			t.Errorf("%s without permission: %d %s", name, code, got)
		}
		code, got := h.aws(stranger, name, request)
		if strings.Contains(got, mark) || !accountWide[name] && (code != http.StatusBadRequest || !strings.Contains(got, "AccessDeniedException")) {
			t.Errorf("%s from another account: %d %s", name, code, got)
		}
	}
	h.unharmed()
	if code, got := h.aws(owner, "DescribeStreamSummary", requests["DescribeStreamSummary"]); code != http.StatusOK || !strings.Contains(got, streamARN) {
		t.Errorf("the owner: %d %s", code, got)
	}
}

// TestSharing shows that a stream's policy and the caller's own must both allow another account, and that it takes effect at
// once and ends at once.
func TestSharing(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	requests := h.wire()
	_, err := h.dial("", theirs).Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: "writer", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kinesis:PutRecord","Resource":"` + streamARN + `"}}`})
	h.must(err)
	root, writer, owner := h.key(theirs, ""), h.key(theirs, "writer"), h.key(ours, "")
	may := func(key *leatv1.CreateKeyResponse, operation string) bool {
		t.Helper()
		code, got := h.aws(key, operation, requests[operation])
		if code != http.StatusOK && !strings.Contains(got, "AccessDeniedException") {
			t.Fatalf("%s: %d %s", operation, code, got)
		}
		return code == http.StatusOK
	}
	share := func(actions string) {
		t.Helper()
		_, err := h.owner.Resources.PutResourcePolicy(ctx, &leatv1.PutResourcePolicyRequest{Stream: stream, Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + theirs + `"},"Action":` + actions + `,"Resource":"*"}}`})
		h.must(err)
	}
	want := func(about string, key *leatv1.CreateKeyResponse, puts, reads bool) {
		t.Helper()
		if p, r := may(key, "PutRecord"), may(key, "GetRecords"); p != puts || r != reads {
			t.Errorf("%s: put %v, read %v", about, p, r)
		}
	}
	want("before", root, false, false)
	share(`["kinesis:PutRecord","kinesis:GetRecords","kinesis:DeleteStream"]`)
	want("the account", root, true, true)
	want("its role, which may only put", writer, true, false)
	if may(root, "DeleteStream") {
		t.Error("a policy opened what cannot be shared")
	}
	share(`"kinesis:GetRecords"`)
	want("reads alone", root, false, true)
	_, err = h.owner.Resources.DeleteResourcePolicy(ctx, &leatv1.DeleteResourcePolicyRequest{Stream: stream})
	h.must(err)
	want("after", root, false, false)
	want("the owner", owner, true, true)
}

// TestAccounts shows the life of an account.
func TestAccounts(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	member := h.token(theirs, "")
	if _, err := member.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 1}); err != nil {
		t.Fatal(err)
	}
	on, off := false, true
	set := func(disabled *bool) {
		t.Helper()
		_, err := h.operator.Identity.UpdateAccount(ctx, &leatv1.UpdateAccountRequest{AccountId: theirs, Disabled: disabled})
		h.must(err)
	}
	set(&off)
	if _, err := member.Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); kind(err) != codes.PermissionDenied {
		t.Errorf("a disabled account: %v", err)
	}
	if _, err := h.dial("", theirs).Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); err != nil {
		t.Errorf("an operator for a disabled account: %v", err)
	}
	set(&on)
	if _, err := member.Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); err != nil {
		t.Errorf("an enabled account: %v", err)
	}
	if _, err := h.dial("", "999999999999").Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); kind(err) != codes.NotFound {
		t.Errorf("an account that is not there: %v", err)
	}
	if _, err := h.operator.Identity.DeleteAccount(ctx, &leatv1.DeleteAccountRequest{AccountId: theirs}); kind(err) != codes.FailedPrecondition && kind(err) != codes.AlreadyExists && kind(err) != codes.Aborted {
		t.Errorf("an account with streams was deleted: %v", err)
	}
	_, err := h.operator.Identity.DeleteAccount(ctx, &leatv1.DeleteAccountRequest{AccountId: theirs, Erase: true})
	h.must(err)
	if _, err := member.Streams.ListStreams(ctx, &leatv1.ListStreamsRequest{}); kind(err) != codes.Unauthenticated {
		t.Errorf("a token of a deleted account: %v", err)
	}
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		_, err := h.operator.Identity.GetAccount(ctx, &leatv1.GetAccountRequest{AccountId: theirs})
		if kind(err) == codes.NotFound {
			tick.Stop()
			return
		}
		h.must(err)
		<-tick.C
	}
}
