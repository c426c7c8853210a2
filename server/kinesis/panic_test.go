// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/broker"
)

// panicking is an engine that panics while a part of it still reads the puts, as goroutines may.
type panicking struct {
	broker.Engine
	armed bool
	kept  []broker.Put
}

func (e *panicking) Append(ctx context.Context, puts []broker.Put) error {
	if e.armed {
		e.kept = puts
		panic("a fault of the engine")
	}
	return e.Engine.Append(ctx, puts)
}

// After a panic nobody knows who still reads a put: its memory is not used for later calls, which may be another account's.
func TestMemoryIsNotUsedAgainAfterAPanic(t *testing.T) {
	var engine *panicking
	r := newRig(t, options{engine: func(e broker.Engine) broker.Engine {
		engine = &panicking{Engine: e}
		return engine
	}})
	r.stream("s", 1)
	post := func(operation string, in object) int {
		body, err := json.Marshal(in)
		r.must(err)
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
		req.Header.Set("Content-Type", contentJSON)
		req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		return w.Code
	}
	record := func(letter string) object {
		return object{"Data": base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 300))), "PartitionKey": strings.Repeat(letter, 100)}
	}
	for operation, request := range map[string]func(letter string) object{
		"PutRecord": func(letter string) object {
			in := record(letter)
			in["StreamName"] = "s"
			return in
		},
		"PutRecords": func(letter string) object { return object{"StreamName": "s", "Records": []object{record(letter)}} },
	} {
		for range 20 { // the pool keeps memory more often than not
			engine.armed = true
			if code := post(operation, request("a")); code != http.StatusInternalServerError {
				t.Fatalf("%s: a panic is answered with %d", operation, code)
			}
			engine.armed = false
			for range 3 {
				if code := post(operation, request("z")); code != http.StatusOK {
					t.Fatalf("%s: %d", operation, code)
				}
			}
			if got := &engine.kept[0].Record; string(got.Data) != strings.Repeat("a", 300) || got.PartitionKey != strings.Repeat("a", 100) {
				t.Fatalf("%s: what the engine was given has become %q, %q", operation, got.PartitionKey, got.Data)
			}
		}
	}
}
