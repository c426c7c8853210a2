// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Bounds of requests to endpoints.
const (
	defaultHTTPTime = time.Minute
	defaultHTTPData = 1 << 20 // bytes of records in a request
	maxHTTPRecords  = 10_000
	maxHTTPAnswer   = 64 << 20
)

// httpCall asks an endpoint what becomes of records, in the form in which Firehose invokes Lambda functions: records
// {recordId, data in base64, …} in, and {recordId, result Ok | Dropped | ProcessingFailed, data, metadata.partitionKeys}
// out.
//
// An endpoint that cannot be reached, refuses the caller or has trouble of its own (401, 403, 404, 408, 429, 5xx) is an
// error of the whole batch: it is waited for. A request that it calls wrong (other 4xx), and an answer that cannot be
// read, is tried again in halves, so that one record does not fail its neighbours.
type httpCall struct {
	client      *http.Client
	own         bool
	o           *spec.HTTP
	timeout     time.Duration
	data        int
	arn, region string
}

func newHTTPCall(o *Options, t *spec.Transform) *httpCall {
	h := &httpCall{client: o.Client, o: t.HTTP, timeout: time.Duration(t.TimeoutMillis) * time.Millisecond, data: int(t.HTTP.BatchBytes), arn: o.ARN, region: o.Region}
	if h.client == nil {
		h.own = true
		h.client = &http.Client{
			Transport:     http.DefaultTransport.(*http.Transport).Clone(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for this host
		}
	}
	if h.timeout == 0 {
		h.timeout = defaultHTTPTime
	}
	if h.data == 0 {
		h.data = defaultHTTPData
	}
	return h
}

func (h *httpCall) close() error {
	if h.own {
		h.client.CloseIdleConnections()
	}
	return nil
}

func (h *httpCall) apply(ctx context.Context, b *batch, in []item) (out []item, err error) {
	for from := 0; from < len(in); {
		to, size := from, 0
		for to < len(in) && to-from < maxHTTPRecords && (to == from || size+len(in[to].data) <= h.data) {
			size += len(in[to].data)
			to++
		}
		if out, err = h.ask(ctx, b, in[from:to], out); err != nil || b.short {
			return nil, err
		}
		from = to
	}
	return out, nil
}

// ask sends items in one request, or in several smaller ones when that fails because of what is in it.
func (h *httpCall) ask(ctx context.Context, b *batch, in, out []item) ([]item, error) {
	answer, err := h.post(ctx, b, in)
	wrong, ok := errors.AsType[*unusable](err)
	switch {
	case err == nil:
		return answer.take(b, in, out), nil
	case !ok:
		return nil, err
	case len(in) == 1:
		b.fail(&in[0], spec.ProcessingFailed, wrong.code, "%s", wrong.message)
		return out, nil
	}
	half := len(in) / 2
	if out, err = h.ask(ctx, b, in[:half], out); err != nil {
		return nil, err
	}
	return h.ask(ctx, b, in[half:], out)
}

// unusable is an answer that says that something is wrong with the request, or that cannot be read.
type unusable struct{ code, message string }

func (u *unusable) Error() string { return u.message }

type callRequest struct {
	InvocationID string       `json:"invocationId"`
	ARN          string       `json:"deliveryStreamArn"`
	Region       string       `json:"region"`
	Records      []callRecord `json:"records"`
}

type callRecord struct {
	ID       string        `json:"recordId"`
	Arrival  int64         `json:"approximateArrivalTimestamp"` // milliseconds
	Data     []byte        `json:"data"`
	Metadata *callMetadata `json:"kinesisRecordMetadata,omitempty"`
}

type callMetadata struct {
	Sequence     string `json:"sequenceNumber"`
	Subsequence  int    `json:"subsequenceNumber"`
	PartitionKey string `json:"partitionKey"`
	Shard        string `json:"shardId"`
	Arrival      int64  `json:"approximateArrivalTimestamp"`
}

func (h *httpCall) post(ctx context.Context, b *batch, in []item) (*callAnswer, error) {
	q := callRequest{ARN: h.arn, Region: h.region, Records: make([]callRecord, len(in))}
	ids, part := make([]string, len(in)), 0
	for i := range in {
		r := &b.records[in[i].source]
		if i > 0 && in[i-1].source == in[i].source {
			part++
		} else {
			part = 0
		}
		ids[i] = r.Sequence + "-" + strconv.Itoa(in[i].source) + "." + strconv.Itoa(part)
		q.Records[i] = callRecord{
			ID: ids[i], Arrival: r.Time / 1000, Data: in[i].data,
			Metadata: &callMetadata{r.Sequence, part, r.PartitionKey, leat.ShardID(r.Shard), r.Time / 1000},
		}
	}
	q.InvocationID = ids[0] + "+" + strconv.Itoa(len(ids)-1)
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	text, err := h.exchange(ctx, q.InvocationID, body)
	if err != nil {
		return nil, err
	}
	return readAnswer(text, ids)
}

// exchange sends a body and returns the answer's.
func (h *httpCall) exchange(ctx context.Context, id string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	encoding := ""
	if h.o.Gzip {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		body, encoding = z.Bytes(), "gzip"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Firehose-Request-Id", id)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	if h.o.AccessKey != "" {
		r.Header.Set("X-Amz-Firehose-Access-Key", string(h.o.AccessKey))
	}
	if len(h.o.Common) > 0 {
		common, err := json.Marshal(map[string]any{"commonAttributes": h.o.Common})
		if err != nil {
			return nil, err
		}
		r.Header.Set("X-Amz-Firehose-Common-Attributes", string(common))
	}
	a, err := h.client.Do(r)
	if err != nil {
		return nil, leat.Errorf(leat.KindUnavailable, "the transform's endpoint cannot be reached: %w", spec.WithoutURL(err))
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, maxHTTPAnswer+1))
	switch {
	case a.StatusCode >= 500, a.StatusCode == 401, a.StatusCode == 403, a.StatusCode == 404, a.StatusCode == 408, a.StatusCode == 429, a.StatusCode >= 300 && a.StatusCode < 400:
		return nil, leat.Errorf(leat.KindUnavailable, "the transform's endpoint answers %s", a.Status)
	case a.StatusCode != http.StatusOK:
		return nil, &unusable{"Lambda.FunctionError", "the endpoint answers " + a.Status}
	case err != nil:
		return nil, leat.Errorf(leat.KindUnavailable, "the transform's endpoint broke off: %w", err)
	case len(text) > maxHTTPAnswer:
		return nil, &unusable{"Lambda.ResponseTooLarge", fmt.Sprintf("the endpoint's answer is larger than %d bytes", maxHTTPAnswer)}
	}
	return text, nil
}

// callAnswer is what became of each item, in their order.
type callAnswer struct{ records []answered }

type answered struct {
	ID       string `json:"recordId"`
	Result   string `json:"result"`
	Data     []byte `json:"data"`
	Metadata struct {
		Keys map[string]string `json:"partitionKeys"`
	} `json:"metadata"`
}

// readAnswer reads an answer and brings its records into the order of the request.
func readAnswer(text []byte, ids []string) (*callAnswer, error) {
	var a struct {
		Records answers `json:"records"`
	}
	a.Records.most = len(ids) + 1 // one more tells what is wrong
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, &unusable{"Lambda.InvalidReturnFormat", "the endpoint's answer cannot be read: " + err.Error()}
	}
	byID := make(map[string]answered, len(a.Records.all))
	for _, r := range a.Records.all {
		if _, twice := byID[r.ID]; twice {
			return nil, &unusable{"Lambda.DuplicatedRecordId", fmt.Sprintf("the endpoint answers twice for record %q", r.ID)}
		}
		byID[r.ID] = r
	}
	out := &callAnswer{records: make([]answered, len(ids))}
	for i, id := range ids {
		r, ok := byID[id]
		if !ok {
			return nil, &unusable{"Lambda.MissingRecordId", fmt.Sprintf("the endpoint does not answer for record %q", id)}
		}
		out.records[i] = r
		delete(byID, id)
	}
	if len(byID) > 0 {
		return nil, &unusable{"Lambda.InvalidReturnFormat", "the endpoint answers for records that it was not asked about"}
	}
	return out, nil
}

// answers are up to most records of an answer, read one by one: of a few bytes each, there may be millions.
type answers struct {
	most int
	all  []answered
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *answers) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	switch begin, err := d.Token(); {
	case err != nil || begin == nil:
		return err
	case begin != json.Delim('['):
		return errors.New("its records are no array")
	}
	for d.More() {
		if len(a.all) == a.most {
			return errors.New("it has more records than it was asked about")
		}
		var r answered
		if err := d.Decode(&r); err != nil {
			return err
		}
		a.all = append(a.all, r)
	}
	return nil
}

// take sorts items by their results.
func (a *callAnswer) take(b *batch, in, out []item) []item {
	for i := range in {
		r := &a.records[i]
		switch r.Result {
		case "Ok":
			next := in[i]
			next.data = r.Data
			if next.data == nil {
				next.data = []byte{}
			}
			if len(r.Metadata.Keys) > 0 {
				next.lambda = r.Metadata.Keys
			}
			if b.grow(next.source, []item{next}) {
				out = append(out, next)
			}
		case "Dropped":
		case "ProcessingFailed":
			b.fail(&in[i], spec.ProcessingFailed, "Lambda.ProcessingFailedStatus", "the endpoint says that the record failed")
		default:
			b.fail(&in[i], spec.ProcessingFailed, "Lambda.InvalidReturnFormat", "the endpoint answers the result %q, which is none of Ok, Dropped, ProcessingFailed", r.Result)
		}
	}
	return out
}
