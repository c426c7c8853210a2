// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// roles makes roles that may read, put one record at a time, do anything from near, and nothing; and shares the stream.
func (w *world) roles(t *testing.T, stream string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	arn := "arn:aws:kinesis:us-east-1:000000000000:stream/" + stream
	for name, statement := range map[string]string{
		"reader": `{"Sid":"<b>reads</b>","Effect":"Allow","Action":["kinesis:Get*","kinesis:ListShards"],"Resource":"` + arn + `"}`,
		"putter": `{"Effect":"Allow","Action":"kinesis:PutRecord","Resource":"` + arn + `"}`,
		"near":   `{"Effect":"Allow","Action":"kinesis:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`,
		"other":  `{"Effect":"Allow","Action":"kinesis:*","Resource":"` + arn + `2"}`,
	} {
		if _, err := w.client.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: name, Description: "a " + name + " " + hostile, Policy: `{"Version":"2012-10-17","Statement":` + statement + `}`}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.client.Resources.PutResourcePolicy(ctx, &leatv1.PutResourcePolicyRequest{Stream: stream, Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":["kinesis:GetRecords","kinesis:GetShardIterator"],"Resource":"*"},
		{"Sid":"nobody","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:role/putter"},"Action":"kinesis:PutRecords","Resource":"*"}]}`})
	if err != nil {
		t.Fatal(err)
	}
}

// subscribers makes a consumer that another account may subscribe by, and a role that may subscribe by any.
func (w *world) subscribers(t *testing.T, stream, consumer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.client.Consumers.RegisterStreamConsumer(ctx, &leatv1.RegisterStreamConsumerRequest{Stream: stream, Consumer: consumer}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Identity.PutRole(ctx, &leatv1.PutRoleRequest{Name: "pusher", Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kinesis:SubscribeToShard",
		"Resource":"arn:aws:kinesis:us-east-1:000000000000:stream/` + stream + `/consumer/*"}}`}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Resources.PutResourcePolicy(ctx, &leatv1.PutResourcePolicyRequest{Stream: stream, Consumer: consumer, Policy: `{"Version":"2012-10-17","Statement":
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kinesis:SubscribeToShard","Resource":"*"}}`}); err != nil {
		t.Fatal(err)
	}
}

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	v.get("/console/roles").is(t, 200, "No roles")
	v.get("/console/streams/orders/access").is(t, 200, "Keys and tokens without a role", "its own account", "It has none")
	v.get("/console/streams/orders/access").is(t, 200, "the stream has none yet")
	w.roles(t, "orders")
	w.subscribers(t, "orders", "billing")
	for name, role := range map[string]string{"loader": "reader", "old loader": "reader", "root": ""} {
		v.send("/console/keys", "/console/keys", url.Values{"do": {"create"}, "name": {name}, "role": {role}}).is(t, 200, "The secret is shown this once")
	}
	old := regexp.MustCompile(`(?s)old loader</th><td><code>(\w+)`).FindStringSubmatch(v.get("/console/keys").body)
	v.send("/console/keys", "/console/keys", url.Values{"do": {"disable"}, "id": {old[1]}}).is(t, 200, "disabled")
	roles := v.get("/console/roles")
	roles.is(t, 200, "reader", "kinesis:ListShards", "a reader &lt;script&gt;", "loader", "nobody that you may see")
	p := v.get("/console/streams/orders/access")
	if strings.Contains(roles.body+p.body, "<script>window") || strings.Contains(roles.body+p.body, "<b>reads") {
		t.Error("what a policy says is markup on the page")
	}
	// Row by row: what somebody may, and by which statement.
	rows := map[string]string{}
	tags := regexp.MustCompile(`<[^>]*>`)
	for _, m := range regexp.MustCompile(`(?s)<tr><th scope="row">(.*?)</tr>`).FindAllStringSubmatch(p.body, -1) {
		text := strings.Join(strings.Fields(tags.ReplaceAllString(strings.ReplaceAll(m[1], "</td>", " | "), " ")), " ")
		who, _, _ := strings.Cut(text, " ")
		if strings.Contains(text, "222222222222") {
			who = "foreign"
		}
		rows[who] = strings.ReplaceAll(text, "&#39;", "'")
	}
	for who, held := range map[string][]string{"Keys": {"access key root may"}, "reader": {"access key loader ", "access key old loader disabled "}, "putter": {"role/putter may"}} {
		for _, by := range held {
			if !strings.Contains(rows[who], by) {
				t.Errorf("%s: %q does not have %q", who, rows[who], by)
			}
		}
	}
	for who, want := range map[string]string{
		"Keys":    "may its own account | may its own account | billing may its own account |",
		"reader":  "may role's policy, statement 1 “&lt;b&gt;reads&lt;/b&gt;” allows | may not nothing says so | billing may not nothing says so |",
		"putter":  "may not nothing says so | PutRecord alone role's policy, statement 1 allows stream's policy, statement 2 “nobody” denies | billing may not nothing says so |",
		"near":    "may not as conditions are role's policy, statement 1 allows, where its conditions hold | may not as conditions are role's policy, statement 1 allows, where its conditions hold | billing may not as conditions are role's policy, statement 1 allows, where its conditions hold |",
		"other":   "may not nothing says so | may not nothing says so | billing may not nothing says so |",
		"pusher":  "may not nothing says so | may not nothing says so | billing may role's policy, statement 1 allows |",
		"foreign": "may stream's policy, statement 1 allows | may not nothing says so | billing may consumer's policy, statement 1 allows |",
	} {
		if !strings.HasSuffix(rows[who], want) {
			t.Errorf("%s: %q, want %q", who, rows[who], want)
		}
	}
	v.get("/console/streams/none/access").is(t, 404)
}
