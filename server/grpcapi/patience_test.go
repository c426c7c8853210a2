// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/grpcapi"
)

// dawdler is a caller that sends what a test says, and takes in nothing.
type dawdler struct {
	r      *rig
	conn   net.Conn
	frames *http2.Framer
}

func (r *rig) dawdler() *dawdler {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.conn.Target())
	r.must(err)
	r.t.Cleanup(func() { _ = conn.Close() })
	d := &dawdler{r, conn, http2.NewFramer(conn, conn)}
	_, err = conn.Write([]byte(http2.ClientPreface))
	r.must(err)
	r.must(d.frames.WriteSettings())
	return d
}

// call begins a call with a message, of which a part at the end is held back.
func (d *dawdler) call(method string, m proto.Message, held int) {
	d.r.t.Helper()
	raw, err := proto.Marshal(m)
	d.r.must(err)
	raw = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(raw))), raw...)
	var head bytes.Buffer
	h := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "leat"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		d.r.must(h.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	d.r.must(d.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}))
	d.r.must(d.frames.WriteData(1, held == 0, raw[:len(raw)-held]))
}

// ended waits for the end of the call and returns its code.
func (d *dawdler) ended() (code string) {
	d.r.t.Helper()
	d.r.must(d.conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
	headers := hpack.NewDecoder(4096, nil)
	for {
		f, err := d.frames.ReadFrame()
		if err != nil {
			d.r.t.Fatalf("waited for a frame: %v", err)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				d.r.must(d.frames.WriteSettingsAck())
			}
		case *http2.HeadersFrame:
			fields, err := headers.DecodeFull(f.HeaderBlockFragment())
			d.r.must(err)
			for _, field := range fields {
				if field.Name == "grpc-status" {
					code = field.Value
				}
			}
			if f.StreamEnded() {
				return code
			}
		}
	}
}

// Whoever sends half a message is waited for no longer than the patience lasts, with a credential or without.
func TestMessagesThatDoNotArrive(t *testing.T) {
	r := newRig(t, options{patience: grpcapi.Patience{Message: 50 * time.Millisecond, Stranger: 50 * time.Millisecond, Answer: time.Minute}})
	part := &leatv1.DescribeStreamSummaryRequest{Stream: "sssssss"}
	for _, method := range []string{
		"/leat.v1.StreamService/DescribeStreamSummary", "/leat.v1.RecordService/PutRecords", "/leat.v1.RecordService/SubscribeToShard",
		"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	} {
		d := r.dawdler()
		d.call(method, part, 4)
		began := time.Now()
		code := d.ended()
		if took := time.Since(began); code != "1" || took > 8*time.Second { // strangers have 10 s by default, others a minute
			t.Errorf("%s ended with code %q after %v", method, code, took)
		}
	}
}

// A push that is not taken in ends its subscription.
func TestPushesThatAreNotTakenIn(t *testing.T) {
	r := newRig(t, options{patience: grpcapi.Patience{Message: time.Minute, Stranger: time.Minute, Answer: 50 * time.Millisecond}})
	r.stream("s", 1)
	for range 3 {
		_, err := r.records.PutRecord(t.Context(), &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: make([]byte, 1_000_000)})
		r.must(err)
	}
	_, err := r.consumers.RegisterStreamConsumer(t.Context(), &leatv1.RegisterStreamConsumerRequest{Stream: "s", Consumer: "c"})
	r.must(err)
	start := &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}
	d := r.dawdler()
	d.call("/leat.v1.RecordService/SubscribeToShard", &leatv1.SubscribeToShardRequest{Stream: "s", Consumer: "c", ShardId: "shardId-000000000000", Start: start}, 0)
	r.poll("the subscription's end", func() bool { return strings.Contains(r.log.String(), "a message was not taken in within 50ms") })
	r.must(d.frames.WriteWindowUpdate(0, 1<<30))
	r.must(d.frames.WriteWindowUpdate(1, 1<<30))
	if code := d.ended(); code != "1" { // CANCELED, of which the Go client knows that it is not its own
		t.Errorf("it ended with code %q", code)
	}
}
