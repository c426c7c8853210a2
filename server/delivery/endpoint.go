// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/leatstream/leat/server/delivery/spec"
)

// endpoint is an HTTP destination. It speaks Firehose's contract: a POST of {requestId, timestamp, records: [{data}]} with
// X-Amz-Firehose-Protocol-Version, -Request-Id, -Source-Arn, -Access-Key and -Common-Attributes; the answer is 200 with
// the same requestId.
//
// The request id comes from the plan, so a request that is sent again has the id and the records that it had before: an
// endpoint that remembers ids takes each record once. The timestamp is when it was sent, as Firehose's.
type endpoint struct {
	to     *spec.HTTP
	client *http.Client
}

const (
	requestBytes   = 1 << 20 // of records in one request, unless configured
	requestRecords = 10_000
	replyBytes     = 1 << 20
)

func newEndpoint(to *spec.HTTP) *endpoint {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's
	return &endpoint{to: to, client: &http.Client{
		Transport: t, Timeout: 3 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the access key goes nowhere else
	}}
}

func (e *endpoint) close() { e.client.CloseIdleConnections() }

func (e *endpoint) batch() int64 {
	if e.to.BatchBytes > 0 {
		return e.to.BatchBytes
	}
	return requestBytes
}

type firehoseRecord struct {
	Data []byte `json:"data"`
}

type firehoseRequest struct {
	RequestID string           `json:"requestId"`
	Timestamp int64            `json:"timestamp"`
	Records   []firehoseRecord `json:"records"`
}

// send delivers one request.
func (e *endpoint) send(ctx context.Context, arn, id string, now time.Time, records []firehoseRecord) error {
	body, err := json.Marshal(firehoseRequest{RequestID: id, Timestamp: now.UnixMilli(), Records: records})
	if err != nil {
		return err
	}
	if e.to.Gzip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(body)
		if err := errors.Join(err, z.Close()); err != nil {
			return err
		}
		body = b.Bytes()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.to.URL, bytes.NewReader(body))
	if err != nil {
		return spec.WithoutURL(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Amz-Firehose-Protocol-Version", "1.0")
	req.Header.Set("X-Amz-Firehose-Request-Id", id)
	req.Header.Set("X-Amz-Firehose-Source-Arn", arn)
	if e.to.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if e.to.AccessKey != "" {
		req.Header.Set("X-Amz-Firehose-Access-Key", string(e.to.AccessKey))
	}
	if len(e.to.Common) > 0 {
		text, err := json.Marshal(map[string]any{"commonAttributes": e.to.Common})
		if err != nil {
			return err
		}
		req.Header.Set("X-Amz-Firehose-Common-Attributes", string(text))
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("POST %s: %w", spec.WithoutQuery(e.to.URL), spec.WithoutURL(err))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, replyBytes))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("POST %s: %w", spec.WithoutQuery(e.to.URL), spec.WithoutURL(err))
	}
	return e.judge(resp.StatusCode, id, text)
}

// judge tells whether an answer takes the records.
func (e *endpoint) judge(status int, id string, text []byte) error {
	to := spec.WithoutQuery(e.to.URL) // it may have a key in it
	var reply struct {
		RequestID    string `json:"requestId"`
		ErrorMessage string `json:"errorMessage"`
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		return fmt.Errorf("POST %s: status %d and a body that is not the JSON of Firehose's contract", to, status)
	}
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("POST %s: status %d: %.300s", to, status, reply.ErrorMessage)
	case reply.RequestID != id:
		return fmt.Errorf("POST %s: the answer is for request %.64q, not for %s", to, reply.RequestID, id)
	}
	return nil
}

// requestID is a UUID from a plan and what tells the request from others in it.
func requestID(plan, what string) string {
	s := seed(plan, "request "+what)
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80 // version 8: made as its maker likes
	h := hex.EncodeToString(s[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
