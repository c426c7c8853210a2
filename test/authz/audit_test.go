// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// event waits for an event that a filter names.
func (h *house) event(c *client.Client, f *leatv1.AuditFilter, what string) *leatv1.AuditEvent {
	h.Helper()
	for tick, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(time.Minute); ; <-tick.C {
		res, err := c.Audit.ListAuditEvents(h.Context(), &leatv1.ListAuditEventsRequest{Filter: f, NewestFirst: true, PageSize: 1})
		h.must(err)
		if len(res.GetEvents()) > 0 {
			tick.Stop()
			return res.GetEvents()[0]
		}
		if time.Now().After(deadline) {
			h.Fatalf("%s: the audit log has nothing of %v", what, f)
		}
	}
}

// export returns the whole log that a caller sees, as JSON lines.
func (h *house) export(c *client.Client) (all []*leatv1.AuditEvent, text string) {
	h.Helper()
	s, err := c.Audit.ExportAuditEvents(h.Context(), &leatv1.ExportAuditEventsRequest{})
	h.must(err)
	for {
		res, err := s.Recv()
		if err != nil {
			if kind(err) == codes.OK || err.Error() == "EOF" {
				return all, text
			}
			h.Fatal(err)
		}
		all, text = append(all, res.GetEvent()), text+protojson.Format(res)+"\n"
	}
}

// TestAuditOfEveryEdge makes a change, and a call that is refused, by each way, and finds both in the log with all that it is to tell.
func TestAuditOfEveryEdge(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	check := func(edge string, e *leatv1.AuditEvent, outcome, principal, resource, agent string) {
		t.Helper()
		if e.GetEdge() != edge || e.GetOutcome() != outcome || e.GetPrincipal() != principal || !strings.HasSuffix(e.GetResource(), resource) ||
			e.GetSourceIp() != "127.0.0.1" || !strings.Contains(e.GetUserAgent(), agent) || e.GetRequestId() == "" || e.GetAccount() == "" || e.GetCount() < 1 {
			t.Errorf("%s: got %v", edge, e)
		}
	}
	root, role := "arn:aws:iam::"+ours+":root", "arn:aws:iam::"+ours+":role/none"

	// gRPC
	none := h.token(ours, "none")
	_, err := h.owner.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "by-grpc", ShardCount: 1})
	h.must(err)
	e := h.event(h.owner, &leatv1.AuditFilter{Operation: "CreateStream", Resource: "stream/by-grpc"}, "gRPC")
	check("grpc", e, "OK", root, "stream/by-grpc", "grpc-go")
	if e.GetAfter().AsMap()["shards"] != 1.0 || e.GetBefore() != nil {
		t.Errorf("what was made: %v", e)
	}
	if _, err := none.Streams.DeleteStream(ctx, &leatv1.DeleteStreamRequest{Stream: "by-grpc"}); kind(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	e = h.event(h.owner, &leatv1.AuditFilter{Operation: "DeleteStream", Denied: true}, "gRPC, refused")
	check("grpc", e, "ACCESS_DENIED", role, "stream/by-grpc", "grpc-go")
	if !strings.Contains(e.GetMessage(), "not authorized") {
		t.Errorf("why: %v", e)
	}
	for range 50 { // the data plane: what is alike is merged
		if _, err := none.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: stream, PartitionKey: "k", Data: []byte("x")}); kind(err) != codes.PermissionDenied {
			t.Fatal(err)
		}
	}
	check("grpc", h.event(h.owner, &leatv1.AuditFilter{Operation: "PutRecord", Denied: true}, "gRPC, data plane"), "ACCESS_DENIED", role, "stream/"+stream, "grpc-go")
	counted := func() (n int64) {
		all, _ := h.export(h.owner)
		for _, e := range all {
			if e.GetOperation() == "PutRecord" && e.GetEdge() == "grpc" {
				n += e.GetCount()
			}
		}
		return n
	}
	tick, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(time.Minute)
	defer tick.Stop()
	for n := counted(); n != 50; n = counted() {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("the log counts %d of 50 refused puts", n)
		}
	}

	// REST, with a request id of the caller's own
	rest := func(method, path, id, body string, token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, h.server.HTTP+path, strings.NewReader(body))
		h.must(err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Request-Id", id)
		r.Header.Set("User-Agent", "probe/1")
		res, err := new(http.Client).Do(r)
		h.must(err)
		h.must(res.Body.Close())
		return res.StatusCode
	}
	secret, err := h.owner.Identity.CreateToken(ctx, &leatv1.CreateTokenRequest{Name: "rest"})
	h.must(err)
	if code := rest(http.MethodPatch, "/v1/streams/"+stream, "rest-1", `{"retentionHours":48}`, secret.GetSecret()); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	e = h.event(h.owner, &leatv1.AuditFilter{RequestId: "rest-1"}, "REST")
	check("rest", e, "OK", root, "stream/"+stream, "probe/1")
	if e.GetBefore().AsMap()["retention_hours"] != 24.0 || e.GetAfter().AsMap()["retention_hours"] != 48.0 || e.GetName() != "rest" || e.GetCredential() != secret.GetToken().GetId() {
		t.Errorf("before and after: %v", e)
	}

	// The Kinesis wire
	owner, bare := h.key(ours, ""), h.key(ours, "none")
	if code, got := h.aws(owner, "AddTagsToStream", `{"StreamName":"`+stream+`","Tags":{"team":"search"}}`); code != http.StatusOK {
		t.Fatal(got)
	}
	e = h.event(h.owner, &leatv1.AuditFilter{Operation: "AddTags", Principal: owner.GetKey().GetId()}, "Kinesis")
	check("kinesis", e, "OK", root, "stream/"+stream, "Go-http-client")
	if fmt.Sprint(e.GetBefore().AsMap()) != "map[tags:map[of:"+mark+"]]" || fmt.Sprint(e.GetAfter().AsMap()) != "map[tags:map[of:"+mark+" team:search]]" {
		t.Errorf("before and after: %v", e)
	}
	if code, _ := h.aws(bare, "GetShardIterator", h.wire()["GetShardIterator"]); code != http.StatusBadRequest {
		t.Fatalf("status %d", code)
	}
	check("kinesis", h.event(h.owner, &leatv1.AuditFilter{Principal: bare.GetKey().GetId(), Denied: true}, "Kinesis, refused"), "ACCESS_DENIED", role, "stream/"+stream, "Go-http-client")

	// The Firehose wire
	created := h.methodCall(h.owner, "leat.v1.DeliveryService/CreateDelivery", `{"delivery":"hose","config":{"source":{"stream":"`+stream+`"},"http":{"url":"http://127.0.0.1:1/x?key=hidden-2","accessKey":"hidden-3-of-the-endpoint"},"backup":{"s3":{"bucket":"nowhere","endpoint":"http://127.0.0.1:1","accessKey":"ak","secretKey":"hidden-4-of-the-bucket"}}}}`)
	if !strings.Contains(created, "hose") {
		t.Fatal(created)
	}
	e = h.event(h.owner, &leatv1.AuditFilter{Operation: "CreateDelivery"}, "a delivery stream")
	if e.GetAfter().AsMap()["url"] != "http://127.0.0.1:1/x?…" || e.GetAfter().AsMap()["backup_bucket"] != "nowhere" {
		t.Errorf("what was made: %v", e)
	}
	if code, got := h.sign(owner, "firehose", "Firehose_20150804.TagDeliveryStream", `{"DeliveryStreamName":"hose","Tags":[{"Key":"team","Value":"search"}]}`); code != http.StatusOK {
		t.Fatal(got)
	}
	e = h.event(h.owner, &leatv1.AuditFilter{Operation: "TagDelivery"}, "Firehose")
	check("firehose", e, "OK", root, "deliverystream/hose", "Go-http-client")
	if fmt.Sprint(e.GetAfter().AsMap()["tags"]) != "map[team:search]" {
		t.Errorf("what was changed: %v", e)
	}
	if code, got := h.sign(bare, "firehose", "Firehose_20150804.PutRecord", `{"DeliveryStreamName":"hose","Record":{"Data":"aGVsbG8="}}`); code != http.StatusBadRequest || !strings.Contains(got, "AccessDenied") {
		t.Fatalf("%d %s", code, got)
	}
	check("firehose", h.event(h.owner, &leatv1.AuditFilter{Operation: "PutDeliveryRecords", Denied: true}, "Firehose, refused"), "ACCESS_DENIED", role, "deliverystream/hose", "Go-http-client")

	// The console, where everybody is an operator here
	form := func(path string, values url.Values) int {
		t.Helper()
		page, err := new(http.Client).Get(h.server.HTTP + "/console/streams/new")
		h.must(err)
		var text strings.Builder
		_, err = bufio.NewReader(page.Body).WriteTo(&text)
		h.must(err)
		h.must(page.Body.Close())
		m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(text.String())
		if m == nil {
			t.Fatal("the page has no form")
		}
		values.Set("token", m[1])
		res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(h.server.HTTP+path, values)
		h.must(err)
		h.must(res.Body.Close())
		return res.StatusCode
	}
	if code := form("/console/keys", url.Values{"do": {"create"}, "name": {"by console"}}); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	operator := "arn:aws:iam::000000000000:operator/dev"
	e = h.event(h.operator, &leatv1.AuditFilter{Operation: "CreateKey", Account: "000000000000"}, "the console")
	check("console", e, "OK", operator, ":root", "Go-http-client")
	if e.GetAfter().AsMap()["name"] != "by console" {
		t.Errorf("what was made: %v", e)
	}
	if code := form("/console/keys", url.Values{"do": {"enable"}, "id": {"AAAAAAAAAAAAAAAAAAAA"}}); code != http.StatusNotFound {
		t.Fatalf("status %d", code)
	}
	check("console", h.event(h.operator, &leatv1.AuditFilter{Operation: "UpdateKey", Account: "000000000000"}, "the console, failed"), "NOT_FOUND", operator, "key/AAAAAAAAAAAAAAAAAAAA", "Go-http-client")

	// No secret is anywhere in it.
	_, text := h.export(h.operator)
	for what, hidden := range map[string]string{
		"a key": owner.GetSecret(), "a token": secret.GetSecret(), "a token's end": secret.GetSecret()[22:], "a bucket's key": "hidden-4", "an endpoint's query": "hidden-2", "an endpoint's key": "hidden-3",
	} {
		if strings.Contains(text, hidden) {
			t.Errorf("the audit log holds %s", what)
		}
	}
	if !strings.Contains(text, owner.GetKey().GetId()) {
		t.Error("the audit log does not name a key that was made")
	}
}

// methodCall makes a call by its name and returns the answer.
func (h *house) methodCall(c *client.Client, name, request string) (answer string) {
	h.Helper()
	methods(func(full string, m protoreflect.MethodDescriptor) {
		if full == name {
			got, err := h.call(c, full, m, request)
			h.must(err)
			answer = got
		}
	})
	return answer
}

// TestAuditIsOnesOwn shows that an account sees its own callers' events, whoever acted for it, and no others; that the operator sees all;
// and that it takes permission.
func TestAuditIsOnesOwn(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	stranger := h.token(theirs, "")
	if _, err := stranger.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "theirs", ShardCount: 1}); err != nil {
		t.Fatal(err)
	}
	for who, c := range map[string]*client.Client{ours: h.owner, theirs: stranger} {
		all, text := h.export(c)
		other := map[string]string{ours: theirs, theirs: ours}[who]
		if len(all) == 0 || strings.Contains(text, other) || who == theirs && strings.Contains(text, mark) {
			t.Errorf("%s sees %d events: %s", who, len(all), text)
		}
	}
	// What an operator did in an account's name is that account's to see.
	e := h.event(h.owner, &leatv1.AuditFilter{Operation: "PutRole"}, "the operator's call")
	if e.GetAccount() != ours || !strings.Contains(e.GetPrincipal(), ":operator/") || e.GetAfter().AsMap()["policy"] == nil {
		t.Errorf("got %v", e)
	}
	seen := map[string]bool{}
	all, _ := h.export(h.operator)
	for _, e := range all {
		seen[e.GetAccount()] = true
	}
	if !seen[ours] || !seen[theirs] || !seen["000000000000"] {
		t.Errorf("the operator sees %v", seen)
	}
	all, _ = h.export(h.dial("", theirs))
	for _, e := range all {
		if e.GetAccount() != theirs {
			t.Errorf("an operator for %s sees %v", theirs, e)
		}
	}
	if _, err := stranger.Audit.ListAuditEvents(ctx, &leatv1.ListAuditEventsRequest{Filter: &leatv1.AuditFilter{Account: ours}}); kind(err) != codes.PermissionDenied {
		t.Errorf("another account's log: %v", err)
	}
	first, err := h.owner.Audit.ListAuditEvents(ctx, &leatv1.ListAuditEventsRequest{PageSize: 2})
	h.must(err)
	if len(first.GetEvents()) != 2 || first.GetNextPageToken() == "" {
		t.Fatalf("got %v", first)
	}
	next, err := h.owner.Audit.ListAuditEvents(ctx, &leatv1.ListAuditEventsRequest{PageSize: 2, PageToken: first.GetNextPageToken()})
	h.must(err)
	if len(next.GetEvents()) != 2 || next.GetEvents()[0].GetId() <= first.GetEvents()[1].GetId() {
		t.Errorf("got %v after %v", next, first)
	}
	if _, err := h.owner.Audit.ListAuditEvents(ctx, &leatv1.ListAuditEventsRequest{PageSize: 2, PageToken: first.GetNextPageToken(), NewestFirst: true}); kind(err) != codes.InvalidArgument {
		t.Errorf("a token of another question: %v", err)
	}
	// REST: one JSON object a line.
	secret, err := h.owner.Identity.CreateToken(ctx, &leatv1.CreateTokenRequest{Name: "rest"})
	h.must(err)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.HTTP+"/v1/audit/export?filter.operation=CreateStream", nil)
	h.must(err)
	r.Header.Set("Authorization", "Bearer "+secret.GetSecret())
	res, err := new(http.Client).Do(r)
	h.must(err)
	defer res.Body.Close()
	lines := 0
	for s := bufio.NewScanner(res.Body); s.Scan(); lines++ {
		var line struct {
			Result struct {
				Event struct{ Operation string }
			}
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil || line.Result.Event.Operation != "CreateStream" {
			t.Errorf("%s: %v", s.Text(), err)
		}
	}
	if lines != 2 {
		t.Errorf("%d lines", lines)
	}
}
