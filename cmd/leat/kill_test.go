// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testproc"
	"github.com/leatstream/leat/server"
)

// serverEnv makes the test binary a server on this data folder and address, so that a test can kill it.
const serverEnv = "LEAT_TEST_SERVER"

// commandEnv makes the test binary the command line leat, for what only a process of its own has.
const commandEnv = "LEAT_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandEnv) != "" {
		main()
	}
	if at := os.Getenv(serverEnv); at != "" {
		dir, address, _ := strings.Cut(at, "|")
		fmt.Fprintln(os.Stderr, serveForEver(dir, address))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveForEver(dir, address string) error {
	s, err := server.Dev(context.Background(), server.DevConfig{
		Common: server.Common{
			HTTPAddr: "127.0.0.1:0", GRPCAddr: address, Region: "us-east-1", ShardLimits: "off",
			PackEvery: time.Second, LogLevel: "error", LogFormat: "text",
		},
		DataDir: dir,
	}, "test")
	if err != nil {
		return err
	}
	return s.Run(context.Background())
}

// process is a server that can be killed and started again at the same address.
type process struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
}

func startProcess(t *testing.T) *process {
	t.Helper()
	port, err := testproc.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := port.Release(); err != nil {
			t.Error(err)
		}
	})
	p := &process{t: t, dir: t.TempDir(), addr: port.Addr()}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), serverEnv+"="+p.dir+"|"+p.addr)
	p.cmd.Stderr = p.t.Output()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be dead
	_ = p.cmd.Wait()
}

// feeder is standard input that calls at some places of its text, in the middle of a line as it may be.
type feeder struct {
	text   string
	at     int
	places []int
	call   func()
}

func (f *feeder) Read(b []byte) (int, error) {
	if f.at == len(f.text) {
		return 0, io.EOF
	}
	if len(f.places) > 0 && f.at >= f.places[0] {
		f.places = f.places[1:]
		f.call()
	}
	n := copy(b[:min(len(b), 4096)], f.text[f.at:])
	f.at += n
	return n, nil
}

// logLines look like those of dpkg: the third column is one of a few words.
func logLines(n int) (lines []string) {
	verbs := []string{"startup", "install", "status", "configure", "trigproc", "upgrade", "remove"}
	for i := range n {
		lines = append(lines, fmt.Sprintf("2026-11-20 %02d:%02d:%02d %s half-installed package-%d:amd64 1.%d-1", i/3600%24, i/60%60, i%60, verbs[i*i%len(verbs)], i/9, i))
	}
	return lines
}

// The walk-through: lines into four shards, kill -9 of the server in the middle, several times, and every line is there
// once and in order per key.
func TestLinesSurviveKill(t *testing.T) {
	p, leatCmd := startLogs(t, 4)
	lines := logLines(60_000)
	text := strings.Join(lines, "\n") + "\n"
	in := &feeder{text: text, places: []int{len(text) / 4, len(text) / 2, len(text) * 3 / 4}, call: func() {
		p.kill() // with batches on their way
		p.start()
	}}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"put", "logs", "--lines", "--key-column", "3"}, &terminal{in: in, out: &out, err: &errs}, nil)
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
	}
	checkLines(t, leatCmd("", "get", "logs", "--from", "trim-horizon", "-o", "json").ok(t), lines)
}

// The server dies and stays away: put says exactly what it has, and what is there is what it says.
func TestLinesGiveUp(t *testing.T) {
	p, leatCmd := startLogs(t, 4)
	text := strings.Join(logLines(40_000), "\n") + "\n"
	in := &feeder{text: text, places: []int{len(text) / 2}, call: func() {
		for range 1000 {
			if strings.Count(leatCmd("", "get", "logs").ok(t), "\n") >= 8*500*2 { // every lane has had an answer
				break
			}
		}
		p.kill()
	}}
	acks := filepath.Join(t.TempDir(), "acks")
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"put", "logs", "--lines", "--key-column", "3", "--retry-for", "200ms", "--ack-log", acks, "-o", "json"}, &terminal{in: in, out: &out, err: &errs}, nil)
	outcome{code, out.String(), errs.String()}.refused(t, 1, "acknowledged", "first failures: stdin line ")
	s := objects[summary](t, out.String())[0]
	if s.Complete || s.Acked == 0 || s.Failed == 0 || s.Acked+s.Failed != s.Read || len(s.Failures) != firstFailures {
		t.Errorf("got %+v", s)
	}
	p.start()
	awaitServer(t, leatCmd)
	there := map[string]bool{}
	for _, r := range objects[recordView](t, leatCmd("", "get", "logs", "-o", "json").ok(t)) {
		there[r.SequenceNumber] = true
	}
	log, err := os.ReadFile(acks)
	if err != nil {
		t.Fatal(err)
	}
	acked := objects[acknowledgement](t, string(log))
	if int64(len(acked)) != s.Acked {
		t.Errorf("the ack log has %d lines, %d were acknowledged", len(acked), s.Acked)
	}
	for _, a := range acked {
		if !there[a.SequenceNumber] {
			t.Fatalf("line %d was acknowledged at %s and is not there", a.Line, a.SequenceNumber)
		}
	}
}

// Ctrl-C: nothing more is read, what is on its way is waited for, and the counts are told.
func TestLinesInterrupted(t *testing.T) {
	_, leatCmd := startLogs(t, 1)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	text := strings.Join(logLines(20_000), "\n")
	in := &feeder{text: text, places: []int{len(text) / 2}, call: interrupt}
	var out, errs bytes.Buffer
	code := run(ctx, []string{"put", "logs", "--lines", "--key-column", "3", "-o", "json"}, &terminal{in: in, out: &out, err: &errs}, nil)
	outcome{code, out.String(), errs.String()}.refused(t, 1, "interrupted before the end of the input")
	s := objects[summary](t, out.String())[0]
	if have := strings.Count(leatCmd("", "get", "logs").ok(t), "\n"); int64(have) != s.Acked || s.Acked+s.Failed != s.Read || s.Acked == 0 || s.Read > 15_000 {
		t.Errorf("%d records are there; got %+v", have, s)
	}
}

// Ctrl-C also ends a command that waits for input, with the counts of what came before.
func TestLinesInterruptedWhileNothingComes(t *testing.T) {
	_, leatCmd := startLogs(t, 1)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	in, input := io.Pipe()
	defer func() { _ = input.Close() }()
	var out, errs bytes.Buffer
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"put", "logs", "--lines", "-o", "json"}, &terminal{in: in, out: &out, err: &errs}, nil)
	}()
	if _, err := io.WriteString(input, "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for strings.Count(leatCmd("", "get", "logs").ok(t), "\n") < 2 {
		<-tick.C
	}
	interrupt()
	select {
	case c := <-code:
		outcome{c, out.String(), errs.String()}.refused(t, 1, "interrupted before the end of the input")
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for input that does not come")
	}
	if s := objects[summary](t, out.String())[0]; s.Acked != 2 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// startLogs starts a server with a stream logs.
func startLogs(t *testing.T, shards int) (*process, func(stdin string, args ...string) outcome) {
	t.Helper()
	p := startProcess(t)
	leatCmd := leatAt(t, p.addr)
	awaitServer(t, leatCmd)
	leatCmd("", "stream", "create", "logs", "--shards", fmt.Sprint(shards)).ok(t)
	return p, leatCmd
}

// awaitServer returns when the server answers.
func awaitServer(t *testing.T, leatCmd func(stdin string, args ...string) outcome) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for leatCmd("", "stream", "list").code != 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server never answered")
		}
	}
}
