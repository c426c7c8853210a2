// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"time"
)

// payloads is the pool that every server is fed from, again and again. It is larger than any compressor's window, so that
// its repetition helps none.
type payloads struct {
	data [][]byte
	keys []string // partition keys, for the server that takes them
	sums []uint32 // CRC-32C of data
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newPayloads makes n payloads of size bytes: JSON log lines that compress as such lines do, or noise.
func newPayloads(seed uint64, n, size int, noise bool) *payloads {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &payloads{data: make([][]byte, n), keys: make([]string, n), sums: make([]uint32, n)}
	for i := range p.data {
		if noise {
			p.data[i] = noisy(rng, size)
		} else {
			p.data[i] = logLine(rng, i, size)
		}
		p.keys[i] = fmt.Sprintf("host-%03d", rng.IntN(1000))
		p.sums[i] = crc32.Checksum(p.data[i], castagnoli)
	}
	return p
}

func noisy(rng *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// logLine is a line as a service writes it: the same members every time, ids and numbers that never repeat, words that do.
func logLine(rng *rand.Rand, i, size int) []byte {
	var b bytes.Buffer
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC).Add(time.Duration(i)*1337*time.Microsecond + time.Duration(rng.IntN(1e6)))
	fmt.Fprintf(&b, `{"time":%q,"level":%q,"service":%q,"host":"ip-10-%d-%d-%d","trace_id":"%016x%016x","span_id":"%016x",`,
		at.Format(time.RFC3339Nano), pick(rng, levels), pick(rng, services), rng.IntN(4), rng.IntN(256), rng.IntN(256), rng.Uint64(), rng.Uint64(), rng.Uint64())
	fmt.Fprintf(&b, `"http":{"method":%q,"path":"/v2/%s/%d","status":%d,"bytes":%d,"duration_ms":%.3f,"user_agent":%q},`,
		pick(rng, methods), pick(rng, services), rng.IntN(1e7), 200+100*(rng.IntN(10)/8), rng.IntN(1<<16), rng.ExpFloat64()*40, pick(rng, agents))
	fmt.Fprintf(&b, `"user_id":"u-%08d","message":"`, rng.IntN(1e8))
	for b.Len() < size-2 {
		b.WriteString(pick(rng, words))
		b.WriteByte(' ')
	}
	return append(b.Bytes()[:size-2], '"', '}')
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

var (
	levels   = []string{"info", "info", "info", "info", "debug", "warn", "error"}
	services = []string{"checkout", "catalog", "search", "session", "billing", "gateway", "mailer", "inventory"}
	methods  = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	agents   = []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
		"okhttp/4.12.0", "curl/7.88.1", "Go-http-client/2.0",
	}
	words = []string{
		"request", "served", "from", "cache", "after", "retry", "upstream", "timeout", "while", "reading", "response", "header",
		"connection", "closed", "by", "peer", "payment", "accepted", "order", "queued", "for", "worker", "slow", "query", "took",
		"longer", "than", "expected", "token", "refreshed", "user", "not", "found", "in", "index", "shard", "rebalanced",
	}
)

// deflated is how many times smaller the payloads are after deflate at its fastest.
func (p *payloads) deflated() (float64, error) {
	var in, out int64
	w, err := flate.NewWriter(counting{&out}, flate.BestSpeed)
	if err != nil {
		return 0, err
	}
	for _, b := range p.data[:min(len(p.data), 2048)] {
		n, err := w.Write(b)
		if err != nil {
			return 0, err
		}
		in += int64(n)
	}
	return float64(in) / float64(max(out, 1)), w.Close()
}

type counting struct{ n *int64 }

var _ io.Writer = counting{}

func (c counting) Write(b []byte) (int, error) { *c.n += int64(len(b)); return len(b), nil }
