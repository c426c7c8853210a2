// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package leattest starts a whole Leat server inside a Go test, in one line:
//
//	srv := leattest.Start(t)
//	c, err := client.Dial(srv.Endpoint)
//
// It is `leat dev` in the test's own temporary folder, on ports that the kernel chose: records are written to disk and
// fsynced as in earnest. The server stops when the test ends.
package leattest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leatstream/leat/server"
)

// TB is the part of testing.TB that a server needs.
type TB interface {
	Helper()
	TempDir() string
	Cleanup(func())
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Server is a running server.
type Server struct {
	Endpoint string // of gRPC: HOST:PORT
	HTTP     string // of REST: http://HOST:PORT, or https:// with TLS
	Dir      string // its data folder

	cfg  server.DevConfig
	mu   sync.Mutex
	stop func() error
}

// startWithin bounds the start of a server.
const startWithin = 30 * time.Second

// Option changes how a server is set up.
type Option func(*server.DevConfig)

// WithShardLimits makes each shard of a provisioned stream take 1 MiB/s or 1,000 records/s, and give 2 MiB/s in 5 reads/s, as
// AWS does. Without it there are no limits a shard.
func WithShardLimits() Option { return func(c *server.DevConfig) { c.ShardLimits = "aws" } }

// WithDir keeps the data in a folder of the caller's.
func WithDir(dir string) Option { return func(c *server.DevConfig) { c.DataDir = dir } }

// WithConfig changes any setting of `leat dev`.
func WithConfig(change func(*server.DevConfig)) Option { return change }

// Start starts a server and stops it when the test ends. It fails the test when the server does not start.
func Start(tb TB, opts ...Option) *Server {
	tb.Helper()
	s := &Server{cfg: server.DevConfig{
		Common: server.Common{
			HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off",
			PackEvery: time.Minute, LogLevel: "error", LogFormat: "text",
		},
	}}
	for _, o := range opts {
		o(&s.cfg)
	}
	if s.cfg.DataDir == "" {
		s.cfg.DataDir = tb.TempDir()
	}
	s.Dir = s.cfg.DataDir
	if err := s.start(); err != nil {
		tb.Fatalf("leattest: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("leattest: %v", err)
		}
	})
	return s
}

// Stop drains and stops the server. It may be called twice.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return nil
	}
	err := s.stop()
	s.stop = nil
	return err
}

// Restart stops the server and starts it again on the same data; its endpoints change.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start()
}

func (s *Server) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	srv, err := server.Dev(ctx, s.cfg, "test")
	if err != nil {
		return err
	}
	return s.run(ctx, srv)
}

// run returns when a server is ready, or has ended because it was not when ctx ended.
func (s *Server) run(ctx context.Context, srv *server.Server) error {
	run, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(run) }()
	if err := srv.WaitReady(ctx); err != nil {
		stop()
		return fmt.Errorf("the server did not become ready: %w", errors.Join(err, <-done))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Endpoint, s.HTTP = srv.GRPCAddr(), srv.URL()
	s.stop = func() error {
		stop()
		return <-done
	}
	return nil
}
