// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"encoding/hex"
	"strconv"
	"testing"
)

func TestSigningKeysAreBounded(t *testing.T) {
	s := newSigningKeys(10)
	for i := range 100 {
		id := strconv.Itoa(i % 25)
		got := s.get(id, "20260301", "secret of "+id, "us-east-1", "kinesis")
		if want := deriveKey("secret of "+id, "20260301", "us-east-1", "kinesis"); got != want {
			t.Fatalf("key %s: %x, want %x", id, got, want)
		}
		if len(s.young) > 10 || len(s.old) > 10 {
			t.Fatalf("%d and %d keys are kept", len(s.young), len(s.old))
		}
	}
}

// TestDeriveKey holds to the example in AWS's documentation.
func TestDeriveKey(t *testing.T) {
	key := deriveKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "service")
	if got := hex.EncodeToString(key[:]); got != "938127b5336810ddb6a5d6af445fcac9e371f9ed418ed386b022aed82901be75" {
		t.Error(got)
	}
}
