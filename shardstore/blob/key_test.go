// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

func TestCheckKey(t *testing.T) {
	long := strings.Repeat("x", blob.MaxPart)
	for _, key := range []string{
		"a", "wal/00ff/00000000000000000001", "closed/S", "a/.b", "a/...", "odd-_.+=@,:~!'()*", long + "/" + long,
	} {
		if err := blob.CheckKey(key); err != nil {
			t.Errorf("CheckKey(%q) = %v, want nil", key, err)
		}
	}
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", "a/./b", "../a", "a/..", "a b", "a\\b", "a\x00", "ä", "a%2f", "a\n",
		long + "x", strings.Repeat("a/", blob.MaxKey),
	} {
		if err := blob.CheckKey(key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("CheckKey(%q) = %v, want ErrKey", key, err)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	for _, prefix := range []string{"", "a", "a/", "a/b", "wal/00", "a/."} {
		if err := blob.CheckPrefix(prefix); err != nil {
			t.Errorf("CheckPrefix(%q) = %v, want nil", prefix, err)
		}
	}
	for _, prefix := range []string{"/", "a//", "../", "a?", strings.Repeat("a", blob.MaxKey+1)} {
		if err := blob.CheckPrefix(prefix); !errors.Is(err, blob.ErrKey) {
			t.Errorf("CheckPrefix(%q) = %v, want ErrKey", prefix, err)
		}
	}
}
