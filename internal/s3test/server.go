// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/internal/testproc"
)

// patience bounds each step: one that takes longer on a busy machine is stuck.
const patience = time.Minute

// Server is one MinIO with its objects. Start, Stop, Kill, Freeze and Thaw must
// not be called at the same time; the rest may be, from any goroutine.
type Server struct {
	Endpoint  string // host:port, the same for the server's whole life; plain HTTP
	Region    string
	AccessKey string
	SecretKey string

	binary     string
	dir        *testproc.Dir // data/ and log in it
	port       *testproc.Port
	proc       *testproc.Process
	nextBucket atomic.Int64
}

// open makes a server and starts it.
func open() (*Server, error) {
	binary, err := findBinary()
	if err != nil {
		return nil, err
	}
	port, err := testproc.ReservePort()
	if err != nil {
		return nil, fmt.Errorf("s3test: %w", err)
	}
	dir, err := testproc.TempDir("leat-s3-")
	if err != nil {
		return nil, fmt.Errorf("s3test: %w", errors.Join(err, port.Release()))
	}
	s := &Server{
		Endpoint: port.Addr(), Region: "us-east-1", AccessKey: "leat", SecretKey: rand.Text(),
		binary: binary, dir: dir, port: port,
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// start runs the server and waits until it serves.
func (s *Server) start() error {
	proc, err := testproc.Start(testproc.Config{
		Name: "minio", Path: s.binary,
		Args: []string{"server", "--quiet", "--address", s.Endpoint, filepath.Join(s.dir.Path, "data")},
		Env: []string{
			"HOME=" + s.dir.Path, "PATH=/usr/bin:/bin",
			"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off",
			"MINIO_CI_CD=on", // a folder on the root disk will do
		},
		Dir: s.dir.Path, Log: filepath.Join(s.dir.Path, "log"),
	})
	if err != nil {
		return fmt.Errorf("s3test: %w", err)
	}
	s.proc = proc
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := proc.Await(ctx, s.ready); err != nil {
		return fmt.Errorf("s3test: %w", err)
	}
	return nil
}

// ready answers nil when the server is up and is this one: the secret is new
// for each server, so another one at this address would refuse it. It asks for
// the cluster's health, since a server that is ready lists its buckets a moment
// later, to make those that it lacks: it would make one again that a test has
// removed meanwhile.
func (s *Server) ready(ctx context.Context) error {
	// An answer of its own time limit: the server may take a connection before
	// it answers on it.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Endpoint+"/minio/health/cluster", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health check says %s", resp.Status)
	}
	return s.withClient(func(c *minio.Client) error {
		_, err := c.ListBuckets(ctx)
		return err
	})
}

// withClient lends a client whose connections end with the call.
func (s *Server) withClient(do func(*minio.Client) error) error {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	c, err := minio.New(s.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region: s.Region, Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return fmt.Errorf("s3test: %w", err)
	}
	return do(c)
}

func (s *Server) close() error {
	var err error
	if s.proc != nil {
		err = s.proc.Kill()
	}
	return errors.Join(err, s.dir.Remove(), s.port.Release())
}

// Bucket makes an empty bucket and returns its name. It is removed with its
// objects when the test ends.
func (s *Server) Bucket(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test-%d", s.nextBucket.Add(1))
	err := s.withClient(func(c *minio.Client) error {
		return c.MakeBucket(tb.Context(), name, minio.MakeBucketOptions{Region: s.Region})
	})
	if err != nil {
		tb.Fatalf("s3test: make a bucket: %v", err)
	}
	tb.Cleanup(func() {
		if !s.proc.Running() {
			return // it goes with the server
		}
		if err := s.removeBucket(name); err != nil {
			tb.Errorf("s3test: remove a bucket: %v", err)
		}
	})
	return name
}

// removeBucket takes the bucket with all that is in it. A test may have done so
// itself.
func (s *Server) removeBucket(name string) error {
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.withClient(func(c *minio.Client) error {
		return c.RemoveBucketWithOptions(ctx, name, minio.RemoveBucketOptions{ForceDelete: true})
	})
	if minio.ToErrorResponse(err).Code == minio.NoSuchBucket {
		return nil
	}
	return err
}

// Folder is where the server keeps a bucket's objects. A test that loses or
// spoils a disk works there.
func (s *Server) Folder(bucket string) string { return filepath.Join(s.dir.Path, "data", bucket) }

// Stop ends the server in order: it refuses new requests and finishes those
// that run. Its objects and its address stay.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.proc.Stop(ctx, syscall.SIGTERM); err != nil {
		tb.Fatalf("s3test: %v", err)
	}
}

// Kill ends the server at once, in the middle of whatever it does.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.proc.Kill(); err != nil {
		tb.Fatalf("s3test: %v", err)
	}
}

// Start starts a stopped or killed server again, at the same address. It does
// nothing when the server runs.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if s.proc.Running() {
		return
	}
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

// Freeze stops the server from answering while its connections stay open and
// new ones are accepted by the kernel: what a client sees of a hanging server.
func (s *Server) Freeze(tb testing.TB) {
	tb.Helper()
	if err := s.proc.Signal(syscall.SIGSTOP); err != nil {
		tb.Fatalf("s3test: freeze: %v", err)
	}
}

// Thaw ends a Freeze: the server goes on with what it was doing.
func (s *Server) Thaw(tb testing.TB) {
	tb.Helper()
	if err := s.proc.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Fatalf("s3test: thaw: %v", err)
	}
}
