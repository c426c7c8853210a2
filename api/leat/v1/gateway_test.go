// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leatv1_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// spy stands for a connection: it keeps what the gateway calls and answers nothing.
type spy struct {
	method  string
	request proto.Message
}

func (s *spy) Invoke(_ context.Context, method string, args, _ any, _ ...grpc.CallOption) error {
	s.method, s.request = method, args.(proto.Message)
	return nil
}

func (s *spy) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &spyStream{spy: s, ctx: ctx, method: method}, nil
}

type spyStream struct {
	grpc.ClientStream
	spy    *spy
	ctx    context.Context
	method string
}

func (s *spyStream) Context() context.Context { return s.ctx }
func (s *spyStream) CloseSend() error         { return nil }
func (s *spyStream) SendMsg(m any) error {
	s.spy.method, s.spy.request = s.method, m.(proto.Message)
	return status.Error(codes.Unimplemented, "a spy answers nothing")
}

func gateway(t *testing.T) (http.Handler, *spy) {
	t.Helper()
	s, mux := &spy{}, runtime.NewServeMux()
	for _, register := range []error{
		leatv1.RegisterStreamServiceHandlerClient(t.Context(), mux, leatv1.NewStreamServiceClient(s)),
		leatv1.RegisterShardServiceHandlerClient(t.Context(), mux, leatv1.NewShardServiceClient(s)),
		leatv1.RegisterRecordServiceHandlerClient(t.Context(), mux, leatv1.NewRecordServiceClient(s)),
		leatv1.RegisterConsumerServiceHandlerClient(t.Context(), mux, leatv1.NewConsumerServiceClient(s)),
		leatv1.RegisterResourceServiceHandlerClient(t.Context(), mux, leatv1.NewResourceServiceClient(s)),
		leatv1.RegisterAccountServiceHandlerClient(t.Context(), mux, leatv1.NewAccountServiceClient(s)),
		leatv1.RegisterBillingServiceHandlerClient(t.Context(), mux, leatv1.NewBillingServiceClient(s)),
		leatv1.RegisterDeliveryServiceHandlerClient(t.Context(), mux, leatv1.NewDeliveryServiceClient(s)),
		leatv1.RegisterKeyServiceHandlerClient(t.Context(), mux, leatv1.NewKeyServiceClient(s)),
		leatv1.RegisterIdentityServiceHandlerClient(t.Context(), mux, leatv1.NewIdentityServiceClient(s)),
		leatv1.RegisterAuditServiceHandlerClient(t.Context(), mux, leatv1.NewAuditServiceClient(s)),
		leatv1.RegisterSystemServiceHandlerClient(t.Context(), mux, leatv1.NewSystemServiceClient(s)),
	} {
		if register != nil {
			t.Fatal(register)
		}
	}
	return mux, s
}

// restRoutes has a request for each operation, and what the gateway must make of it.
var restRoutes = []struct {
	rpc, method, path, body string
	want                    string // prototext of the request message
	message                 proto.Message
}{
	{"BillingService/GetUsage", "GET", "/v1/billing/usage?startTime=2026-11-01T00:00:00Z&endTime=2026-12-01T00:00:00Z&streamId=ab", "",
		`start_time:{seconds:1793491200} end_time:{seconds:1796083200} stream_id:"ab"`, &leatv1.GetUsageRequest{}},
	{"BillingService/ListInvoices", "GET", "/v1/billing/invoices?account=123456789012", "", `account:"123456789012"`, &leatv1.ListInvoicesRequest{}},
	{"BillingService/GetInvoice", "GET", "/v1/billing/invoices/2026-11?withShares=true", "", `month:"2026-11" with_shares:true`, &leatv1.GetInvoiceRequest{}},
	{"BillingService/ExportInvoice", "GET", "/v1/billing/invoices/2026-11/export?format=INVOICE_FORMAT_PDF", "", `month:"2026-11" format:INVOICE_FORMAT_PDF`, &leatv1.ExportInvoiceRequest{}},
	{"BillingService/CloseInvoice", "POST", "/v1/billing/invoices/2026-11/close", `{"account":"123456789012"}`, `month:"2026-11" account:"123456789012"`, &leatv1.CloseInvoiceRequest{}},
	{"BillingService/AddInvoiceEntry", "POST", "/v1/billing/entries", `{"month":"2026-11","entryId":"a","amount":"-1.5","reason":"r"}`,
		`month:"2026-11" entry_id:"a" amount:"-1.5" reason:"r"`, &leatv1.AddInvoiceEntryRequest{}},
	{"BillingService/EstimateCost", "POST", "/v1/billing/estimate", `{"mode":"STREAM_MODE_ON_DEMAND","shardCount":4,"recordsPerSecond":"1000"}`,
		`mode:STREAM_MODE_ON_DEMAND shard_count:4 records_per_second:1000`, &leatv1.EstimateCostRequest{}},
	{"DeliveryService/CreateDelivery", "POST", "/v1/deliveries", `{"delivery":"d","config":{},"tags":{"a":"b"}}`,
		`delivery:"d" config:{} tags:{key:"a" value:"b"}`, &leatv1.CreateDeliveryRequest{}},
	{"DeliveryService/DescribeDelivery", "GET", "/v1/deliveries/d", "", `delivery:"d"`, &leatv1.DescribeDeliveryRequest{}},
	{"DeliveryService/ListDeliveries", "GET", "/v1/deliveries?pageSize=7", "", `page_size:7`, &leatv1.ListDeliveriesRequest{}},
	{"DeliveryService/UpdateDelivery", "PATCH", "/v1/deliveries/d", `{"ifVersion":"3","removeTags":["a"]}`, `delivery:"d" if_version:3 remove_tags:"a"`, &leatv1.UpdateDeliveryRequest{}},
	{"DeliveryService/DeleteDelivery", "DELETE", "/v1/deliveries/d", "", `delivery:"d"`, &leatv1.DeleteDeliveryRequest{}},
	{"DeliveryService/PutDeliveryRecords", "POST", "/v1/deliveries/d/records", `{"records":["eA=="]}`, `delivery:"d" records:"x"`, &leatv1.PutDeliveryRecordsRequest{}},
	{"DeliveryService/BackfillDelivery", "POST", "/v1/deliveries/d/backfills", `{"fromTime":"2026-11-01T00:00:00Z","prefix":"p/"}`,
		`delivery:"d" from_time:{seconds:1793491200} prefix:"p/"`, &leatv1.BackfillDeliveryRequest{}},
	{"DeliveryService/VerifyDelivery", "POST", "/v1/deliveries/d/verify", `{"deep":true}`, `delivery:"d" deep:true`, &leatv1.VerifyDeliveryRequest{}},
	{"BillingService/FindSavings", "GET", "/v1/billing/savings", "", ``, &leatv1.FindSavingsRequest{}},
	{"StreamService/CreateStream", "POST", "/v1/streams", `{"stream":"s","shardCount":4,"mode":"STREAM_MODE_PROVISIONED"}`,
		`stream:"s" shard_count:4 mode:STREAM_MODE_PROVISIONED`, &leatv1.CreateStreamRequest{}},
	{"StreamService/DescribeStream", "GET", "/v1/streams/a.b-c_d?pageSize=7", ``,
		`stream:"a.b-c_d" page_size:7`, &leatv1.DescribeStreamRequest{}},
	{"StreamService/DescribeStreamSummary", "GET", "/v1/streams/s:summary", ``,
		`stream:"s"`, &leatv1.DescribeStreamSummaryRequest{}},
	{"StreamService/ListStreams", "GET", "/v1/streams?page_token=t", ``,
		`page_token:"t"`, &leatv1.ListStreamsRequest{}},
	{"StreamService/UpdateStream", "PATCH", "/v1/streams/s", `{"retentionHours":48}`,
		`stream:"s" settings:{retention_hours:48} update_mask:{paths:"retention_hours"}`, &leatv1.UpdateStreamRequest{}},
	{"StreamService/DeleteStream", "DELETE", "/v1/streams/s?enforceConsumerDeletion=true", ``,
		`stream:"s" enforce_consumer_deletion:true`, &leatv1.DeleteStreamRequest{}},
	{"StreamService/SetStreamMonitoring", "POST", "/v1/streams/s:monitor", `{"enable":["SHARD_METRIC_INCOMING_BYTES"],"disable":["SHARD_METRIC_INCOMING_RECORDS"]}`,
		`stream:"s" enable:SHARD_METRIC_INCOMING_BYTES disable:SHARD_METRIC_INCOMING_RECORDS`, &leatv1.SetStreamMonitoringRequest{}},
	{"StreamService/StartStreamEncryption", "POST", "/v1/streams/s:encrypt", `{"key":"alias/k"}`,
		`stream:"s" key:"alias/k"`, &leatv1.StartStreamEncryptionRequest{}},
	{"StreamService/StopStreamEncryption", "POST", "/v1/streams/s:decrypt", `{}`,
		`stream:"s"`, &leatv1.StopStreamEncryptionRequest{}},
	{"StreamService/ListScaleEvents", "GET", "/v1/streams/s/events?pageSize=9", ``,
		`stream:"s" page_size:9`, &leatv1.ListScaleEventsRequest{}},

	{"ShardService/ListShards", "GET", "/v1/streams/s/shards?filter.type=SHARD_FILTER_TYPE_AT_TIMESTAMP&filter.timestamp=1970-01-01T00:00:09Z", ``,
		`stream:"s" filter:{type:SHARD_FILTER_TYPE_AT_TIMESTAMP timestamp:{seconds:9}}`, &leatv1.ListShardsRequest{}},
	{"ShardService/SplitShard", "POST", "/v1/streams/s/shards/shardId-000000000000:split", `{"newStartingHashKey":"9"}`,
		`stream:"s" shard_id:"shardId-000000000000" new_starting_hash_key:"9"`, &leatv1.SplitShardRequest{}},
	{"ShardService/MergeShards", "POST", "/v1/streams/s/shards/0:merge", `{"adjacentShardId":"1"}`,
		`stream:"s" shard_id:"0" adjacent_shard_id:"1"`, &leatv1.MergeShardsRequest{}},
	{"ShardService/ScaleStream", "POST", "/v1/streams/s:scale", `{"targetShardCount":8}`,
		`stream:"s" target_shard_count:8`, &leatv1.ScaleStreamRequest{}},

	{"RecordService/PutRecord", "POST", "/v1/streams/s/records", `{"partitionKey":"k","data":"aGk="}`,
		`stream:"s" partition_key:"k" data:"hi"`, &leatv1.PutRecordRequest{}},
	{"RecordService/PutRecords", "POST", "/v1/streams/s/records:batch", `{"records":[{"partitionKey":"k","explicitHashKey":"0"}]}`,
		`stream:"s" records:{partition_key:"k" explicit_hash_key:"0"}`, &leatv1.PutRecordsRequest{}},
	{"RecordService/GetShardIterator", "GET", "/v1/streams/s/shards/0:iterator?start.type=STARTING_POSITION_TYPE_LATEST", ``,
		`stream:"s" shard_id:"0" start:{type:STARTING_POSITION_TYPE_LATEST}`, &leatv1.GetShardIteratorRequest{}},
	{"RecordService/GetRecords", "GET", "/v1/records?shardIterator=AQ-_&limit=10", ``,
		`shard_iterator:"AQ-_" limit:10`, &leatv1.GetRecordsRequest{}},
	{"RecordService/SubscribeToShard", "GET", "/v1/streams/s/consumers/c/shards/0:subscribe?start.type=STARTING_POSITION_TYPE_TRIM_HORIZON", ``,
		`stream:"s" consumer:"c" shard_id:"0" start:{type:STARTING_POSITION_TYPE_TRIM_HORIZON}`, &leatv1.SubscribeToShardRequest{}},

	{"ConsumerService/RegisterStreamConsumer", "POST", "/v1/streams/s/consumers", `{"consumer":"c"}`,
		`stream:"s" consumer:"c"`, &leatv1.RegisterStreamConsumerRequest{}},
	{"ConsumerService/DescribeStreamConsumer", "GET", "/v1/streams/s/consumers/c", ``,
		`stream:"s" consumer:"c"`, &leatv1.DescribeStreamConsumerRequest{}},
	{"ConsumerService/ListStreamConsumers", "GET", "/v1/streams/s/consumers", ``,
		`stream:"s"`, &leatv1.ListStreamConsumersRequest{}},
	{"ConsumerService/DeregisterStreamConsumer", "DELETE", "/v1/streams/s/consumers/c", ``,
		`stream:"s" consumer:"c"`, &leatv1.DeregisterStreamConsumerRequest{}},

	{"ResourceService/AddTags", "POST", "/v1/streams/s/tags", `{"tags":{"a":"1"}}`,
		`stream:"s" tags:{key:"a" value:"1"}`, &leatv1.AddTagsRequest{}},
	{"ResourceService/RemoveTags", "DELETE", "/v1/streams/s/tags?consumer=c&names=a&names=b", ``,
		`stream:"s" consumer:"c" names:"a" names:"b"`, &leatv1.RemoveTagsRequest{}},
	{"ResourceService/ListTags", "GET", "/v1/streams/s/tags?consumer=c", ``,
		`stream:"s" consumer:"c"`, &leatv1.ListTagsRequest{}},
	{"ResourceService/PutResourcePolicy", "PUT", "/v1/streams/s/policy", `{"consumer":"c","policy":"{}"}`,
		`stream:"s" consumer:"c" policy:"{}"`, &leatv1.PutResourcePolicyRequest{}},
	{"ResourceService/GetResourcePolicy", "GET", "/v1/streams/s/policy", ``,
		`stream:"s"`, &leatv1.GetResourcePolicyRequest{}},
	{"ResourceService/DeleteResourcePolicy", "DELETE", "/v1/streams/s/policy?consumer=c", ``,
		`stream:"s" consumer:"c"`, &leatv1.DeleteResourcePolicyRequest{}},

	{"AccountService/GetAccountLimits", "GET", "/v1/account/limits", ``,
		``, &leatv1.GetAccountLimitsRequest{}},
	{"AccountService/GetAccountSettings", "GET", "/v1/account/settings", ``,
		``, &leatv1.GetAccountSettingsRequest{}},
	{"AccountService/UpdateAccountSettings", "PATCH", "/v1/account/settings", `{"minimumThroughputCommitment":"COMMITMENT_STATUS_ENABLED"}`,
		`minimum_throughput_commitment:COMMITMENT_STATUS_ENABLED`, &leatv1.UpdateAccountSettingsRequest{}},

	{"KeyService/CreateKey", "POST", "/v1/keys", `{"name":"ci"}`,
		`name:"ci"`, &leatv1.CreateKeyRequest{}},
	{"KeyService/ListKeys", "GET", "/v1/keys?pageSize=3", ``,
		`page_size:3`, &leatv1.ListKeysRequest{}},
	{"KeyService/UpdateKey", "PATCH", "/v1/keys/LKIA0123456789ABCDEF", `{"state":"KEY_STATE_INACTIVE"}`,
		`key_id:"LKIA0123456789ABCDEF" state:KEY_STATE_INACTIVE`, &leatv1.UpdateKeyRequest{}},
	{"KeyService/DeleteKey", "DELETE", "/v1/keys/LKIA0123456789ABCDEF", ``,
		`key_id:"LKIA0123456789ABCDEF"`, &leatv1.DeleteKeyRequest{}},

	{"IdentityService/CreateAccount", "POST", "/v1/accounts", `{"name":"Search","accountId":"111111111111"}`,
		`name:"Search" account_id:"111111111111"`, &leatv1.CreateAccountRequest{}},
	{"IdentityService/ListAccounts", "GET", "/v1/accounts?pageSize=3", ``,
		`page_size:3`, &leatv1.ListAccountsRequest{}},
	{"IdentityService/GetAccount", "GET", "/v1/accounts/111111111111", ``,
		`account_id:"111111111111"`, &leatv1.GetAccountRequest{}},
	{"IdentityService/UpdateAccount", "PATCH", "/v1/accounts/111111111111", `{"disabled":true}`,
		`account_id:"111111111111" disabled:true`, &leatv1.UpdateAccountRequest{}},
	{"IdentityService/DeleteAccount", "DELETE", "/v1/accounts/111111111111?erase=true", ``,
		`account_id:"111111111111" erase:true`, &leatv1.DeleteAccountRequest{}},
	{"IdentityService/PutRole", "PUT", "/v1/roles/reader", `{"policy":"{}"}`,
		`name:"reader" policy:"{}"`, &leatv1.PutRoleRequest{}},
	{"IdentityService/GetRole", "GET", "/v1/roles/reader", ``,
		`name:"reader"`, &leatv1.GetRoleRequest{}},
	{"IdentityService/ListRoles", "GET", "/v1/roles?pageToken=t", ``,
		`page_token:"t"`, &leatv1.ListRolesRequest{}},
	{"IdentityService/DeleteRole", "DELETE", "/v1/roles/reader", ``,
		`name:"reader"`, &leatv1.DeleteRoleRequest{}},
	{"IdentityService/CreateToken", "POST", "/v1/tokens", `{"name":"ci","role":"reader","lifetime":"3600s"}`,
		`name:"ci" role:"reader" lifetime:{seconds:3600}`, &leatv1.CreateTokenRequest{}},
	{"IdentityService/ListTokens", "GET", "/v1/tokens", ``,
		``, &leatv1.ListTokensRequest{}},
	{"IdentityService/DeleteToken", "DELETE", "/v1/tokens/AAAAAAAAAAAAAAAA", ``,
		`token_id:"AAAAAAAAAAAAAAAA"`, &leatv1.DeleteTokenRequest{}},

	{"BillingService/PutBudget", "PUT", "/v1/billing/budgets/all", `{"amount":"100","thresholds":[80],"throttle":true}`,
		`name:"all" amount:"100" thresholds:80 throttle:true`, &leatv1.PutBudgetRequest{}},
	{"BillingService/ListBudgets", "GET", "/v1/billing/budgets?account=000000000000", ``,
		`account:"000000000000"`, &leatv1.ListBudgetsRequest{}},
	{"BillingService/DeleteBudget", "DELETE", "/v1/billing/budgets/all", ``,
		`name:"all"`, &leatv1.DeleteBudgetRequest{}},

	{"AuditService/ListAuditEvents", "GET", "/v1/audit/events?filter.operation=DeleteStream&filter.denied=true&newestFirst=true&pageSize=5", ``,
		`filter:{operation:"DeleteStream" denied:true} newest_first:true page_size:5`, &leatv1.ListAuditEventsRequest{}},
	{"AuditService/ExportAuditEvents", "GET", "/v1/audit/export?filter.account=000000000000", ``,
		`filter:{account:"000000000000"}`, &leatv1.ExportAuditEventsRequest{}},

	{"SystemService/GetServerInfo", "GET", "/v1/server", ``,
		``, &leatv1.GetServerInfoRequest{}},
	{"SystemService/ListNodes", "GET", "/v1/nodes", ``,
		``, &leatv1.ListNodesRequest{}},
	{"SystemService/DrainNode", "POST", "/v1/nodes/node-1:drain", `{"undo":true}`,
		`node:"node-1" undo:true`, &leatv1.DrainNodeRequest{}},
}

// TestRESTRoutes shows that every path reaches its operation, custom verbs included, with its members in place.
func TestRESTRoutes(t *testing.T) {
	mux, spy := gateway(t)
	for _, c := range restRoutes {
		t.Run(c.rpc, func(t *testing.T) {
			spy.method, spy.request = "", nil
			mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			if want := "/leat.v1." + c.rpc; spy.method != want {
				t.Fatalf("%s %s reached %q, not %s", c.method, c.path, spy.method, want)
			}
			if err := prototext.Unmarshal([]byte(c.want), c.message); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.message, spy.request, protocmp.Transform()); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", c.method, c.path, diff)
			}
		})
	}
}

// TestOpenAPI shows that the file describes all operations, in the same paths, and nothing else.
func TestOpenAPI(t *testing.T) {
	var doc struct {
		Info  struct{ Title, Version string }
		Paths map[string]map[string]struct {
			OperationID, Summary string
		}
	}
	if err := json.Unmarshal([]byte(leatv1.OpenAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Info.Title != "Leat" || doc.Info.Version != "v1" {
		t.Errorf("title %q version %q: the options of proto/openapi.yaml are not in force", doc.Info.Title, doc.Info.Version)
	}
	got := map[string]string{}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Summary == "" {
				t.Errorf("%s %s has no summary", method, path)
			}
			got[strings.Replace(op.OperationID, "_", "/", 1)] = strings.ToUpper(method) + " " + variable.ReplaceAllString(path, "[^/:]+")
		}
	}
	for _, c := range restRoutes {
		path, _, _ := strings.Cut(c.path, "?")
		if !regexp.MustCompile("^" + got[c.rpc] + "$").MatchString(c.method + " " + path) {
			t.Errorf("%s is %q in the OpenAPI file, not %s %s", c.rpc, got[c.rpc], c.method, path)
		}
		delete(got, c.rpc)
	}
	if len(got) > 0 {
		t.Errorf("operations without a route in restRoutes: %v", got)
	}
}
