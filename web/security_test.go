// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// timed is an answer that remembers what time it was given.
type timed struct {
	*httptest.ResponseRecorder
	write, atWrite time.Time // atWrite: what write was when something was written
}

func (t *timed) SetWriteDeadline(at time.Time) error { t.write = at; return nil }

func (t *timed) Write(b []byte) (int, error) {
	t.atWrite = t.write
	return t.ResponseRecorder.Write(b)
}

// hasUntil tells whether a time is at hand.
func hasUntil(at time.Time, d time.Duration) bool { return !at.IsZero() && time.Until(at) <= d }

// An answer has two minutes to be taken in.
func TestNobodyIsWaitedForLong(t *testing.T) {
	c := &Console{cross: http.NewCrossOriginProtection()}
	h := c.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.send(w, r, http.StatusOK, []byte("page")) }))
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, Root+"/signin", strings.NewReader("key=1")))
	if !hasUntil(w.atWrite, answerTime) {
		t.Errorf("the answer has until %v", w.atWrite)
	}
}

// A piece of a live tail has its time, which is over with the piece: over HTTP/2 a time left behind ends a tail on which nothing happens.
func TestTailsLeaveNoTimeBehind(t *testing.T) {
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	tail := &tailing{w: w, out: http.NewResponseController(w)}
	if err := tail.write(": still here\n\n"); err != nil {
		t.Fatal(err)
	}
	if !hasUntil(w.atWrite, tailWrite) {
		t.Errorf("a piece has until %v", w.atWrite)
	}
	if !w.write.IsZero() {
		t.Errorf("the tail ends at %v", w.write)
	}
}
