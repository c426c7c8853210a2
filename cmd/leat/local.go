// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/server"
)

// startLocal starts a server as `leat dev` does, on ports that the kernel chooses.
func startLocal(ctx context.Context, dir string) (endpoint string, stop func() error, err error) {
	s, err := server.Dev(ctx, server.DevConfig{
		Common: server.Common{
			HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off",
			PackEvery: time.Minute, LogLevel: "error", LogFormat: "text",
		},
		DataDir: filepath.Join(dir, "server"),
	}, version)
	if err != nil {
		return "", nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	ready, done := context.WithTimeout(ctx, connectWithin)
	defer done()
	if err := s.WaitReady(ready); err != nil {
		_ = stop() // what matters is why it is not ready
		return "", nil, err
	}
	return s.GRPCAddr(), stop, nil
}
