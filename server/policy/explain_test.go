// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/leatstream/leat/server/policy"
)

func TestExplain(t *testing.T) {
	identity, err := policy.ParseIdentity(`{"Version":"2012-10-17","Statement":[
		{"Sid":"other","Effect":"Allow","Action":"kinesis:PutRecord","Resource":"*"},
		{"Sid":"near","Effect":"Allow","Action":"kinesis:Get*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
		{"Effect":"Deny","Action":"kinesis:GetRecords","Resource":"arn:aws:kinesis:us-east-1:111111111111:stream/secret*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := policy.ParseResource(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["222222222222","arn:aws:iam::111111111111:role/reader"]},"Action":"kinesis:GetRecords","Resource":"*"},
		{"Effect":"Deny","Principal":{"AWS":"333333333333"},"Action":"*","Resource":"*"},
		{"Effect":"Allow","Principal":"*","Action":"kinesis:DescribeStream","Resource":"*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	q := policy.Question{
		Actions: []string{"kinesis:GetRecords"}, Resource: "arn:aws:kinesis:us-east-1:111111111111:stream/orders", Owner: "111111111111",
		Account: "111111111111", PrincipalARN: policy.RoleARN("111111111111", "reader"),
	}
	near := policy.Cited{Index: 2, Sid: "near"}
	theirs := policy.Cited{Index: 1, OfStream: true, Fits: true}
	for _, c := range []struct {
		about  string
		change func(*policy.Question)
		want   []policy.Cited
		answer policy.Answer
	}{
		{"from nowhere", func(*policy.Question) {}, []policy.Cited{near, theirs}, policy.Allowed},
		{"from near", func(q *policy.Question) { q.Source = netip.MustParseAddr("10.1.2.3") }, []policy.Cited{{Index: 2, Sid: "near", Fits: true}, theirs}, policy.Allowed},
		{"denied", func(q *policy.Question) { q.Resource = "arn:aws:kinesis:us-east-1:111111111111:stream/secrets" }, []policy.Cited{near, {Index: 3, Deny: true, Fits: true}, theirs}, policy.Denied},
		{"another role", func(q *policy.Question) { q.PrincipalARN = policy.RoleARN("111111111111", "writer") }, []policy.Cited{near}, policy.Implicit},
	} {
		q := q
		c.change(&q)
		if got := policy.Explain(&q, identity, resource); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.about, got, c.want)
		}
		if got := policy.Decide(&q, identity, resource); got != c.answer {
			t.Errorf("%s: decided %v", c.about, got)
		}
	}
	want := []policy.Named{{Account: "222222222222"}, {Account: "111111111111", Role: "reader"}, {}}
	if got := resource.Named(); !reflect.DeepEqual(got, want) {
		t.Errorf("named: %+v", got)
	}
}
