// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/leatstream/leat/api/leattest"
)

// silent is input of which nothing comes until the end.
type silent struct{ asked, end chan struct{} }

func newSilent() silent { return silent{make(chan struct{}), make(chan struct{})} }

func (s silent) Read([]byte) (int, error) {
	close(s.asked)
	<-s.end
	return 0, io.EOF
}

// Ctrl-C ends a command that waits for its input.
func TestInterruptedWhileItReads(t *testing.T) {
	leatCmd := leatAt(t, leattest.Start(t).Endpoint)
	leatCmd("", "stream", "create", "s", "--shards", "1").ok(t)
	for _, args := range [][]string{{"put", "s"}, {"stream", "policy", "s", "--put", "-"}, {"role", "put", "r", "--policy", "-"}} {
		in := newSilent()
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			<-in.asked
			interrupt()
		}()
		interrupted(ctx, t, args, in)
		close(in.end)
	}
	if got := leatCmd("", "get", "s").ok(t); got != "" {
		t.Errorf("a record was put: %q", got)
	}
}

// And one that asks a person.
func TestInterruptedWhileItAsks(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there is no terminal to be had: ", err)
	}
	defer tty.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt() // before it asks, or while it waits for the answer: it reads in either case
	interrupted(ctx, t, []string{"stream", "delete", "s"}, tty)
}

// interrupted runs a command that ctx ends.
func interrupted(ctx context.Context, t *testing.T, args []string, in io.Reader) {
	t.Helper()
	var out, errs bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, &terminal{in: in, out: &out, err: &errs}, nil) }()
	select {
	case c := <-code:
		if c != exitInterrupted || !bytes.HasSuffix(errs.Bytes(), []byte("leat: interrupted\n")) || out.Len() > 0 {
			t.Errorf("%q: exit %d, %s%s", args, c, errs.String(), out.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%q waits for input that does not come", args)
	}
}
