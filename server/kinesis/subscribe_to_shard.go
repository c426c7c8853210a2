// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// SubscribeToShard: see broker.Subscribe for what it promises. The answer is an event stream whose first message is the
// initial-response, sent together with the first event as soon as the subscription stands. What is refused before that is
// an ordinary error; what ends the subscription later is the stream's last message.
//
// Differs from AWS: see broker.Subscribe. DryRun is refused.

type subscribeToShardInput struct {
	ConsumerARN      *string           `json:"ConsumerARN,omitempty" check:"required,pattern=consumerARN,len=1..2048"`
	DryRun           *bool             `json:"DryRun,omitempty" check:"reserved"`
	ShardId          *string           `json:"ShardId,omitempty" check:"required,pattern=shardId,len=1..128"`
	StartingPosition *startingPosition `json:"StartingPosition,omitempty" check:"required"`
	StreamId         *string           `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

type startingPosition struct {
	SequenceNumber *string    `json:"SequenceNumber,omitempty" check:"pattern=sequenceNumber"`
	Timestamp      *timestamp `json:"Timestamp,omitempty"`
	Type           *string    `json:"Type,omitempty" check:"required,enum=AFTER_SEQUENCE_NUMBER|LATEST|AT_TIMESTAMP|AT_SEQUENCE_NUMBER|TRIM_HORIZON"`
}

func (h *Handler) subscribeToShard(ctx context.Context, c *call) error {
	in := new(subscribeToShardInput)
	if err := c.wire.decode(c.body, in); err != nil {
		return err
	}
	if err := check(in); err != nil {
		return err
	}
	stream, consumer, created, err := leat.ParseConsumerARN(*in.ConsumerARN)
	if err != nil {
		return err
	}
	h.release(c) // of the request, whose strings were copied: a subscription lasts for minutes
	s := &subscription{h: h, c: c, control: http.NewResponseController(c.w)}
	err = h.broker.Subscribe(ctx, c.who, broker.SubscribeRequest{Stream: stream, Consumer: consumer, Created: created, Shard: *in.ShardId, Start: broker.StartingPosition{
		Type: broker.IteratorType(*in.StartingPosition.Type), SequenceNumber: value(in.StartingPosition.SequenceNumber), Timestamp: in.StartingPosition.Timestamp.time(),
	}}, s.send)
	if !c.streamed {
		return err
	}
	if err != nil {
		s.fail(err)
	}
	// A deadline left behind would cut off the connection's next answer.
	if err := s.control.SetWriteDeadline(time.Time{}); err != nil {
		h.log.Debug("write deadline stays", "request_id", c.id, "error", err)
	}
	return nil
}

// subscription is the answer of one SubscribeToShard.
type subscription struct {
	h       *Handler
	c       *call
	control *http.ResponseController
}

// slack is how much longer than a subscription its writes may last: a reader that takes nothing in is let go.
const slack = 30 * time.Second

// send writes an event, and before the first one everything that goes before it.
func (s *subscription) send(e broker.Event) error {
	b := s.h.buf(s.c)
	if !s.c.streamed {
		s.breathe()
		s.begin()
		b = endMessage(append(beginMessage(b, eventHeaders("initial-response", s.content())...), s.empty()...), 0)
	}
	start := len(b)
	w := s.c.wire.writer(beginMessage(b, eventHeaders("SubscribeToShardEvent", s.content())...))
	w.page(&page{
		shard: e.Shard, records: e.Records, encrypted: e.Stream.EncryptionKey != "",
		behind: e.Behind, children: e.Children, continuation: e.Continuation,
	})
	return s.write(endMessage(w.b, start))
}

// headStart is how long the head of an answer over HTTP/1.1 waits. The AWS SDK for Go (smithy-go) closes a request's body
// when the answer's head comes; net/http, which may not have looked at that body's end yet, takes this for a failed write
// and closes the connection, and with it the subscription. A server far away is never so quick.
const headStart = 10 * time.Millisecond

// breathe lets a client of HTTP/1.1 finish its request.
func (s *subscription) breathe() {
	if s.c.r.ProtoMajor > 1 {
		return
	}
	timer, stop := s.h.clock.NewTimer(headStart)
	defer stop()
	select {
	case <-timer:
	case <-s.c.r.Context().Done():
	}
}

// begin sends the answer's head.
func (s *subscription) begin() {
	s.c.streamed = true
	if err := s.control.SetWriteDeadline(s.h.clock.Now().Add(leat.SubscriptionTime + slack)); err != nil {
		s.h.log.Debug("no write deadline", "request_id", s.c.id, "error", err)
	}
	s.c.w.Header()["Content-Type"] = []string{contentEvents}
	s.c.w.WriteHeader(http.StatusOK)
}

// content names the encoding of a payload.
func (s *subscription) content() string {
	if s.c.wire.contentType() == contentCBOR {
		return "application/cbor"
	}
	return "application/json"
}

// empty is an object without members.
func (s *subscription) empty() []byte {
	w := s.c.wire.writer(nil)
	w.object()
	w.close()
	return w.b
}

// fail ends the stream with the reason. A reader that is gone is told nothing.
func (s *subscription) fail(err error) {
	told := s.h.tell(s.c, err)
	b := s.h.buf(s.c)
	if strings.Contains(streamExceptions, "|"+told.Type+"|") {
		b = beginMessage(b, header{":message-type", "exception"}, header{":exception-type", told.Type}, header{":content-type", s.content()})
		w := s.c.wire.writer(b)
		w.object()
		w.member("message")
		w.text(told.Message)
		w.close()
		b = w.b
	} else {
		b = beginMessage(b, header{":message-type", "error"}, header{":error-code", told.Type}, header{":error-message", told.Message})
	}
	if err := s.write(endMessage(b, 0)); err != nil {
		s.h.log.Debug("the reader is gone", "request_id", s.c.id, "error", err)
	}
}

// write sends what was appended. Between events a subscription keeps no memory.
func (s *subscription) write(b []byte) error {
	s.c.end(b)
	defer s.h.release(s.c)
	if err := s.c.write(b); err != nil {
		return gone(err)
	}
	if err := s.control.Flush(); err != nil {
		return gone(err)
	}
	return nil
}

func gone(err error) error {
	return &leat.Error{Kind: leat.KindCanceled, Message: "the reader went away", Err: err}
}
