// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server"
)

// Clients run in a process of their own, this test's binary: what this process uses is the server's alone.
const (
	loadEnv   = "LEAT_BENCH_LOAD" // kind, address and seconds
	loadBatch = 500
	loadBytes = 1024
	loadCalls = 16
)

// BenchmarkAWSPut measures PutRecords of 500 random records of 1 KiB, 16 in flight, on a local folder: with
// aws-sdk-go-v2 against Leat, in turn with the same client against a server that reads the request and sends a canned
// answer; and with Leat's gRPC. It prints the median ratio of the rates, and the server's processor time per record over
// each wire.
func BenchmarkAWSPut(b *testing.B) {
	srv := dev(b)
	canned := cannedServer(b)
	for range warmUps {
		runLoad(b, "aws", srv.HTTPAddr())
	}
	var ratios, sdkRates, cannedRates, awsCPU, grpcCPU, cpuRatios, work []float64
	for b.Loop() {
		for range 3 {
			floor := runLoad(b, "aws", canned)
			sdk := runLoad(b, "aws", srv.HTTPAddr())
			native := runLoad(b, "grpc", srv.GRPCAddr())
			ratios, sdkRates, cannedRates = append(ratios, sdk.rate/floor.rate), append(sdkRates, sdk.rate), append(cannedRates, floor.rate)
			awsCPU, grpcCPU, cpuRatios = append(awsCPU, sdk.micros), append(grpcCPU, native.micros), append(cpuRatios, sdk.micros/native.micros)
			work = append(work, (floor.micros+floor.client)/(sdk.micros+sdk.client))
			b.Logf("records/s: canned %.0f, SDK %.0f, gRPC %.0f; µs a record, server and client: canned %.2f + %.2f, SDK %.2f + %.2f, gRPC %.2f + %.2f",
				floor.rate, sdk.rate, native.rate, floor.micros, floor.client, sdk.micros, sdk.client, native.micros, native.client)
		}
	}
	b.ReportMetric(median(sdkRates), "sdk-records/s")
	b.ReportMetric(median(cannedRates), "canned-records/s")
	b.ReportMetric(median(ratios), "of-canned")
	b.ReportMetric(median(awsCPU), "aws-µs/record")
	b.ReportMetric(median(grpcCPU), "grpc-µs/record")
	b.ReportMetric(median(cpuRatios), "aws-cpu/grpc-cpu")
	b.ReportMetric(median(work), "canned-work/work")
}

// dev starts a server on a folder and makes stream s.
func dev(b *testing.B) *server.Server {
	b.Helper()
	c := server.DevConfig{DataDir: b.TempDir(), Common: server.Common{
		HTTPAddr: "127.0.0.1:0", GRPCAddr: "127.0.0.1:0", Region: "us-east-1", ShardLimits: "off",
		PackEvery: time.Minute, Memory: benchMemory, LogLevel: "error", LogFormat: "text",
	}}
	srv, err := server.Dev(b.Context(), c, "bench")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	if err := srv.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	conn, err := grpc.NewClient(srv.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	makeStream(b, leatv1.NewStreamServiceClient(conn))
	return srv
}

// cannedServer reads requests and answers as if 500 records had been put.
func cannedServer(b *testing.B) (addr string) {
	b.Helper()
	entry := fmt.Sprintf(`{"SequenceNumber":"%056d","ShardId":"shardId-000000000000"}`, 4)
	answer := []byte(`{"FailedRecordCount":0,"Records":[` + strings.Repeat(entry+",", loadBatch-1) + entry + `]}`)
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write(answer) // fails only when the client is gone
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	b.Cleanup(func() {
		_ = s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return l.Addr().String()
}

// loaded is what one spell of load came to.
type loaded struct {
	rate   float64 // records a second
	micros float64 // of this process's processor time for each
	client float64 // of the client's
}

// runLoad runs clients of a kind against an address for a spell.
func runLoad(b *testing.B, kind, addr string) loaded {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^TestLoad$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %g", loadEnv, kind, addr, benchSpell.Seconds()))
	before := processorTime(b)
	out, err := cmd.CombinedOutput()
	used := processorTime(b) - before
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	_, line, _ := strings.Cut(string(out), "records=")
	n, err := strconv.ParseFloat(strings.Fields(line)[0], 64)
	if err != nil || n == 0 {
		b.Fatalf("no load: %s", out)
	}
	return loaded{rate: n / benchSpell.Seconds(), micros: float64(used.Microseconds()) / n,
		client: float64((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Microseconds()) / n}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLoad is the client process of BenchmarkAWSPut, and nothing else.
func TestLoad(t *testing.T) {
	plan := strings.Fields(os.Getenv(loadEnv))
	if len(plan) != 3 {
		t.Skip("only BenchmarkAWSPut runs this")
	}
	seconds, err := strconv.ParseFloat(plan[2], 64)
	if err != nil {
		t.Fatal(err)
	}
	put := map[string]func(*testing.T, string) func(context.Context, int) error{"aws": awsClient, "grpc": grpcClient}[plan[0]](t, plan[1])
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	var batches atomic.Int64
	var wg sync.WaitGroup
	for worker := range loadCalls {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := put(context.WithoutCancel(ctx), worker); err != nil {
					t.Error(err)
					return
				}
				batches.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("records=%d ", batches.Load()*loadBatch)
}

func randomData() []byte {
	data := make([]byte, loadBytes)
	_, _ = rand.Read(data) // never fails
	return data
}

// awsClient puts with the AWS SDK.
func awsClient(t *testing.T, addr string) func(context.Context, int) error {
	// The SDK tries again by itself. It must: it closes a request's body as soon as it has the head of an answer, and where
	// that comes before the writer has seen the body's end, its own connection breaks.
	transport := &http.Transport{MaxIdleConnsPerHost: loadCalls}
	t.Cleanup(transport.CloseIdleConnections)
	client := kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + addr), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	inputs := make([]*kinesis.PutRecordsInput, loadCalls)
	for i := range inputs {
		inputs[i] = &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for n := range loadBatch {
			inputs[i].Records = append(inputs[i].Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprintf("%d-%d", i, n)), Data: randomData()})
		}
	}
	return func(ctx context.Context, worker int) error {
		out, err := client.PutRecords(ctx, inputs[worker])
		if err == nil && *out.FailedRecordCount > 0 {
			err = errors.New(*out.Records[0].ErrorMessage)
		}
		return err
	}
}

// grpcClient puts with the native API.
func grpcClient(t *testing.T, addr string) func(context.Context, int) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	records := leatv1.NewRecordServiceClient(conn)
	inputs := make([]*leatv1.PutRecordsRequest, loadCalls)
	for i := range inputs {
		inputs[i] = &leatv1.PutRecordsRequest{Stream: "s"}
		for n := range loadBatch {
			inputs[i].Records = append(inputs[i].Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprintf("%d-%d", i, n), Data: randomData()})
		}
	}
	return func(ctx context.Context, worker int) error {
		out, err := records.PutRecords(ctx, inputs[worker])
		if err == nil && out.FailedRecordCount > 0 {
			err = errors.New(out.Records[0].ErrorMessage)
		}
		return err
	}
}
