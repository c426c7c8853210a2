// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
)

// call is one request under way.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	id        string // of the request
	operation string // its name; empty until it is known
	who       leat.Principal
	wire      wire
	body      []byte  // of the request; MUST NOT be referred to once the call is over
	in, out   *[]byte // pooled: body's memory, and the answer's
	lent      bool    // the broker has a put's memory and the body's, or a panic has taken them from there
	span      tracing.Span
	streamed  bool // the answer has begun by itself: nothing more is sent
}

// buf returns the buffer that the answer is appended to; end keeps what became of it.
func (h *Handler) buf(c *call) []byte {
	if c.out == nil {
		c.out = h.buffers.get()
	}
	return (*c.out)[:0]
}

// end sets the answer.
func (c *call) end(b []byte) { *c.out = b }

// release gives the buffers back. It may be called early and more than once. After a panic nobody knows who still reads
// the body: it is left to the collector.
func (h *Handler) release(c *call) {
	if c.lent {
		c.in = nil
	}
	for _, b := range []*[]byte{c.in, c.out} {
		if b != nil {
			h.buffers.put(b)
		}
	}
	c.body, c.in, c.out = nil, nil, nil
}

// answer sends what was appended; an operation without output has an empty body. A caller that is gone is told nothing.
func (h *Handler) answer(c *call, status int) {
	var body []byte
	if c.out != nil {
		body = *c.out
	}
	header := c.w.Header()
	header["Content-Type"] = []string{c.wire.contentType()}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.w.WriteHeader(status)
	if len(body) == 0 {
		return
	}
	if len(body) > largeAnswer { // it may wait for a caller that takes nothing in, and would keep its memory
		rc := http.NewResponseController(c.w)
		if rc.SetWriteDeadline(h.clock.Now().Add(answerTime)) == nil {
			defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
		}
	}
	_ = c.write(body) // fails only when the caller is gone
}

const (
	largeAnswer = 64 << 10        // bytes: less fits into the connection's buffers
	answerTime  = 2 * time.Minute // for a caller to take in a large answer
)

// write sends bytes of the answer's buffer. Where it fails the buffer is not used again: over HTTP/2 the connection may
// still be copying it into a frame of the stream that was reset, and what is in it next may be another caller's.
func (c *call) write(b []byte) error {
	_, err := c.w.Write(b)
	if err != nil {
		c.out = nil
	}
	return err
}

// guarded turns a panic of a handler into an internal error.
func (h *Handler) guarded(c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h.serve(c)
}

// fail logs an error and answers it. A stream that has begun is only cut off.
func (h *Handler) fail(c *call, err error) {
	told := h.tell(c, err)
	if c.streamed {
		return
	}
	header := c.w.Header()
	header["X-Amzn-Errortype"] = []string{told.Type}
	c.end(c.wire.appendError(h.buf(c), told))
	h.answer(c, told.Code())
}

// tell logs an error and returns what the caller is told. Faults of the server's own are logged whole, as errors; what a
// caller did wrong only for who debugs.
func (h *Handler) tell(c *call, err error) *awsError {
	told, kind := translate(err, c.id)
	c.span.Fail(kind)
	level := slog.LevelDebug
	switch kind {
	case leat.KindInternal, leat.KindCorrupt, leat.KindUnknownOutcome:
		level = slog.LevelError
	}
	h.log.Log(context.WithoutCancel(c.r.Context()), level, "request failed",
		"operation", c.operation, "request_id", c.id, "type", told.Type, "status", told.Code(), "error", err)
	return told
}
