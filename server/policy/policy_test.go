// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/policy"
)

const (
	us     = "111111111111"
	them   = "222222222222"
	orders = "arn:aws:kinesis:us-east-1:111111111111:stream/orders"
)

// doc makes a document of statements in short: "Allow kinesis:PutRecord,kinesis:Get* on RESOURCE by PRINCIPAL".
func doc(statements ...string) string {
	var all []string
	for _, s := range statements {
		f := strings.Fields(s)
		text := fmt.Sprintf(`{"Effect":%q,"Action":["%s"],"Resource":["%s"]`, f[0], strings.ReplaceAll(f[1], ",", `","`), strings.ReplaceAll(f[3], ",", `","`))
		if len(f) > 5 && f[4] == "by" {
			text += fmt.Sprintf(`,"Principal":{"AWS":["%s"]}`, strings.ReplaceAll(f[5], ",", `","`))
		}
		if _, c, ok := strings.Cut(s, " if "); ok {
			text += `,"Condition":` + c
		}
		all = append(all, text+"}")
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}

func identity(t testing.TB, statements ...string) *policy.Document {
	t.Helper()
	if statements == nil {
		return nil
	}
	d, err := policy.ParseIdentity(doc(statements...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func resource(t testing.TB, statements ...string) *policy.Document {
	t.Helper()
	if statements == nil {
		return nil
	}
	d, err := policy.ParseResource(doc(statements...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ask(account, role string, action policy.Action, arn string) *policy.Question {
	q := &policy.Question{Actions: action.Names(), Resource: arn, Owner: us, Account: account, PrincipalARN: policy.RoleARN(account, role), Root: role == ""}
	if q.Root {
		q.PrincipalARN = policy.RootARN(account)
	}
	return q
}

func TestDecide(t *testing.T) {
	const no, yes, denied = policy.Implicit, policy.Allowed, policy.Denied
	type list = []string
	for _, tc := range []struct {
		about    string
		q        *policy.Question
		identity list
		resource list
		want     policy.Answer
	}{
		{"nothing allows", ask(us, "app", "PutRecord", orders), nil, nil, no},
		{"a role is allowed", ask(us, "app", "PutRecord", orders), list{"Allow kinesis:PutRecord on " + orders}, nil, yes},
		{"of any case", ask(us, "app", "PutRecord", orders), list{"Allow KINESIS:putrecord on " + orders}, nil, yes},
		{"and not another action", ask(us, "app", "GetRecords", orders), list{"Allow kinesis:PutRecord on " + orders}, nil, no},
		{"nor a longer one", ask(us, "app", "PutRecords", orders), list{"Allow kinesis:PutRecord on " + orders}, nil, no},
		{"nor another stream", ask(us, "app", "PutRecord", orders+"2"), list{"Allow kinesis:PutRecord on " + orders}, nil, no},
		{"wildcards", ask(us, "app", "PutRecords", orders), list{"Allow kinesis:Put* on arn:aws:kinesis:*:*:stream/ord?rs"}, nil, yes},
		{"all of a service", ask(us, "app", "DeleteStream", orders), list{"Allow kinesis:* on *"}, nil, yes},
		{"and of no other", ask(us, "app", "CreateKey", "arn:aws:leat::111111111111:root"), list{"Allow kinesis:* on *"}, nil, no},
		{"everything", ask(us, "app", "CreateKey", "arn:aws:leat::111111111111:root"), list{"Allow * on *"}, nil, yes},
		{"deny wins", ask(us, "app", "DeleteStream", orders), list{"Allow * on *", "Deny kinesis:DeleteStream on *"}, nil, denied},
		{"whatever the order", ask(us, "app", "DeleteStream", orders), list{"Deny kinesis:DeleteStream on *", "Allow * on *"}, nil, denied},
		{"either name of AWS", ask(us, "app", "AddTags", orders), list{"Allow kinesis:TagResource on *"}, nil, yes},
		{"is denied too", ask(us, "app", "AddTags", orders), list{"Allow * on *", "Deny kinesis:AddTagsToStream on *"}, nil, denied},
		{"an action on no resource takes *", ask(us, "app", "ListStreams", "*"), list{"Allow kinesis:ListStreams on arn:aws:kinesis:*"}, nil, no},
		{"and has it", ask(us, "app", "ListStreams", "*"), list{"Allow kinesis:ListStreams on *"}, nil, yes},
		{"a consumer is not its stream", ask(us, "app", "SubscribeToShard", orders+"/consumer/c"), list{"Allow kinesis:* on " + orders}, nil, no},
		{"its time does not matter", ask(us, "app", "SubscribeToShard", orders+"/consumer/c"), list{"Allow kinesis:* on " + orders + "/consumer/c:1700000000"}, nil, yes},
		{"on neither side", ask(us, "app", "SubscribeToShard", orders+"/consumer/c:1700000001"), list{"Deny kinesis:* on " + orders + "/consumer/c:1700000000"}, nil, denied},

		{"no role: all of its own account", ask(us, "", "DeleteStream", orders), nil, nil, yes},
		{"but what the stream's policy denies", ask(us, "", "DeleteStream", orders), nil, list{"Deny kinesis:DeleteStream on * by *"}, denied},
		{"a stream's policy names a role", ask(us, "app", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by arn:aws:iam::111111111111:role/app"}, yes},
		{"or everybody", ask(us, "app", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by *"}, yes},
		{"or the account, which leaves it to the role", ask(us, "app", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by 111111111111"}, no},
		{"or another role", ask(us, "app", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by arn:aws:iam::111111111111:role/other"}, no},
		{"it denies a role that is allowed", ask(us, "app", "PutRecord", orders), list{"Allow * on *"}, list{"Deny kinesis:* on * by arn:aws:iam::111111111111:root"}, denied},

		{"another account has nothing", ask(them, "", "PutRecord", orders), nil, nil, no},
		{"not by its own policy alone", ask(them, "app", "PutRecord", orders), list{"Allow * on *"}, nil, no},
		{"not by ours alone", ask(them, "app", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by 222222222222"}, no},
		{"by both", ask(them, "app", "PutRecord", orders), list{"Allow kinesis:PutRecord on " + orders}, list{"Allow kinesis:PutRecord on " + orders + " by 222222222222"}, yes},
		{"by ours when it has no role", ask(them, "", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by arn:aws:iam::222222222222:root"}, yes},
		{"of which only what it names", ask(them, "", "GetRecords", orders), nil, list{"Allow kinesis:PutRecord on * by 222222222222"}, no},
		{"and not a third one", ask("333333333333", "", "PutRecord", orders), nil, list{"Allow kinesis:PutRecord on * by 222222222222"}, no},
		{"its own policy denies", ask(them, "app", "PutRecord", orders), list{"Allow * on *", "Deny * on arn:aws:kinesis:*:111111111111:*"}, list{"Allow * on * by *"}, denied},
		{"no account is nobody", ask("", "", "PutRecord", orders), nil, list{"Allow * on * by *"}, no},
	} {
		if got := policy.Decide(tc.q, identity(t, tc.identity...), resource(t, tc.resource...)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.about, got, tc.want)
		}
	}
}

func TestConditions(t *testing.T) {
	q := ask(us, "app", "PutRecord", orders)
	q.Source = netip.MustParseAddr("10.1.2.3")
	q.PrincipalTags = map[string]string{"team": "search"}
	q.ResourceTags = map[string]string{"env": "prod", "Owner": "arn:aws:iam::111111111111:role/app"}
	for condition, want := range map[string]bool{
		`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`:                                                   true,
		`{"IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.1.2.3"]}}`:                                  true,
		`{"IpAddress":{"aws:SourceIp":"10.2.0.0/16"}}`:                                                  false,
		`{"NotIpAddress":{"aws:SourceIp":"10.2.0.0/16"}}`:                                               true,
		`{"StringEquals":{"aws:ResourceTag/env":["dev","prod"]}}`:                                       true,
		`{"StringEquals":{"aws:ResourceTag/Env":"prod"}}`:                                               false, // names of tags have a case
		`{"StringEquals":{"AWS:resourcetag/env":"prod"}}`:                                               true,
		`{"StringEquals":{"aws:ResourceTag/env":"PROD"}}`:                                               false,
		`{"StringEqualsIgnoreCase":{"aws:ResourceTag/env":"PROD"}}`:                                     true,
		`{"StringNotEquals":{"aws:ResourceTag/env":"prod"}}`:                                            false,
		`{"StringNotEquals":{"aws:ResourceTag/none":"prod"}}`:                                           true,
		`{"StringEquals":{"aws:ResourceTag/none":"prod"}}`:                                              false,
		`{"StringEqualsIfExists":{"aws:ResourceTag/none":"prod"}}`:                                      true,
		`{"StringLike":{"aws:PrincipalTag/team":"se*"}}`:                                                true,
		`{"StringNotLike":{"aws:PrincipalTag/team":"se*"}}`:                                             false,
		`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/a*"}}`:                                     true,
		`{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/app"}}`:                    false,
		`{"Null":{"aws:ResourceTag/env":"false"}}`:                                                      true,
		`{"Null":{"aws:ResourceTag/none":true}}`:                                                        true,
		`{"Null":{"aws:ResourceTag/env":"true"}}`:                                                       false,
		`{"StringEquals":{"aws:PrincipalAccount":"111111111111","aws:ResourceAccount":"111111111111"}}`: true,
		`{"StringEquals":{"aws:PrincipalAccount":"111111111111","aws:ResourceAccount":"2"}}`:            false,
		`{"StringEquals":{"aws:ResourceTag/env":"prod"},"IpAddress":{"aws:SourceIp":"11.0.0.0/8"}}`:     false,
	} {
		allow := identity(t, "Allow * on * if "+condition)
		if got := policy.Decide(q, allow, nil) == policy.Allowed; got != want {
			t.Errorf("Allow if %s: %v", condition, got)
		}
		deny := identity(t, "Allow * on *", "Deny * on * if "+condition)
		if got := policy.Decide(q, deny, nil) == policy.Denied; got != want {
			t.Errorf("Deny if %s: %v", condition, got)
		}
	}
	unknown := *q
	unknown.Source = netip.Addr{}
	if policy.Decide(&unknown, identity(t, `Allow * on * if {"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`), nil) == policy.Allowed {
		t.Error("a request from nowhere has an address")
	}
	mapped := *q
	mapped.Source = netip.MustParseAddr("::ffff:10.1.2.3")
	if policy.Decide(&mapped, identity(t, `Allow * on * if {"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), nil) != policy.Allowed {
		t.Error("an IPv4 address in IPv6 is another one")
	}
}

func TestNots(t *testing.T) {
	d, err := policy.ParseIdentity(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"kinesis:Delete*","NotResource":"*:stream/secret"}]}`)
	if err == nil {
		t.Fatal("a pattern that is no ARN was accepted", d)
	}
	d, err = policy.ParseIdentity(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"kinesis:Delete*","NotResource":"arn:*:stream/secret"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range map[*policy.Question]bool{
		ask(us, "app", "PutRecord", orders):                                         true,
		ask(us, "app", "DeleteStream", orders):                                      false,
		ask(us, "app", "PutRecord", strings.ReplaceAll(orders, "orders", "secret")): false,
	} {
		if got := policy.Decide(q, d, nil) == policy.Allowed; got != want {
			t.Errorf("%v: %v", q, got)
		}
	}
	r, err := policy.ParseResource(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111111111111:role/app"},"Action":"*","Resource":"*"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if policy.Decide(ask(us, "app", "PutRecord", orders), identity(t, "Allow * on *"), r) != policy.Allowed {
		t.Error("NotPrincipal denies whom it names")
	}
	if policy.Decide(ask(us, "other", "PutRecord", orders), identity(t, "Allow * on *"), r) != policy.Denied {
		t.Error("NotPrincipal does not deny others")
	}
}

func TestParseRefuses(t *testing.T) {
	ok := `"Action":"*","Resource":"*"`
	for text, want := range map[string]string{
		``:                         "no JSON",
		`[]`:                       "no JSON",
		`{"Version":"2012-10-17"}`: "Statement",
		`{"Version":"2012-10-17","Statement":[]}`:                                                                            "Statement",
		`{"Version":"1","Statement":{"Effect":"Allow",` + ok + `}}`:                                                          "Version",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `}} {}`:                                              "follows",
		`{"Version":"2012-10-17","Statement":{"Effect":"allow",` + ok + `}}`:                                                 "Effect",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*"}}`:                                               "Resource",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}}`:                "Action",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"PutRecord","Resource":"*"}}`:                        "SERVICE:NAME",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"orders"}}`:                           "ARN",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[1],"Resource":"*"}}`:                                "list of strings",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",` + ok + `}}`:                                 "no Principal",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resources":"*",` + ok + `}}`:                                 "Statement",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `,"Condition":{"Bool":{"aws:SourceIp":"1"}}}}`:       `"Bool" is not supported`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `,"Condition":{"StringEquals":{"s3:x":"1"}}}}`:       `"s3:x" is not supported`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `,"Condition":{"IpAddress":{"aws:SourceIp":"x"}}}}`:  "network",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `,"Condition":{"StringLike":{"aws:SourceIp":"1"}}}}`: "does not go",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:kinesis:${x}"}}`:             "variables",

		`{"Version":"2012-10-17","Statement":{"Effect":"Deny",` + ok + `},"Statement":{"Effect":"Allow",` + ok + `}}`:                                                          `"Statement" is there twice`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny",` + ok + `},"\u017ftatement":{"Effect":"Allow",` + ok + `}}`:                                                     "is there twice", // a letter that encoding/json takes for an s
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","effect":"Allow",` + ok + `}}`:                                                                                   `"effect" is there twice`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","ACTION":"kinesis:List*",` + ok + `}]}`:                                                                        `"Action" is there twice`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `,"Condition":{"StringEquals":{"aws:PrincipalTag/a":"1"},"StringEquals":{"aws:PrincipalTag/b":"1"}}}}`: `"StringEquals" is there twice`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `,"Condition":{"StringEquals":{"aws:PrincipalTag/a":"1","aws:PrincipalTag/a":"2"}}}}`:                  `"aws:PrincipalTag/a" is there twice`,
	} {
		err := policy.CheckIdentity(text)
		if leat.KindOf(err) != leat.KindInvalidArgument || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + ok + `}}`:                                           "Principal",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"x",` + ok + `}}`:                           "Principal",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},` + ok + `}}`: "principal",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"X":"1"},` + ok + `}}`:                     "unknown kind",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotPrincipal":"*",` + ok + `}}`:                        "NotPrincipal",
	} {
		err := policy.CheckResource(text)
		if leat.KindOf(err) != leat.KindInvalidArgument || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Names of tags that differ in case are different names.
func TestMembersThatOnlySeemAlike(t *testing.T) {
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"1","aws:PrincipalTag/A":"2"}}},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"2"}}}]}`
	if err := policy.CheckIdentity(text); err != nil {
		t.Error(err)
	}
}

// TestDenyAlwaysWins puts random statements in random orders.
func TestDenyAlwaysWins(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	actions := []policy.Action{"PutRecord", "GetRecords", "CreateKey", "DeleteStream", "AddTags"}
	patterns := []string{"*", "kinesis:*", "kinesis:Put*", "leat:*", "kinesis:GetRecords", "kinesis:TagResource"}
	resources := []string{"*", orders, "arn:aws:kinesis:*:*:stream/o*", "arn:aws:leat:*"}
	one := func(effect string) string {
		return effect + " " + patterns[rnd.IntN(len(patterns))] + " on " + resources[rnd.IntN(len(resources))]
	}
	for range 2000 {
		q := ask(us, "app", actions[rnd.IntN(len(actions))], resources[1])
		var all []string
		for range 1 + rnd.IntN(4) {
			all = append(all, one([]string{"Allow", "Deny"}[rnd.IntN(2)]))
		}
		before := policy.Decide(q, identity(t, all...), nil)
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if after := policy.Decide(q, identity(t, all...), nil); after != before {
			t.Fatalf("%v: %v in another order, %v before", all, after, before)
		}
		var denies, allows bool
		for _, s := range all {
			hit := policy.Decide(q, identity(t, strings.Replace(s, "Deny", "Allow", 1)), nil) == policy.Allowed
			denies, allows = denies || hit && s[0] == 'D', allows || hit && s[0] == 'A'
		}
		want := policy.Implicit
		switch {
		case denies:
			want = policy.Denied
		case allows:
			want = policy.Allowed
		}
		if before != want {
			t.Fatalf("%v on %v: %v, want %v", all, q, before, want)
		}
	}
}

func TestActionNames(t *testing.T) {
	for a, want := range map[policy.Action]string{
		"PutRecord": "kinesis:PutRecord", "ScaleStream": "kinesis:UpdateShardCount", "CreateKey": "leat:CreateKey", "firehose:PutRecord": "firehose:PutRecord",
	} {
		if got := a.Names()[0]; got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}

// FuzzParse holds that whatever is read can be asked, and that a Deny of everything beside it denies.
func FuzzParse(f *testing.F) {
	f.Add(doc("Allow kinesis:* on *"), "PutRecord", orders)
	f.Add(doc("Allow kinesis:* on * by *"), "GetRecords", orders+"/consumer/a:1")
	f.Add(doc(`Deny *:* on arn:aws:* by 111111111111 if {"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), "x:y", "*")
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"a:*?*?","NotResource":"arn:?*","NotPrincipal":{"AWS":["*"]}}}`, "a:b", "")
	f.Fuzz(func(t *testing.T, text, action, arn string) {
		q := ask(us, "app", policy.Action(action), arn)
		mine, err := policy.ParseIdentity(text)
		if err == nil {
			first := policy.Decide(q, mine, nil)
			if again := policy.Decide(q, mine, nil); again != first {
				t.Fatalf("%v, then %v", first, again)
			}
		} else if leat.KindOf(err) != leat.KindInvalidArgument {
			t.Fatal(err)
		}
		if theirs, err := policy.ParseResource(text); err == nil {
			if policy.Decide(q, identity(t, "Allow * on *", "Deny * on *"), theirs) != policy.Denied {
				t.Fatal("a Deny of everything does not deny")
			}
			if ask := ask(them, "app", policy.Action(action), arn); policy.Decide(ask, nil, theirs) == policy.Allowed {
				t.Fatal("one side alone allowed another account")
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	d := identity(b, "Allow kinesis:PutRecord,kinesis:PutRecords on arn:aws:kinesis:*:*:stream/orders", "Deny kinesis:Delete* on *")
	q := ask(us, "app", "PutRecords", orders)
	for b.Loop() {
		if policy.Decide(q, d, nil) != policy.Allowed {
			b.Fatal("not allowed")
		}
	}
}
