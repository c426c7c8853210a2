// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// plainKeys makes keys that are not secret.
type plainKeys struct{}

func (plainKeys) Make(_ context.Context, s leat.StreamID) (catalog.StreamKey, error) {
	return catalog.StreamKey{ID: leat.NewID[leat.KeyID](rand.Reader), Stream: s, Wrapped: "wrapped"}, nil
}

func TestEncryptionIsStartedAndStopped(t *testing.T) {
	r := newRig(t, options{keys: plainKeys{}})
	r.stream("s", 1)
	want := func(encryption string, key any) {
		t.Helper()
		r.active("s")
		for operation, member := range map[string]string{"DescribeStream": "StreamDescription", "DescribeStreamSummary": "StreamDescriptionSummary"} {
			d := r.sameInCBOR(operation, object{"StreamName": "s"})
			if d.at(t, member, "EncryptionType") != encryption || d.at(t, member, "KeyId") != key {
				t.Errorf("%s: %v, want %s and %v", operation, d, encryption, key)
			}
		}
	}
	in := object{"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
	r.call("StopStreamEncryption", in).empty() // Terraform asks for it
	want("NONE", nil)
	r.call("StartStreamEncryption", in).empty()
	want("KMS", "alias/aws/kinesis")
	const key = "arn:aws:kms:eu-west-1:000000000000:key/1"
	r.callCBOR("StartStreamEncryption", object{"StreamARN": arnOf("s"), "EncryptionType": "KMS", "KeyId": key}).empty()
	want("KMS", key)
	r.call("StopStreamEncryption", in).empty()
	want("NONE", nil)
}

func TestEncryptionIsRefused(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	in := object{"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/x"}
	if got := r.call("StartStreamEncryption", in).refused(400, "InvalidArgumentException"); !strings.Contains(got, "--master-key-file") {
		t.Errorf("without a master key: %q", got)
	}
	for _, operation := range []string{"StartStreamEncryption", "StopStreamEncryption"} {
		r.call(operation, in.with(object{"EncryptionType": "NONE"})).refused(400, "InvalidArgumentException")
		for _, c := range []struct {
			in   object
			want string
		}{
			{object{"EncryptionType": "X"}, "Value 'X' at 'encryptionType' failed to satisfy constraint: Member must satisfy enum value set: [NONE, KMS]"},
			{object{"EncryptionType": nil}, "Value null at 'encryptionType' failed to satisfy constraint: Member must not be null"},
			{object{"KeyId": ""}, "Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
			{object{"KeyId": nil}, "Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		} {
			if got := r.call(operation, in.with(c.in)).refused(400, "ValidationException"); got != "1 validation error detected: "+c.want {
				t.Errorf("%s %v: %q", operation, c.in, got)
			}
		}
	}
	if got := r.summary("s")["EncryptionType"]; got != "NONE" {
		t.Errorf("refused requests left %v", got)
	}
}
