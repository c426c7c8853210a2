// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsConf is the whole configuration: JetStream that syncs what it has written before it acknowledges.
const natsConf = `
listen: %q
http: %q
max_pending: 256MB
jetstream {
  store_dir: %q
  sync_interval: always
}
`

// The ways to put a batch.
const (
	natsAtomic = "atomic batches of 500"
	natsAsync  = "async, 500 in flight"
)

// natsServer is NATS with JetStream on files.
type natsServer struct {
	daemon
	lanes int
}

func newNATS(path string, lanes int) *natsServer {
	return &natsServer{daemon: daemon{name: "nats", path: path, sig: syscall.SIGTERM}, lanes: lanes}
}

func (s *natsServer) Name() string { return "nats" }

func (s *natsServer) Ways() []string { return []string{natsAtomic, natsAsync} }

func (s *natsServer) Start(ctx context.Context, dir string) error {
	if err := s.reserve(2); err != nil {
		return err
	}
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf(natsConf, s.addr(0), s.addr(1), filepath.Join(dir, "jetstream"))
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(conf, []byte(text), 0o600)); err != nil {
		return err
	}
	return s.run(ctx, dir, []string{"--config", conf}, func(ctx context.Context) error {
		nc, err := s.connect()
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		_, err = js.AccountInfo(ctx)
		return err
	})
}

func (s *natsServer) connect() (*nats.Conn, error) {
	return nats.Connect("nats://"+s.addr(0), nats.NoReconnect(), nats.Timeout(5*time.Second))
}

func (s *natsServer) Proof(ctx context.Context) (string, error) {
	var is struct {
		Version   string `json:"version"`
		JetStream struct {
			Config struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr(1)+"/varz", nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, &is); err != nil {
		return "", err
	}
	if !is.JetStream.Config.SyncAlways {
		return "", errors.New("nats does not say sync_always")
	}
	return "NATS " + is.Version + ", JetStream on files, sync_interval always", nil
}

// Log makes a stream for each lane: JetStream orders records within a stream.
func (s *natsServer) Log(ctx context.Context, name string) (log, error) {
	l := &natsLog{server: s}
	nc, js, err := l.open()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	for i := range s.lanes {
		lane := name + "-" + strconv.Itoa(i)
		stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: lane, Subjects: []string{"lane." + lane}, Storage: jetstream.FileStorage, AllowAtomicPublish: true, AllowDirect: true,
		})
		if err != nil {
			return nil, err
		}
		if is := stream.CachedInfo().Config; is.Storage != jetstream.FileStorage || is.PersistMode != jetstream.DefaultPersistMode || !is.AllowAtomicPublish {
			return nil, fmt.Errorf("nats made another stream than it was asked for: %+v", is)
		}
		l.lanes = append(l.lanes, lane)
	}
	return l, nil
}

type natsLog struct {
	server *natsServer
	lanes  []string // names of streams
}

func (l *natsLog) Close() error { return nil }

func (l *natsLog) open() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := l.server.connect()
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(500))
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

// Writer has its own connection: they gain by it.
func (l *natsLog) Writer(n int) (writer, error) {
	nc, js, err := l.open()
	if err != nil {
		return nil, err
	}
	return &natsWriter{nc: nc, js: js, subject: l.subject(n)}, nil
}

// Read follows an ordered push consumer: it was up to twice as fast as an ordered pull consumer.
func (l *natsLog) Read(ctx context.Context, lane int, see func([]byte)) error {
	nc, js, err := l.open()
	if err != nil {
		return err
	}
	defer nc.Close()
	stream, err := js.Stream(ctx, l.lanes[lane])
	if err != nil {
		return err
	}
	left := stream.CachedInfo().State.Msgs
	if left == 0 {
		return nil
	}
	push, err := nc.JetStream() // the newer API has no ordered push consumer
	if err != nil {
		return err
	}
	end := make(chan struct{})
	sub, err := push.Subscribe(l.subject(lane), func(m *nats.Msg) {
		if see(m.Data); left == 1 {
			close(end)
		}
		left--
	}, nats.OrderedConsumer(), nats.DeliverAll())
	if err != nil {
		return err
	}
	select {
	case <-end:
		return sub.Unsubscribe()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *natsLog) subject(lane int) string { return "lane." + l.lanes[lane%len(l.lanes)] }

type natsWriter struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	subject string
	batches int
}

func (w *natsWriter) Close() error { w.nc.Close(); return nil }

func (w *natsWriter) Put(ctx context.Context, p *payloads, i int) error {
	_, err := w.js.Publish(ctx, w.subject, p.data[i])
	return err
}

func (w *natsWriter) PutBatch(ctx context.Context, way string, p *payloads, i, n int) error {
	if way == natsAtomic {
		return w.atomic(ctx, p.data[i:i+n])
	}
	return w.async(ctx, p.data[i:i+n])
}

func (w *natsWriter) async(ctx context.Context, batch [][]byte) error {
	acks := make([]jetstream.PubAckFuture, len(batch))
	for i, b := range batch {
		var err error
		if acks[i], err = w.js.PublishAsync(w.subject, b); err != nil {
			return err
		}
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// atomic publishes a batch as JetStream's ADR-50 says: messages of one id, numbered from 1, the last of which commits. Only
// that one is waited for.
func (w *natsWriter) atomic(ctx context.Context, batch [][]byte) error {
	w.batches++
	id := nats.NewInbox()[len("_INBOX."):] + strconv.Itoa(w.batches)
	ids := []string{id}
	for i, b := range batch[:len(batch)-1] {
		m := &nats.Msg{Subject: w.subject, Data: b, Header: nats.Header{"Nats-Batch-Id": ids, "Nats-Batch-Sequence": {strconv.Itoa(i + 1)}}}
		if err := w.nc.PublishMsg(m); err != nil {
			return err
		}
	}
	reply, err := w.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: w.subject, Data: batch[len(batch)-1], Header: nats.Header{
		"Nats-Batch-Id": ids, "Nats-Batch-Sequence": {strconv.Itoa(len(batch))}, "Nats-Batch-Commit": {"1"},
	}})
	if err != nil {
		return err
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Batch string              `json:"batch"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return err
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Batch != id || ack.Count != len(batch) {
		return fmt.Errorf("nats acknowledged another batch: %s", strings.TrimSpace(string(reply.Data)))
	}
	return nil
}
