// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
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

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	v.get("/console/roles").is(t, 200, "No roles")
	v.get("/console/streams/orders/access").is(t, 200, "Keys and tokens without a role", "its own account", "It has none")
	w.roles(t, "orders")
	roles := v.get("/console/roles")
	roles.is(t, 200, "reader", "kinesis:ListShards", "a reader &lt;script&gt;")
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
		rows[who] = text
	}
	for who, want := range map[string]string{
		"Keys":    "may | its own account | may | its own account |",
		"reader":  "may | role's policy, statement 1 “&lt;b&gt;reads&lt;/b&gt;” allows | may not | nothing says so |",
		"putter":  "may not | nothing says so | PutRecord alone | role's policy, statement 1 allows stream's policy, statement 2 “nobody” denies |",
		"near":    "may not as conditions are | role's policy, statement 1 allows, where its conditions hold | may not as conditions are | role's policy, statement 1 allows, where its conditions hold |",
		"other":   "may not | nothing says so | may not | nothing says so |",
		"foreign": "may | stream's policy, statement 1 allows | may not | nothing says so |",
	} {
		if !strings.HasSuffix(rows[who], want) {
			t.Errorf("%s: %q, want %q", who, rows[who], want)
		}
	}
	v.get("/console/streams/none/access").is(t, 404)
}
