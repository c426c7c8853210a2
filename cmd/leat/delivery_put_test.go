// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/api/leattest"
)

// putDelivery makes a delivery stream that takes puts, and puts a record. Its bucket is asked in vain.
func putDelivery(t *testing.T, leatCmd func(string, ...string) outcome) {
	t.Helper()
	leatCmd("", "delivery", "create", "d", "--bucket", "some-bucket", "--s3-endpoint", "http://127.0.0.1:1", "--s3-access-key", "id", "--s3-secret-key", "secret").ok(t)
	eventually(t, "it takes puts", func() bool { return leatCmd("first", "delivery", "put", "d").code == 0 })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// Lines are put though no more come for the time being, and an interruption tells how many were.
func TestDeliveryPutDoesNotWaitForMoreLines(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	putDelivery(t, leatCmd)
	ctx, interrupt := context.WithCancel(t.Context())
	in, lines := io.Pipe()
	defer lines.Close()
	var out, errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"delivery", "put", "d"}, &terminal{in: in, out: &out, err: &errs}, nil)
	}()
	if _, err := io.WriteString(lines, "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both lines are put", func() bool {
		return strings.Contains(leatCmd("", "delivery", "describe", "d", "-o", "json").out, `"tail":"3"`)
	})
	interrupt()
	select {
	case c := <-code:
		if c != exitFailed || out.String() != "2 records put\n" || !strings.Contains(errs.String(), "interrupted before the end of the input: 2 lines were put") {
			t.Errorf("exit %d, %q, %q", c, out.String(), errs.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for input that does not come")
	}
}

// What was put before a batch that fails is told.
func TestDeliveryPutTellsWhatWasPutBefore(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	putDelivery(t, leatCmd)
	input := strings.Repeat("small\n", deliveryPutRecords) + strings.Repeat("x", 1100<<10) + "\n"
	got := leatCmd(input, "delivery", "put", "d")
	got.refused(t, exitFailed, "500 lines were put", "the 1 after them", "1126400 bytes")
	if got.out != "500 records put\n" {
		t.Errorf("output: %q", got.out)
	}
	if got := leatCmd("one\ntwo", "delivery", "put", "d", "-o", "json").ok(t); got != `{"records":2}`+"\n" {
		t.Errorf("JSON: %q", got)
	}
}
