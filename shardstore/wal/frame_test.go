// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
)

// TestFrameIsAsDrawn: log files outlive the program that wrote them.
func TestFrameIsAsDrawn(t *testing.T) {
	s, err := leat.ParseID[leat.SessionID]("00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString("6c6561746c6f670a" + // leatlog\n
		"00112233445566778899aabbccddeeff" + "0807060504030201" + "0500000000000000" + "00000000" + "ac05287b" +
		hex.EncodeToString([]byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	got := wal.AppendFrame(nil, s, 0x0102030405060708, []byte("hello"))
	if len(got) != wal.FramePage || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 {
		t.Errorf("a frame of %d bytes is\n%x, want\n%x and zeros", len(got), got[:len(want)], want)
	}
}
