// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// resetStream is an HTTP/2 stream that its client resets while an answer is being written: Write gives up, while the
// connection may still be copying what it was given.
type resetStream struct {
	http.ResponseWriter
	given []byte
}

func (w *resetStream) Write(b []byte) (int, error) {
	w.given = b
	return 0, errors.New("http2: stream closed")
}

// Memory that a connection may still be sending holds nothing of later calls: they may be another account's.
func TestAnswersToResetStreamsAreNotUsedAgain(t *testing.T) {
	r := newRig(t, options{})
	r.stream("s", 1)
	post := func(w http.ResponseWriter, operation, body string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", contentJSON)
		req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
		r.handler.ServeHTTP(w, req)
	}
	for range 20 { // the pool keeps a buffer more often than not
		w := &resetStream{ResponseWriter: httptest.NewRecorder()}
		post(w, "DescribeStream", `{"StreamName":"s"}`)
		sent := bytes.Clone(w.given)
		if !bytes.Contains(sent, []byte("StreamARN")) {
			t.Fatalf("sent %q", sent)
		}
		for range 3 {
			post(httptest.NewRecorder(), "ListStreams", `{"ExclusiveStartStreamName":"`+strings.Repeat("z", 100)+`"}`)
		}
		if !bytes.Equal(w.given, sent) {
			t.Fatalf("what was being sent has become %q", w.given)
		}
	}
}
