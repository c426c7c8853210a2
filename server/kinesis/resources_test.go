// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"fmt"
	"strings"
	"testing"
)

// register makes a consumer and returns its ARN.
func (r *rig) register(stream, name string, more object) string {
	r.t.Helper()
	var out struct{ Consumer struct{ ConsumerARN string } }
	r.call("RegisterStreamConsumer", more.with(object{"StreamARN": arnOf(stream), "ConsumerName": name})).into(&out)
	return out.Consumer.ConsumerARN
}

func TestConsumers(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	got := r.call("RegisterStreamConsumer", object{"StreamARN": arnOf("s"), "ConsumerName": "c", "Tags": object{"team": "a"}}).object()
	c := object(got["Consumer"].(map[string]any))
	recent(t, c["ConsumerCreationTimestamp"])
	arn, _ := c["ConsumerARN"].(string)
	if c["ConsumerName"] != "c" || c["ConsumerStatus"] != "CREATING" || !strings.HasPrefix(arn, arnOf("s")+"/consumer/c:") || len(c) != 4 {
		t.Errorf("%v", c)
	}
	if got := r.call("RegisterStreamConsumer", object{"StreamARN": arnOf("s"), "ConsumerName": "c"}).refused(400, "ResourceInUseException"); got == "" {
		t.Error("no message")
	}
	r.poll("an ACTIVE consumer", func() bool {
		return r.call("DescribeStreamConsumer", object{"ConsumerARN": arn}).object().at(t, "ConsumerDescription", "ConsumerStatus") == "ACTIVE"
	})
	for _, by := range []object{
		{"ConsumerARN": arn},
		{"StreamARN": arnOf("s"), "ConsumerName": "c"},
		{"StreamARN": arnOf("s"), "ConsumerName": "c", "ConsumerARN": arn},
	} {
		d := object(r.sameInCBOR("DescribeStreamConsumer", by)["ConsumerDescription"].(map[string]any))
		if d["ConsumerARN"] != arn || d["StreamARN"] != arnOf("s") || d["ConsumerName"] != "c" || d["ConsumerStatus"] != "ACTIVE" || len(d) != 5 {
			t.Errorf("by %v: %v", by, d)
		}
	}
	if tags := r.sameInCBOR("ListTagsForResource", object{"ResourceARN": arn}); !closeTo(map[string]any(tags), asked(t, object{"Tags": []object{{"Key": "team", "Value": "a"}}})) {
		t.Errorf("%v", tags)
	}
	other := arn[:strings.LastIndexByte(arn, ':')+1] + "1" // made at another time
	for _, operation := range []string{"DescribeStreamConsumer", "DeregisterStreamConsumer"} {
		for _, by := range []object{{"ConsumerARN": other}, {"StreamARN": arnOf("s"), "ConsumerName": "d"}, {"StreamARN": arnOf("t"), "ConsumerName": "c"}} {
			r.call(operation, by).refused(400, "ResourceNotFoundException")
		}
		for _, by := range []object{{}, {"ConsumerName": "c"}, {"StreamARN": arnOf("s")}, {"ConsumerARN": arn, "ConsumerName": "d"}, {"ConsumerARN": arn, "StreamARN": arnOf("t")}} {
			r.call(operation, by).refused(400, "InvalidArgumentException")
		}
		r.call(operation, object{"ConsumerARN": arnOf("s")}).refused(400, "ValidationException")
	}
	r.call("DeregisterStreamConsumer", object{"ConsumerARN": arn}).empty()
	r.call("DescribeStreamConsumer", object{"ConsumerARN": arn}).refused(400, "ResourceNotFoundException")
}

func TestTooManyConsumers(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	for i := range 20 {
		arn := r.register("s", fmt.Sprintf("c%d", i), object{})
		r.poll("an ACTIVE consumer", func() bool {
			return r.call("DescribeStreamConsumer", object{"ConsumerARN": arn}).object().at(t, "ConsumerDescription", "ConsumerStatus") == "ACTIVE"
		})
	}
	r.call("RegisterStreamConsumer", object{"StreamARN": arnOf("s"), "ConsumerName": "c20"}).refused(400, "LimitExceededException")
}

func TestTags(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	consumer := r.register("s", "c", object{})
	r.call("AddTagsToStream", object{"StreamName": "s", "Tags": object{"b": "1", "a": "2", "c": "3"}}).empty()
	r.call("AddTagsToStream", object{"StreamName": "s", "Tags": object{"b": "ü / x"}}).empty()
	page := func(in object) string {
		t.Helper()
		var out struct {
			Tags        []struct{ Key, Value string }
			HasMoreTags bool
		}
		r.call("ListTagsForStream", in.with(object{"StreamName": "s"})).into(&out)
		return fmt.Sprint(out.Tags, out.HasMoreTags)
	}
	for _, c := range []struct {
		in   object
		want string
	}{
		{object{}, "[{a 2} {b ü / x} {c 3}] false"},
		{object{"Limit": 2}, "[{a 2} {b ü / x}] true"},
		{object{"Limit": 2, "ExclusiveStartTagKey": "b"}, "[{c 3}] false"},
		{object{"ExclusiveStartTagKey": "zz"}, "[] false"},
	} {
		if got := page(c.in); got != c.want {
			t.Errorf("%v: %s", c.in, got)
		}
	}
	r.call("RemoveTagsFromStream", object{"StreamARN": arnOf("s"), "TagKeys": []string{"a", "none"}}).empty()
	r.call("TagResource", object{"ResourceARN": arnOf("s"), "Tags": object{"d": ""}}).empty()
	r.call("UntagResource", object{"ResourceARN": arnOf("s"), "TagKeys": []string{"c"}}).empty()
	if got := page(object{}); got != "[{b ü / x} {d }] false" {
		t.Error(got)
	}
	r.call("TagResource", object{"ResourceARN": consumer, "Tags": object{"of": "the consumer"}}).empty()
	if got := r.call("ListTagsForResource", object{"ResourceARN": consumer}).object(); !closeTo(map[string]any(got), asked(t, object{"Tags": []object{{"Key": "of", "Value": "the consumer"}}})) {
		t.Errorf("%v", got)
	}
	r.call("UntagResource", object{"ResourceARN": consumer, "TagKeys": []string{"of"}}).empty()
	if got := r.call("ListTagsForResource", object{"ResourceARN": consumer}).object(); !closeTo(map[string]any(got), asked(t, object{"Tags": []object{}})) {
		t.Errorf("%v", got)
	}
}

func TestTagsThatAreRefused(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	long := strings.Repeat("k", 129)
	many := object{}
	for i := range 50 {
		many[fmt.Sprintf("k%d", i)] = "v"
	}
	r.call("AddTagsToStream", object{"StreamName": "s", "Tags": many}).empty()
	for _, c := range []struct {
		operation       string
		in              object
		exception, want string
	}{
		{"AddTagsToStream", object{"StreamName": "s", "Tags": object{"one more": ""}}, "", ""},
		{"AddTagsToStream", object{"StreamName": "s", "Tags": object{long: "v"}}, "ValidationException", "at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"},
		{"AddTagsToStream", object{"StreamName": "s", "Tags": object{"k": strings.Repeat("v", 257)}}, "ValidationException", "at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"},
		{"AddTagsToStream", object{}, "ValidationException", "1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null"},
		{"AddTagsToStream", object{"StreamName": "s", "Tags": object{"k": 1}}, "SerializationException", ""},
		{"AddTagsToStream", object{"StreamName": "s", "Tags": []string{"k"}}, "SerializationException", ""},
		{"AddTagsToStream", object{"StreamName": "s", "Tags": object{"k<": ""}}, "InvalidArgumentException", ""},
		{"RemoveTagsFromStream", object{"StreamName": "s", "TagKeys": []string{}}, "ValidationException", "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"RemoveTagsFromStream", object{"StreamName": "s", "TagKeys": []string{""}}, "ValidationException", "Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"},
		{"ListTagsForStream", object{"StreamName": "s", "Limit": 51}, "ValidationException", "Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50"},
		{"TagResource", object{"ResourceARN": "arn:aws:s3:::b", "Tags": object{"k": "v"}}, "ValidationException", "at 'resourceARN'"},
		{"TagResource", object{"ResourceARN": arnOf("none"), "Tags": object{"k": "v"}}, "ResourceNotFoundException", "Stream none under account " + account + " not found."},
		{"TagResource", object{"ResourceARN": arnOf("s") + "/consumer/c:1", "Tags": object{"k": "v"}}, "ResourceNotFoundException", ""},
		{"UntagResource", object{"ResourceARN": arnOf("none"), "TagKeys": []string{"k"}}, "ResourceNotFoundException", ""},
		{"ListTagsForResource", object{"ResourceARN": arnOf("none")}, "ResourceNotFoundException", ""},
		{"ListTagsForResource", object{"ResourceARN": arnOf("s") + "/consumer/c:x"}, "InvalidArgumentException", ""},
		{"ListTagsForResource", object{"ResourceARN": arnOf("s"), "StreamId": "abcdefghijklmnopqrst-abc"}, "InvalidArgumentException", "StreamId is reserved"},
	} {
		if c.exception == "" {
			if a := r.call(c.operation, c.in); a.code != 400 {
				t.Errorf("51 tags: HTTP %d", a.code)
			}
			continue
		}
		if got := r.call(c.operation, c.in).refused(400, c.exception); !strings.Contains(got, c.want) {
			t.Errorf("%s %v: %q", c.operation, c.in, got)
		}
	}
}

func TestResourcePolicies(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	consumer := r.register("s", "c", object{})
	const policy = `{ "Version":"2012-10-17", "Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kinesis:GetRecords","Resource":"*"}]}`
	for _, arn := range []string{arnOf("s"), consumer} {
		if got := r.sameInCBOR("GetResourcePolicy", object{"ResourceARN": arn}); got["Policy"] != "{}" {
			t.Errorf("without a policy: %v", got)
		}
		r.call("DeleteResourcePolicy", object{"ResourceARN": arn}).refused(400, "ResourceNotFoundException")
		r.call("PutResourcePolicy", object{"ResourceARN": arn, "Policy": policy}).empty()
		if got := r.call("GetResourcePolicy", object{"ResourceARN": arn}).object(); got["Policy"] != policy {
			t.Errorf("%v", got)
		}
		r.call("DeleteResourcePolicy", object{"ResourceARN": arn}).empty()
		r.call("DeleteResourcePolicy", object{"ResourceARN": arn}).refused(400, "ResourceNotFoundException")
	}
	for _, bad := range []string{"", "x", "{}", `{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}`, strings.Repeat(" ", 21<<10)} {
		r.call("PutResourcePolicy", object{"ResourceARN": arnOf("s"), "Policy": bad}).refused(400, "InvalidArgumentException")
	}
	r.call("PutResourcePolicy", object{"ResourceARN": arnOf("s")}).refused(400, "ValidationException")
	r.call("GetResourcePolicy", object{}).refused(400, "ValidationException")
	for operation, in := range map[string]object{"PutResourcePolicy": {"Policy": policy}, "GetResourcePolicy": {}, "DeleteResourcePolicy": {}} {
		r.call(operation, in.with(object{"ResourceARN": arnOf("none")})).refused(400, "ResourceNotFoundException")
	}
}
