// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// redisPage is how many entries one XRANGE asks for; more or fewer gain nothing.
const redisPage = 1000

// redisServer is Redis with its append-only file, synced before each acknowledgement.
type redisServer struct {
	daemon
	lanes int
}

func newRedis(path string, lanes int) *redisServer {
	return &redisServer{daemon: daemon{name: "redis", path: path, sig: syscall.SIGTERM}, lanes: lanes}
}

func (r *redisServer) Name() string { return "redis" }

// Ways are sizes of pipelines.
func (r *redisServer) Ways() []string { return []string{"pipelines of 500", "pipelines of 100"} }

func (r *redisServer) Start(ctx context.Context, dir string) error {
	if err := r.reserve(1); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(r.addr(0))
	if err != nil {
		return err
	}
	c := r.client(1)
	defer c.Close()
	return r.run(ctx, dir, []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no",
		"--save", "", "--auto-aof-rewrite-percentage", "0", // neither writes beside the log
	}, func(ctx context.Context) error { return c.Ping(ctx).Err() })
}

func (r *redisServer) client(connections int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: r.addr(0), PoolSize: connections, MaxRetries: -1, Protocol: 2, DisableIdentity: true,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, ReadBufferSize: 128 << 10, WriteBufferSize: 128 << 10,
	})
}

func (r *redisServer) Proof(ctx context.Context) (string, error) {
	c := r.client(1)
	defer c.Close()
	want := map[string]string{"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no", "save": ""}
	for name, value := range want {
		got, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			return "", err
		}
		if got[name] != value {
			return "", fmt.Errorf("redis has %s %q, not %q", name, got[name], value)
		}
	}
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(info, "redis_version:")
	version, _, _ = strings.Cut(version, "\r\n")
	return "Redis " + version + ", appendonly yes, appendfsync always, no snapshots", nil
}

func (r *redisServer) Log(_ context.Context, name string) (log, error) {
	l := &redisLog{client: r.client(64), lanes: make([]string, r.lanes)}
	for i := range l.lanes {
		l.lanes[i] = name + "-" + strconv.Itoa(i)
	}
	return l, nil
}

type redisLog struct {
	client *redis.Client
	lanes  []string // keys of streams
}

func (l *redisLog) Writer(n int) (writer, error) {
	return &redisWriter{client: l.client, lane: l.lanes[n%len(l.lanes)]}, nil
}

func (l *redisLog) Close() error { return l.client.Close() }

func (l *redisLog) Read(ctx context.Context, lane int, see func([]byte)) error {
	from := "-"
	for {
		page, err := l.client.XRangeN(ctx, l.lanes[lane], from, "+", redisPage).Result()
		if err != nil {
			return err
		}
		for _, entry := range page {
			data, ok := entry.Values["d"].(string)
			if !ok {
				return errors.New("redis: an entry without its field")
			}
			see(unsafe.Slice(unsafe.StringData(data), len(data))) // see does not change it
		}
		if len(page) < redisPage {
			return nil
		}
		from = "(" + page[len(page)-1].ID
	}
}

type redisWriter struct {
	client *redis.Client
	lane   string
}

func (w *redisWriter) Close() error { return nil }

func (w *redisWriter) Put(ctx context.Context, p *payloads, i int) error {
	return w.client.Do(ctx, "xadd", w.lane, "*", "d", p.data[i]).Err()
}

func (w *redisWriter) PutBatch(ctx context.Context, way string, p *payloads, i, n int) error {
	size, err := strconv.Atoi(way[strings.LastIndexByte(way, ' ')+1:])
	if err != nil {
		return err
	}
	for ; n > 0; i, n = i+size, n-size {
		if err := w.pipeline(ctx, p.data[i:i+min(size, n)]); err != nil {
			return err
		}
	}
	return nil
}

func (w *redisWriter) pipeline(ctx context.Context, batch [][]byte) error {
	_, err := w.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, b := range batch {
			pipe.Do(ctx, "xadd", w.lane, "*", "d", b)
		}
		return nil
	})
	return err // of the first command that failed
}
