// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	"github.com/leatstream/leat/internal/testproc"
)

// Node is one server process through all its lives: killed, stopped and started again on the same ports and data. Start,
// Kill, Stop, Freeze and Thaw are for one goroutine; the rest may be called from any.
type Node struct {
	Name  string // for messages
	HTTP  string // 127.0.0.1:port
	GRPC  string // 127.0.0.1:port
	Token string // to call with; empty for none
	// Binary is what Launch runs: Binary(tb) when empty. Another may be named between two lives.
	Binary string

	args []string
	env  []string
	log  string
	proc *testproc.Process
}

// Dev makes a `leat dev` on a data folder. Start starts it.
func Dev(tb testing.TB, name, dataDir string, args ...string) *Node {
	tb.Helper()
	return newNode(tb, name, nil, append([]string{"dev", "--data-dir", dataDir}, args...))
}

// Serve makes a `leat serve` on a backend. Start starts it.
func Serve(tb testing.TB, name string, b *Backend, args ...string) *Node {
	tb.Helper()
	n := newNode(tb, name, b.Env(), append([]string{"serve", "--node", name}, args...))
	n.Token = b.Token
	return n
}

func newNode(tb testing.TB, name string, env, args []string) *Node {
	tb.Helper()
	var ports [2]*testproc.Port
	for i := range ports {
		p, err := testproc.ReservePort()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := p.Release(); err != nil {
				tb.Error(err)
			}
		})
		ports[i] = p
	}
	n := &Node{Name: name, HTTP: ports[0].Addr(), GRPC: ports[1].Addr(), env: env, log: filepath.Join(tb.TempDir(), name+".log")}
	n.args = slices.Concat(args, []string{"--http-addr", n.HTTP, "--grpc-addr", n.GRPC})
	tb.Cleanup(func() {
		if n.proc != nil {
			if err := n.proc.Kill(); err != nil {
				tb.Error(err)
			}
		}
		for _, sign := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if strings.Contains(n.Log(), sign) {
				tb.Errorf("the log of %s has %q", name, sign)
			}
		}
		if tb.Failed() {
			tb.Logf("the log of %s ends with:\n%s", name, telling(n.Log(), 16<<10))
		}
	})
	return n
}

// telling is the end of a log without the lines that a fault writes for each record that was on its way.
func telling(log string, n int) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "kind=UNKNOWN_OUTCOME") {
			b.WriteString(line)
		}
	}
	s := b.String()
	return s[max(0, len(s)-n):]
}

// SetEnv adds to the environment of the processes that are started from now on; the last value of a name counts.
func (n *Node) SetEnv(env ...string) { n.env = slices.Concat(n.env, env) }

// Launch starts the process and does not wait for anything.
func (n *Node) Launch(tb testing.TB) {
	tb.Helper()
	path := n.Binary
	if path == "" {
		path = Binary(tb)
	}
	p, err := testproc.Start(testproc.Config{Name: n.Name, Path: path, Args: n.args, Env: n.env, Log: n.log})
	if err != nil {
		tb.Fatal(err)
	}
	n.proc = p
}

// Start starts the process and waits until it serves. It returns how long that took.
func (n *Node) Start(tb testing.TB) time.Duration {
	tb.Helper()
	Binary(tb) // building it is not part of the start
	began := time.Now()
	n.Launch(tb)
	n.Await(tb)
	return time.Since(began)
}

// Await waits until the node serves.
func (n *Node) Await(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	if err := n.proc.Await(ctx, n.Ready); err != nil {
		tb.Fatal(err)
	}
}

// Running tells whether the process lives.
func (n *Node) Running() bool { return n.proc != nil && n.proc.Running() }

// Pid is the process id of its present life, or its last one.
func (n *Node) Pid() int { return n.proc.Pid() }

// Exit waits for the process to end by itself and returns its exit error, nil for exit status 0.
func (n *Node) Exit(tb testing.TB) error {
	tb.Helper()
	select {
	case <-n.proc.Done():
		return n.proc.Err()
	case <-time.After(Patience):
		tb.Fatalf("%s did not end:\n%s", n.Name, n.Log())
		return nil
	}
}

// Kill ends the process with SIGKILL.
func (n *Node) Kill(tb testing.TB) {
	tb.Helper()
	if err := n.proc.Kill(); err != nil {
		tb.Fatal(err)
	}
}

// Term asks the process to end with SIGTERM and does not wait.
func (n *Node) Term(tb testing.TB) { n.signal(tb, syscall.SIGTERM) }

// Stop ends the process with SIGTERM and fails the test unless it drains and ends with exit status 0.
func (n *Node) Stop(tb testing.TB) {
	tb.Helper()
	n.Term(tb)
	if err := n.Exit(tb); err != nil {
		tb.Fatalf("%s: after SIGTERM: %v\n%s", n.Name, err, n.Log())
	}
}

// Freeze stops the process from running while it keeps its connections (SIGSTOP).
func (n *Node) Freeze(tb testing.TB) { n.signal(tb, syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (n *Node) Thaw(tb testing.TB) { n.signal(tb, syscall.SIGCONT) }

func (n *Node) signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if err := n.proc.Signal(sig); err != nil {
		tb.Fatalf("%s: send %v: %v", n.Name, sig, err)
	}
}

// Log is everything that the process has printed, in all its lives.
func (n *Node) Log() string {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return string(b)
}

// Env is the environment of commands that talk to the node.
func (n *Node) Env() []string {
	env := []string{"LEAT_ENDPOINT=" + n.GRPC}
	if n.Token != "" {
		env = append(env, "LEAT_TOKEN="+n.Token)
	}
	return env
}

// Dial returns a client, which is closed when the test ends.
func (n *Node) Dial(tb testing.TB) *client.Client {
	tb.Helper()
	c, err := client.Dial(n.GRPC, client.WithToken(n.Token))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Ready asks /readyz: nil when the node serves, otherwise what it says.
func (n *Node) Ready(ctx context.Context) error {
	code, body, err := n.get(ctx, "/readyz")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return &NotReady{Code: code, Body: body}
	}
	return nil
}

// NotReady is an answer of /readyz other than 200.
type NotReady struct {
	Code int
	Body string
}

// Error shows the answer.
func (e *NotReady) Error() string { return fmt.Sprintf("readyz says %d: %s", e.Code, e.Body) }

// Reasons reads the reasons out of the answer.
func (e *NotReady) Reasons() []string {
	var answer struct{ Reasons []string }
	if err := json.Unmarshal([]byte(e.Body), &answer); err != nil {
		return nil // an answer without reasons
	}
	return answer.Reasons
}

// Metric reads one value of /metrics, by its name.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	code, body, err := n.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(body, "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s: /metrics (%d) has no %s", n.Name, code, name)
}

func (n *Node) get(ctx context.Context, path string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+path, nil)
	if err != nil {
		return 0, "", err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}
