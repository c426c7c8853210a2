// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leatstream/leat/server"
)

// readyWithin is how long a server may take before it says why it is not ready yet. Recovery of a large log is the
// usual reason.
const readyWithin = 5 * time.Second

// devCmd is `leat dev`.
type devCmd struct {
	configFlag       `embed:""`
	server.DevConfig `embed:""`
}

// Help is shown by `leat dev --help`.
func (devCmd) Help() string {
	return "One process with everything in it, and one folder. Any credentials are accepted. What was acknowledged survives a restart and kill -9. Stop it with Ctrl-C."
}

// Run serves until ctx is done.
func (c *devCmd) Run(ctx context.Context) error {
	began := time.Now()
	s, err := server.Dev(ctx, c.DevConfig, version)
	if err != nil {
		return err
	}
	return runServer(ctx, s, func() { devBanner(os.Stdout, s, c.DataDir, c.Region, time.Since(began)) })
}

// serveCmd is `leat serve`.
type serveCmd struct {
	configFlag         `embed:""`
	server.ServeConfig `embed:""`
}

// Help is shown by `leat serve --help`.
func (serveCmd) Help() string {
	return "A node on PostgreSQL and an S3-compatible bucket; it keeps nothing on its disk. Nodes with the same database and bucket share the shards, and take over from those that are dead."
}

// Run serves until ctx is done.
func (c *serveCmd) Run(ctx context.Context) error {
	s, err := server.Serve(ctx, c.ServeConfig, version)
	if err != nil {
		return err
	}
	return runServer(ctx, s, func() {
		fmt.Fprintf(os.Stdout, "leat serve, version %[1]s, serves AWS Kinesis on %[2]s, REST on %[2]s/v1 and gRPC on %[3]s\n", version, s.URL(), s.GRPCAddr())
	})
}

// runServer runs a server and says once when it is ready.
func runServer(ctx context.Context, s *server.Server, ready func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		first, cancel := context.WithTimeout(ctx, readyWithin)
		err := s.WaitReady(first)
		cancel()
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "leat: not ready yet: %v\n", s.Ready())
			err = s.WaitReady(ctx)
		}
		if err == nil {
			ready()
		}
	}()
	err := s.Run(ctx)
	if ctx.Err() == nil {
		return err
	}
	<-done
	return err
}

// devBanner says where everything is, and a first command to paste.
func devBanner(w io.Writer, s *server.Server, dir, region string, took time.Duration) {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, dir); err == nil && !strings.HasPrefix(rel, "..") {
			dir = "./" + rel
		}
	}
	exe, endpoint := os.Args[0], ""
	if _, port, err := net.SplitHostPort(s.GRPCAddr()); err == nil && port != "4568" {
		endpoint = " --endpoint " + s.GRPCAddr()
	}
	fmt.Fprintf(w, `leat %s is ready after %d ms. Its data is in %s and survives restarts and kill -9.

  AWS       %[4]s      (Kinesis: SDKs, CLI and tools; any credentials)
  REST      %[4]s/v1
  Docs      %[4]s/docs
  Metrics   %[4]s/metrics
  gRPC      %[5]s

Try it:
  %[6]s stream create hello --shards 2%[7]s
  %[6]s put hello "my first record"%[7]s
  %[6]s get hello --from trim-horizon%[7]s
or
  AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws --region %[8]s --endpoint-url %[4]s kinesis list-streams
`, version, took.Milliseconds(), dir, s.URL(), s.GRPCAddr(), exe, endpoint, region)
}
