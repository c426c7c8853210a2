// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// smallBench is a run of one record, without a server.
func smallBench() *bench {
	return &bench{
		benchCmd: &benchCmd{RecordBytes: 16, Batch: 1, InFlight: 1}, stream: "s", random: rand.New(rand.NewPCG(1, 2)),
		keys: []string{"k"}, data: [][]byte{make([]byte, 16)},
	}
}

// A subscription that is over says nothing about records.
func TestBenchOfASubscriptionThatEnded(t *testing.T) {
	b := smallBench()
	echo, err := startEcho(b)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := echo.stop(); err != nil {
			t.Error(err)
		}
	}()
	b.cl = echo.client
	for pushed := range 2 {
		number := uint64(0)
		arrivals, failed := make(chan arrival, 2), make(chan error, 1)
		failed <- receive(t.Context(), func() (*leatv1.SubscribeToShardResponse, error) {
			if number == uint64(pushed) {
				return nil, io.EOF
			}
			number++
			return &leatv1.SubscribeToShardResponse{Records: []*leatv1.Record{{Data: make([]byte, 16)}}}, nil
		}, arrivals)
		times, err := b.pushAll(t.Context(), time.Minute, arrivals, failed)
		switch {
		case pushed == 0 && leat.KindOf(err) != leat.KindUnavailable:
			t.Errorf("nothing was pushed: %v", err)
		case pushed == 1 && (err != nil || len(times.puts) != 1 || len(times.pushes) != 1 || len(times.after) != 1 || times.after[0] >= 0):
			t.Errorf("one record, pushed before its put was answered: %+v, %v", times, err)
		}
	}
}

// refusing is a server that has had enough.
type refusing struct {
	leatv1.UnimplementedRecordServiceServer
}

func (refusing) PutRecord(context.Context, *leatv1.PutRecordRequest) (*leatv1.PutRecordResponse, error) {
	return nil, status.Error(codes.ResourceExhausted, "enough")
}

func (refusing) PutRecords(context.Context, *leatv1.PutRecordsRequest) (*leatv1.PutRecordsResponse, error) {
	return nil, status.Error(codes.ResourceExhausted, "enough")
}

// What is refused is no put, and its rest no latency.
func TestBenchDoesNotCountWhatIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	leatv1.RegisterRecordServiceServer(s, refusing{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	cl, err := client.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	b := smallBench()
	for _, take := range []sample{b.putSingles("leat", cl, 1), b.putBatches("leat", cl)} {
		figures, err := take(t.Context(), 20*time.Millisecond)
		if err != nil {
			t.Error(err)
		}
		for name, v := range figures {
			if v != 0 {
				t.Errorf("%s is %v", name, v)
			}
		}
	}
}

// What was measured is shown though a later step fails.
func TestBenchShowsWhatWasMeasuredBeforeAFailure(t *testing.T) {
	b := smallBench()
	b.Rounds, b.For = 1, time.Millisecond
	about := func(err error) *step {
		return &step{
			samples: []sample{func(context.Context, time.Duration) (map[string]float64, error) { return nil, err }},
			results: func(medians) []result { return []result{{Name: "measured", Unit: "ms"}} },
		}
	}
	var out bytes.Buffer
	err := b.take(t.Context(), []*step{about(nil), about(io.ErrUnexpectedEOF)}, &connection{}, &terminal{out: &out, err: io.Discard})
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(out.String(), "measured") {
		t.Errorf("printed %q, and failed with %v", out.String(), err)
	}
}
