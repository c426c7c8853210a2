// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leattest

import (
	"context"
	"testing"
	"time"

	"github.com/leatstream/leat/server"
)

// A server that is not ready in time is gone when that is told: its folder can be opened again.
func TestNotReadyLeavesNothingRunning(t *testing.T) {
	cfg := server.DevConfig{
		Common: server.Common{
			HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off",
			PackEvery: time.Minute, LogLevel: "error", LogFormat: "text",
		},
		DataDir: t.TempDir(),
	}
	for range 2 {
		srv, err := server.Dev(t.Context(), cfg, "test")
		if err != nil {
			t.Fatal(err)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		var s Server
		if s.run(over, srv) == nil { // it was quicker than the first look
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		}
	}
}
