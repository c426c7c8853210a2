// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a server puts between the engine and its store does not hide that log files can get a second name there: large
// extents stay where they were written, rather than being written again (shardstore/keep.go).
func TestLargeExtentsStayInTheLog(t *testing.T) {
	dir := t.TempDir()
	s := liveIn(t, dir, time.Second)
	makeStream(t, s, "s")
	random := rand.NewChaCha8([32]byte{1}) // bytes that S2 does not shrink
	data := make([]byte, 1000<<10)
	for range 16 {
		if _, err := random.Read(data); err != nil {
			t.Fatal(err)
		}
		aws(t, s, "PutRecord", fmt.Sprintf(`{"StreamName":"s","PartitionKey":"k","Data":%q}`, base64.StdEncoding.EncodeToString(data)))
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		kept, err := filepath.Glob(filepath.Join(dir, "objects", "kept", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(kept) > 0 {
			return
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "objects"))
	t.Fatalf("nothing is kept; objects has %v %v", entries, err)
}
