// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/firehose"
	"github.com/leatstream/leat/web"
)

// delivery makes a delivery stream of ours that bears the mark; its destination does not answer.
func (h *house) delivery(name string) {
	h.Helper()
	h.methodCall(h.owner, "leat.v1.DeliveryService/CreateDelivery", `{"delivery":"`+name+`","tags":{"of":"`+mark+`"},"config":{"source":{},"s3":{"bucket":"nowhere","endpoint":"http://127.0.0.1:1","accessKey":"k","secretKey":"secretsecret"}}}`)
}

// hose has a request of each operation of the Firehose wire, about a delivery stream of ours.
func hose(name string) map[string]string {
	a := `"DeliveryStreamName":"` + name + `"`
	return map[string]string{
		"CreateDeliveryStream":          `{"DeliveryStreamName":"other","DeliveryStreamType":"DirectPut","ExtendedS3DestinationConfiguration":{"BucketARN":"arn:aws:s3:::nowhere","RoleARN":"arn:aws:iam::000000000000:role/x"}}`,
		"DeleteDeliveryStream":          `{` + a + `}`,
		"DescribeDeliveryStream":        `{` + a + `}`,
		"ListDeliveryStreams":           `{}`,
		"ListTagsForDeliveryStream":     `{` + a + `}`,
		"PutRecord":                     `{` + a + `,"Record":{"Data":"aGVsbG8="}}`,
		"PutRecordBatch":                `{` + a + `,"Records":[{"Data":"aGVsbG8="}]}`,
		"StartDeliveryStreamEncryption": `{` + a + `,"DeliveryStreamEncryptionConfigurationInput":{"KeyType":"AWS_OWNED_CMK"}}`,
		"StopDeliveryStreamEncryption":  `{` + a + `}`,
		"TagDeliveryStream":             `{` + a + `,"Tags":[{"Key":"a","Value":"b"}]}`,
		"UntagDeliveryStream":           `{` + a + `,"TagKeys":["of"]}`,
		"UpdateDestination":             `{` + a + `,"CurrentDeliveryStreamVersionId":"1","DestinationId":"destinationId-000000000001","ExtendedS3DestinationUpdate":{"Prefix":"x/"}}`,
	}
}

func TestEveryOperationOfTheFirehoseWireIsAuthorised(t *testing.T) {
	h := build(t)
	name := "hose" // what a caller names itself may be told to it
	h.delivery(name)
	requests := hose(name)
	none, owner, stranger := h.key(ours, "none"), h.key(ours, ""), h.key(theirs, "")
	wrong := &leatv1.CreateKeyResponse{Key: owner.GetKey(), Secret: "not the secret"}
	for _, operation := range firehose.Operations() {
		request, ok := requests[operation]
		if !ok {
			t.Errorf("%s is new: add a request of it to hose, so that it is shown to be authorised", operation)
			continue
		}
		target := "Firehose_20150804." + operation
		if code, got := h.sign(wrong, "firehose", target, request); code != http.StatusBadRequest || !strings.Contains(got, "InvalidSignatureException") {
			t.Errorf("%s with a wrong signature: %d %s", operation, code, got)
		}
		if code, got := h.sign(none, "firehose", target, request); code != http.StatusBadRequest || !strings.Contains(got, "AccessDeniedException") || strings.Contains(got, mark) {
			t.Errorf("%s without permission: %d %s", operation, code, got)
		}
		// Another account finds its own alone: a delivery stream is named by its name, never by ARN.
		code, got := h.sign(stranger, "firehose", target, request)
		switch {
		case strings.Contains(got, mark) || strings.Contains(got, ours):
			t.Errorf("%s tells another account what is ours: %s", operation, got)
		case operation == "ListDeliveryStreams":
			if code != http.StatusOK || strings.Contains(got, name) {
				t.Errorf("%s from another account: %d %s", operation, code, got)
			}
		case operation != "CreateDeliveryStream" && !strings.Contains(got, "ResourceNotFoundException"):
			t.Errorf("%s from another account: %d %s", operation, code, got)
		}
	}
	code, got := h.sign(owner, "firehose", "Firehose_20150804.ListTagsForDeliveryStream", requests["ListTagsForDeliveryStream"])
	if code != http.StatusOK || !strings.Contains(got, mark) || strings.Contains(got, `"a"`) {
		t.Errorf("the owner finds: %d %s", code, got)
	}
}

// TestOperationsHaveTheirOwnActions holds the names that policies give to operations of the AWS wires against those of AWS: who
// may do everything but one is refused that one, and of those of delivery streams that change one thing, each alone is enough.
func TestOperationsHaveTheirOwnActions(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	h.delivery("hose")
	requests := hose("hose")
	delete(requests, "UpdateDestination") // refuses the form of what the native API has made before it asks
	own := h.dial("", ours)
	role := func(statement string) {
		_, err := own.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: "one", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*",` + statement + `}}`})
		h.must(err)
	}
	role(`"Action":"*"`)
	key := h.key(ours, "one")
	for operation, request := range h.wire() {
		role(`"NotAction":"kinesis:` + operation + `"`)
		if code, got := h.aws(key, operation, request); code != http.StatusBadRequest || !strings.Contains(got, "AccessDeniedException") {
			t.Errorf("%s, for who may do everything else: %d %s", operation, code, got)
		}
	}
	for operation, request := range requests {
		role(`"NotAction":"firehose:` + operation + `"`)
		if code, got := h.sign(key, "firehose", "Firehose_20150804."+operation, request); code != http.StatusBadRequest || !strings.Contains(got, "AccessDeniedException") {
			t.Errorf("%s, for who may do everything else: %d %s", operation, code, got)
		}
	}
	for _, operation := range []string{"TagDeliveryStream", "ListTagsForDeliveryStream", "UntagDeliveryStream", "StartDeliveryStreamEncryption", "StopDeliveryStreamEncryption"} {
		role(`"Action":"firehose:` + operation + `"`)
		if _, got := h.sign(key, "firehose", "Firehose_20150804."+operation, requests[operation]); strings.Contains(got, "AccessDeniedException") {
			t.Errorf("%s, for who may do it alone: %s", operation, got)
		}
	}
	role(`"Action":"kinesis:EnableEnhancedMonitoring"`)
	if _, got := h.aws(key, "EnableEnhancedMonitoring", h.wire()["EnableEnhancedMonitoring"]); strings.Contains(got, "AccessDeniedException") {
		t.Errorf("enabling, for who may enable: %s", got)
	}
	if _, got := h.aws(key, "DisableEnhancedMonitoring", h.wire()["DisableEnhancedMonitoring"]); !strings.Contains(got, "AccessDeniedException") {
		t.Errorf("disabling, for who may enable: %s", got)
	}
}

// TestPoliciesGoByTagsOfDeliveries denies by a tag of a delivery stream, until the delivery stream has it no more.
func TestPoliciesGoByTagsOfDeliveries(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	h.delivery("hose")
	_, err := h.dial("", ours).Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: "others", Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/of":"` + mark + `"}}}]}`})
	h.must(err)
	others, owner := h.key(ours, "others"), h.key(ours, "")
	requests := hose("hose")
	for _, operation := range []string{"DescribeDeliveryStream", "PutRecord", "UntagDeliveryStream", "DeleteDeliveryStream"} {
		if code, got := h.sign(others, "firehose", "Firehose_20150804."+operation, requests[operation]); code != http.StatusBadRequest || !strings.Contains(got, "AccessDeniedException") {
			t.Errorf("%s, which the tag denies: %d %s", operation, code, got)
		}
	}
	if code, got := h.sign(owner, "firehose", "Firehose_20150804.UntagDeliveryStream", requests["UntagDeliveryStream"]); code != http.StatusOK {
		t.Fatal(got)
	}
	if code, got := h.sign(others, "firehose", "Firehose_20150804.DescribeDeliveryStream", requests["DescribeDeliveryStream"]); strings.Contains(got, "AccessDeniedException") {
		t.Errorf("without the tag: %d %s", code, got)
	}
}

// TestQuotaOfDeliveries shows that the quota holds on both ways to make a delivery stream.
func TestQuotaOfDeliveries(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	_, err := h.operator.Identity.UpdateAccount(ctx, &leatv1.UpdateAccountRequest{AccountId: ours, Quotas: &leatv1.AccountQuotas{Deliveries: 1}})
	h.must(err)
	h.delivery("one")
	_, err = h.owner.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: "two", Config: &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{}, S3: &leatv1.DeliveryS3{Bucket: "bucket", Endpoint: "http://127.0.0.1:1", AccessKey: "k", SecretKey: "secretsecret"},
	}})
	if kind(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "the quota deliveries of account "+ours) {
		t.Errorf("a second one: %v", err)
	}
	owner := h.key(ours, "")
	if code, got := h.sign(owner, "firehose", "Firehose_20150804.CreateDeliveryStream", `{"DeliveryStreamName":"three","KinesisStreamSourceConfiguration":{"KinesisStreamARN":"`+streamARN+`","RoleARN":"arn:aws:iam::000000000000:role/x"},"DeliveryStreamType":"KinesisStreamAsSource","HttpEndpointDestinationConfiguration":{"EndpointConfiguration":{"Url":"http://127.0.0.1:1/"},"S3Configuration":{"BucketARN":"arn:aws:s3:::nowhere","RoleARN":"arn:aws:iam::000000000000:role/x"}}}`); code != http.StatusBadRequest || !strings.Contains(got, "LimitExceededException") {
		t.Errorf("over the Firehose wire: %d %s", code, got)
	}
	_, err = h.operator.Identity.UpdateAccount(ctx, &leatv1.UpdateAccountRequest{AccountId: ours, Quotas: &leatv1.AccountQuotas{Deliveries: 2}})
	h.must(err)
	h.delivery("two")
}

// visitor is a browser of somebody who is signed in to the console.
type visitor struct {
	h      *house
	client *http.Client
	token  string // that forms carry
}

// visit signs in with a token of an account and a role.
func (h *house) visit(account, role string) *visitor {
	h.Helper()
	made, err := h.dial("", account).Identity.CreateToken(h.Context(), &leatv1.CreateTokenRequest{Name: "visitor", Role: role})
	h.must(err)
	jar, err := cookiejar.New(nil)
	h.must(err)
	v := &visitor{h: h, client: &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if code, got := v.ask(http.MethodPost, "/console/signin", url.Values{"bearer": {made.GetSecret()}}); code != http.StatusSeeOther {
		h.Fatalf("signing in: %d %s", code, got)
	}
	_, page := v.ask(http.MethodGet, "/console/streams/new", nil)
	m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		h.Fatalf("no form in %s", page)
	}
	v.token = m[1]
	return v
}

func (v *visitor) ask(method, path string, form url.Values) (int, string) {
	v.h.Helper()
	var body io.Reader
	if method == http.MethodPost {
		form.Set("token", v.token)
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(v.h.Context(), method, v.h.server.HTTP+path, body)
	v.h.must(err)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := v.client.Do(r)
	v.h.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	v.h.must(err)
	return res.StatusCode, string(text)
}

// harmless are the console's pages that show and change nothing of an account's, with the reason.
var harmless = map[string]string{
	"GET /console":              "it leads to the streams",
	"GET /console/{$}":          "it leads to the streams",
	"GET /console/streams/new":  "an empty form",
	"POST /console/preferences": "light or dark, in a cookie",
}

// console has a form for each pattern of the console that takes one.
func (h *house) console() map[string]url.Values {
	return map[string]url.Values{
		"POST /console/streams":                               {"name": {"another"}, "mode": {"PROVISIONED"}, "shards": {"1"}, "retention": {"24"}, "max_record": {"1"}},
		"POST /console/sample":                                {},
		"POST /console/keys":                                  {"do": {"disable"}, "id": {h.keyID}},
		"POST /console/streams/{stream}/shards/{shard}/split": {"at": {"10"}},
		"POST /console/streams/{stream}/shards/{shard}/merge": {"with": {"1"}},
		"POST /console/streams/{stream}/data":                 {"key": {"k"}, "data": {"x"}},
		"POST /console/streams/{stream}/consumers":            {"remove": {"app"}},
		"POST /console/streams/{stream}/settings":             {"mode": {"PROVISIONED"}, "retention": {"48"}, "max_record": {"1024"}, "warm": {"0"}, "target": {"3"}},
		"POST /console/streams/{stream}/tags":                 {"remove": {"of"}},
		"POST /console/streams/{stream}/encryption":           {"encrypt": {"on"}},
		"POST /console/streams/{stream}/delete":               {"name": {stream}, "consumers": {"yes"}},
		"POST /console/usage/budgets":                         {"delete": {"all"}},
		"POST /console/deliveries/{delivery}/state":           {"do": {"pause"}},
		"POST /console/deliveries/{delivery}/backfill":        {"from": {"2026-01-01"}},
		"POST /console/deliveries/{delivery}/verify":          {},
	}
}

func TestEveryPageOfTheConsoleIsAuthorised(t *testing.T) {
	h := buildWith(t, "the-operator-of-this-test")
	h.delivery("hose")
	forms := h.console()
	none, stranger, owner := h.visit(ours, "none"), h.visit(theirs, ""), h.visit(ours, "")
	nobody := &visitor{h: h, client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	at, err := h.owner.Records.GetRecords(t.Context(), &leatv1.GetRecordsRequest{ShardIterator: h.iterator})
	h.must(err)
	sequence := at.GetRecords()[0].GetSequenceNumber()
	walked := 0
	for _, pattern := range web.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		form := forms[pattern]
		if method == http.MethodPost && form == nil && harmless[pattern] == "" {
			t.Errorf("%s is new: add a form of it to console, so that it is shown to be authorised", pattern)
			continue
		}
		if form == nil {
			form = url.Values{}
		}
		path = strings.NewReplacer("{$}", "", "{stream}", stream, "{shard}", "0", "{sequence}", sequence, "{delivery}", "hose", "{object}", "1.plan.0", "{id}", strings.Repeat("0", 31)+"1", "{month}", "2026-11", "{event}", "1").Replace(path)
		sent := http.StatusSeeOther // to sign in
		if method == http.MethodPost {
			sent = http.StatusUnauthorized // a form that is not done is said to be not done
		}
		if code, got := nobody.ask(method, path, url.Values{}); code != sent || strings.Contains(got, mark) {
			t.Errorf("%s for nobody: %d %s", pattern, code, got)
		}
		if harmless[pattern] != "" {
			continue
		}
		walked++
		refused, missing := func(code int, _ string) bool { return code == http.StatusForbidden }, func(code int, _ string) bool { return code == http.StatusNotFound }
		if strings.HasSuffix(pattern, "/events") { // a browser's EventSource sees no status: an event says it, and is the only one
			refused = func(_ int, got string) bool {
				return strings.HasPrefix(got, "retry: 3000\n\nevent: failed\ndata: \"User: ")
			}
			missing = func(_ int, got string) bool {
				return got == "retry: 3000\n\nevent: failed\ndata: \"Stream orders under account "+theirs+" not found.\"\n\n"
			}
		}
		if code, got := none.ask(method, path, form); !refused(code, got) || strings.Contains(got, mark) {
			t.Errorf("%s without permission: %d %s", pattern, code, got)
		}
		if pattern == "POST /console/sample" || pattern == "POST /console/streams" {
			continue // makes a stream of the caller's own
		}
		code, got := stranger.ask(method, path, form)
		if strings.Contains(got, mark) || strings.Contains(got, ours) || strings.Contains(got, h.keyID) && method == http.MethodGet {
			t.Errorf("%s tells another account what is ours: %d %s", pattern, code, got)
		}
		if about := strings.Contains(pattern, "{stream}") || strings.Contains(pattern, "{delivery}") || method == http.MethodPost; about && !missing(code, got) {
			t.Errorf("%s from another account: %d %s", pattern, code, got)
		}
	}
	if walked < 25 {
		t.Errorf("%d pages were walked", walked)
	}
	h.unharmed()
	// What failed of a delivery are records: who may see the delivery stream may not read them for that.
	_, err = h.dial("", ours).Identity.PutRole(t.Context(), &leatv1.PutRoleRequest{Name: "hoser", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"firehose:*","Resource":"*"}}`})
	h.must(err)
	hoser := h.visit(ours, "hoser")
	for path, want := range map[string]int{"/console/deliveries/hose": http.StatusOK, "/console/deliveries/hose/errors": http.StatusOK, "/console/deliveries/hose/errors/1.plan.0": http.StatusForbidden} {
		if code, got := hoser.ask(http.MethodGet, path, nil); code != want {
			t.Errorf("%s for who may do everything with deliveries: %d %s", path, code, got)
		}
	}
	// Another account's bills and log, by its number.
	for _, path := range []string{"/console/usage", "/console/usage/hours/" + strings.Repeat("0", 31) + "1", "/console/usage/invoices/2026-11", "/console/usage/invoices/2026-11/file", "/console/audit", "/console/audit/export", "/console/audit/events/1"} {
		path += "?account=" + ours
		if code, got := stranger.ask(http.MethodGet, path, nil); code != http.StatusForbidden || strings.Contains(got, mark) {
			t.Errorf("%s for another account: %d %s", path, code, got)
		}
	}
	if code, got := stranger.ask(http.MethodPost, "/console/usage/budgets", url.Values{"account": {ours}, "name": {"b"}, "amount": {"1"}, "throttle": {"yes"}}); code != http.StatusForbidden {
		t.Errorf("a budget for another account: %d %s", code, got)
	}
	if code, got := owner.ask(http.MethodGet, "/console/deliveries/hose/errors/1.plan.0", nil); code != http.StatusNotFound {
		t.Errorf("an object that is not there for the owner: %d %s", code, got)
	}
	for path, want := range map[string]string{"/console/streams": mark, "/console/streams/" + stream + "/settings": mark, "/console/keys": mark, "/console/deliveries/hose": mark} {
		if code, got := owner.ask(http.MethodGet, path, nil); code != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("%s for the owner: %d %s", path, code, got)
		}
	}
}

// Who may change delivery streams and not read their source points none of them elsewhere, by no way: as in CreateDelivery.
func TestUpdateDeliveryNeedsItsSource(t *testing.T) {
	t.Parallel()
	h := build(t)
	ctx := t.Context()
	to := func(bucket, source string) *leatv1.DeliveryConfig {
		return &leatv1.DeliveryConfig{
			Source: &leatv1.DeliverySource{Stream: source}, S3: &leatv1.DeliveryS3{Bucket: bucket, Endpoint: "http://127.0.0.1:1", AccessKey: "k", SecretKey: "secretsecret"},
		}
	}
	_, err := h.owner.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: "export", Config: to("bucket", stream)})
	h.must(err)
	own := h.dial("", ours)
	_, err = own.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: "updates", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"firehose:*","Resource":"*"}}`})
	h.must(err)
	_, err = own.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: "reads", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["firehose:*","kinesis:GetRecords"],"Resource":"*"}}`})
	h.must(err)
	updates, reads := h.token(ours, "updates"), h.token(ours, "reads")
	change := func(c *client.Client, config *leatv1.DeliveryConfig) codes.Code {
		_, err := c.Delivery.UpdateDelivery(ctx, &leatv1.UpdateDeliveryRequest{Delivery: "export", Config: config})
		return status.Code(err)
	}
	if got := change(updates, to("elsewhere", stream)); got != codes.PermissionDenied {
		t.Errorf("another bucket without the right to read: %v", got)
	}
	for _, source := range []string{"", "no-such-stream"} {
		if got := change(updates, to("elsewhere", source)); got == codes.OK {
			t.Errorf("another bucket, with the source %q", source)
		}
	}
	if d, err := h.owner.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: "export"}); err != nil || d.GetDelivery().GetConfig().GetS3().GetBucket() != "bucket" {
		t.Errorf("it goes to %v, %v", d, err)
	}
	if _, err := updates.Delivery.UpdateDelivery(ctx, &leatv1.UpdateDeliveryRequest{Delivery: "export", State: leatv1.DeliveryState_DELIVERY_STATE_PAUSED}); err != nil {
		t.Errorf("pausing needs it as well: %v", err)
	}
	if got := change(reads, to("elsewhere", stream)); got != codes.OK {
		t.Errorf("with the right to read: %v", got)
	}
}
