// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/leatstream/leat"
)

// debugCmd is `leat debug`.
type debugCmd struct {
	Bundle bundleCmd `cmd:"" help:"Gather what is needed to understand a server into one file."`
}

// bundleCmd is `leat debug bundle`.
type bundleCmd struct {
	Endpoint  string `name:"endpoint-http" default:"http://127.0.0.1:4567" env:"LEAT_ENDPOINT_HTTP" placeholder:"URL" help:"HTTP address of the server."`
	Token     string `env:"LEAT_TOKEN" placeholder:"TOKEN" help:"Bootstrap token of the server."`
	trust     `embed:""`
	Plaintext bool          `help:"Send the token to another machine without TLS." env:"LEAT_PLAINTEXT" group:"Server"`
	Out       string        `default:"leat-debug.tar.gz" type:"path" placeholder:"FILE" help:"Where to write it; a file that is there is not overwritten."`
	Log       []string      `type:"existingfile" placeholder:"FILE" help:"A log of the server, of which the last 10 MiB go in as they are; may be given more than once."`
	CPU       time.Duration `default:"0s" help:"Profile the processor for so long, up to 1m."`
}

// Help is shown by `leat debug bundle --help`.
func (bundleCmd) Help() string {
	return "Writes a tar.gz with the server's settings (secrets redacted), metrics, readiness with reasons, nodes, stacks of all goroutines and a heap profile; with --cpu a profile of the processor, with --log logs as they are. It holds no records. Names of streams and addresses of machines are in it: look before you pass it on."
}

const (
	bundleWithin  = 30 * time.Second
	bundleLogTail = 10 << 20
	bundleMost    = 64 << 20 // of one part
	bundleCPUMost = time.Minute
)

// Run gathers. A part that cannot be had is told in the bundle and does not keep the rest from being written.
func (c *bundleCmd) Run(ctx context.Context, t *terminal) (err error) {
	base, cl, err := c.http(c.Endpoint)
	if err != nil {
		return err
	}
	if c.Token != "" && base.Scheme != "https" && !c.Plaintext && !loopback(base.Hostname()) {
		return leat.Invalid("endpoint-http", "the token would go to %[1]s in clear: give --endpoint-http https://%[1]s, or --plaintext where the network is encrypted itself", base.Host)
	}
	if c.CPU < 0 || c.CPU > bundleCPUMost {
		return leat.Invalid("cpu", "--cpu %s: give up to %s", c.CPU, bundleCPUMost)
	}
	if _, err := get(ctx, cl, base.String()+"/healthz", "", bundleWithin); err != nil {
		return leat.Errorf(leat.KindUnavailable, "nothing answers at %s: %w", base, err)
	}
	file, err := os.OpenFile(c.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return leat.Invalid("out", "--out %s: %v: give a file that does not exist, in a folder that does", c.Out, err)
	}
	zip := gzip.NewWriter(file)
	b := &bundle{tar: tar.NewWriter(zip), at: time.Now()}
	defer func() {
		for _, end := range []func() error{b.tar.Close, zip.Close, file.Close} {
			if e := end(); err == nil {
				err = e
			}
		}
	}()
	parts := []bundlePart{
		{name: "readyz.json", path: "/readyz"},
		{name: "metrics.txt", path: "/metrics"},
		{name: "config.json", path: "/debug/config", operator: true},
		{name: "nodes.json", path: "/v1/nodes", operator: true},
		{name: "goroutines.txt", path: "/debug/pprof/goroutine?debug=2", operator: true},
		{name: "heap.pprof", path: "/debug/pprof/heap", operator: true},
	}
	if c.CPU > 0 {
		seconds := max(1, int(c.CPU/time.Second))
		parts = append(parts, bundlePart{name: "cpu.pprof", path: fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds), operator: true})
	}
	missing := map[string]string{}
	for _, p := range parts {
		token := ""
		if p.operator {
			token = c.Token
		}
		body, err := get(ctx, cl, base.String()+p.path, token, c.CPU+bundleWithin)
		if err != nil {
			missing[p.name] = err.Error()
		}
		if len(body) == 0 {
			continue
		}
		if err := b.add(p.name, body); err != nil {
			return err
		}
	}
	for i, path := range c.Log {
		body, err := tailOf(path, bundleLogTail)
		if err != nil {
			missing[path] = err.Error()
			continue
		}
		if err := b.add(fmt.Sprintf("log-%d.txt", i+1), body); err != nil {
			return err
		}
	}
	about, err := json.MarshalIndent(map[string]any{"endpoint": base.String(), "at": b.at.UTC(), "cli": version, "missing": missing}, "", "  ")
	if err != nil {
		return err
	}
	if err := b.add("about.json", about); err != nil {
		return err
	}
	for name, why := range missing {
		fmt.Fprintf(t.err, "%s is not in it: %s\n", name, why)
	}
	fmt.Fprintf(t.out, "%s: %s\n", c.Out, plural(b.parts, "part"))
	return nil
}

// bundlePart is something that a server answers with.
type bundlePart struct {
	name, path string
	operator   bool // it takes the operator's token, which nothing else is told
}

// get returns the body of an answer, whatever its status; an error says that the status was not good.
func get(ctx context.Context, cl *http.Client, url, token string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := cl.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, bundleMost))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	}
	return body, err
}

// loopback tells whether what is sent to a host stays on this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

type bundle struct {
	tar   *tar.Writer
	at    time.Time
	parts int
}

func (b *bundle) add(name string, body []byte) error {
	b.parts++
	if err := b.tar.WriteHeader(&tar.Header{Name: "leat-debug/" + name, Mode: 0o600, Size: int64(len(body)), ModTime: b.at}); err != nil {
		return err
	}
	_, err := b.tar.Write(body)
	return err
}

// tailOf returns the end of a file.
func tailOf(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-most), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most))
}
