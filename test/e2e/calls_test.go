// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// putOne puts one record, once.
func putOne(ctx context.Context, c *client.Client, stream, key string, data []byte) error {
	_, err := c.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: stream, PartitionKey: key, Data: data})
	return err
}

// rest makes one REST call.
func rest(t *testing.T, n *rig.Node, method, path, token, body string) (code int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, string(b)
}
