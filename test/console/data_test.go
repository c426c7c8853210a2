// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/sqldb"
)

// hostile is what nobody's page may run.
const hostile = `<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"'` + "`"

func (w *world) putOne(t *testing.T, stream, key string, data []byte) *leatv1.PutRecordResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := w.client.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: stream, PartitionKey: key, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// aggregate is what the Kinesis Producer Library puts.
func aggregate(keys []string, data ...string) []byte {
	var body []byte
	for _, k := range keys {
		body = protowire.AppendString(protowire.AppendTag(body, 1, protowire.BytesType), k)
	}
	for i, d := range data {
		var r []byte
		r = protowire.AppendVarint(protowire.AppendTag(r, 1, protowire.VarintType), uint64(i%len(keys)))
		r = protowire.AppendString(protowire.AppendTag(r, 3, protowire.BytesType), d)
		body = protowire.AppendBytes(protowire.AppendTag(body, 3, protowire.BytesType), r)
	}
	sum := md5.Sum(body)
	return append(append([]byte{0xf3, 0x89, 0x9a, 0xc2}, body...), sum[:]...)
}

func TestData(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 2)
	v := newVisitor(t, w.HTTP)
	const at = "/console/streams/orders/data"
	v.get(at).is(t, 200, "No records here")

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"zipped":"inside"}`))
	_ = z.Close()
	message := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.VarintType), 4711)
	message = protowire.AppendBytes(protowire.AppendTag(message, 9, protowire.BytesType), []byte{0xff, 0xfe})
	for key, data := range map[string][]byte{
		"json": []byte(`{"total":250,"id":"big"}`), "text": []byte("plain words"), "gzip": zipped.Bytes(), "proto": message,
		"kpl": aggregate([]string{"user-a", "user-b"}, `{"n":1}`, `{"n":2}`), "bytes": {0, 1, 2, 0xff, 0xfe}, "hostile": []byte(hostile), "empty": nil,
	} {
		w.putOne(t, "orders", key, data)
	}
	all := v.get(at)
	all.is(t, 200, "JSON", "plain words", "gzip of JSON", "inside", "protobuf, guessed", "7: 4711", "KPL aggregate of 2 records", "user-b", "00 01 02 ff fe", "&lt;script&gt;window.pwned")
	if strings.Contains(all.body, "<script>window") || strings.Contains(all.body, "<img") {
		t.Error("a record's markup is in the page")
	}

	// A record has an address of its own.
	link := regexp.MustCompile(`/console/streams/orders/data/[01]/4[0-9]{55}`).FindAllString(all.body, -1)
	if len(link) != 8 {
		t.Fatalf("%d records have links: want 8", len(link))
	}
	for _, l := range link {
		v.get(l).is(t, 200, "Sequence number", "Partition key")
		raw := v.get(l + "/raw")
		if raw.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(raw.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("raw data comes as %v", raw.Header)
		}
	}
	v.get(link[0][:len(link[0])-1]+"x").is(t, 400, "sequence number")

	// A jq filter chooses and changes.
	q := func(q url.Values) page { return v.get(at + "?" + q.Encode()) }
	p := q(url.Values{"jq": {".total > 100"}})
	p.is(t, 200, "&#34;big&#34;", "left out")
	if strings.Contains(p.body, "plain words") {
		t.Error("the filter lets text through")
	}
	q(url.Values{"jq": {"{only: .id}"}}).is(t, 200, "&#34;only&#34;: &#34;big&#34;")
	q(url.Values{"jq": {".total >"}}).is(t, 400, "The filter is no jq program")
	began := time.Now()
	q(url.Values{"jq": {"def f: f; f"}}).is(t, 200)
	q(url.Values{"jq": {"[range(1e9)] | length"}}).is(t, 200)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("two filters without an end took %s", took)
	}
	// By key: its shard is found, and others' records are left out.
	p = q(url.Values{"key": {"text"}, "from": {"oldest"}})
	p.is(t, 200, "plain words", "Records with the key")
	if strings.Contains(p.body, "pwned") || strings.Contains(p.body, "inside") {
		t.Error("a search by key shows other keys")
	}
	q(url.Values{"from": {"time"}, "time": {"yesterday"}}).is(t, 200, "is no time such as")
	q(url.Values{"from": {"time"}, "time": {"2099-01-01"}}).is(t, 400, "in the future")
	q(url.Values{"from": {"sequence"}, "sequence": {"12"}}).is(t, 400, "is no sequence number")
	q(url.Values{"shard": {"99"}, "from": {"oldest"}}).is(t, 404, "does not exist")
	q(url.Values{"from": {"oldest"}, "at": {"forged"}}).is(t, 400, "not one that this cluster handed out")

	lines := v.get(at + "?download=yes")
	if n := strings.Count(lines.body, "\n"); n != 8 || lines.Header.Get("Content-Type") != "application/x-ndjson; charset=utf-8" {
		t.Errorf("a download has %d lines of %s", n, lines.Header.Get("Content-Type"))
	}
	for line := range strings.Lines(lines.body) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%s is no JSON", line)
		}
	}

	// Pages go on where they ended, without a gap.
	w.create(t, "long", 1)
	for i := range 25 {
		w.putOne(t, "long", "k", fmt.Appendf(nil, "record-%02d", i))
	}
	seen, next := "", "/console/streams/long/data?from=oldest&limit=10"
	more := regexp.MustCompile(`href="(/console/streams/long/data\?[^"]*at=[^"]+)"`)
	for range 4 {
		p := v.get(next)
		seen += p.body
		m := more.FindStringSubmatch(p.body)
		if m == nil {
			break
		}
		next = strings.ReplaceAll(m[1], "&amp;", "&")
	}
	for i := range 25 {
		if n := strings.Count(seen, fmt.Sprintf(">record-%02d<", i)); n != 1 {
			t.Errorf("record %d is on the pages %d times", i, n)
		}
	}
}

func TestPut(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 2)
	v := newVisitor(t, w.HTTP)
	const at = "/console/streams/orders"
	v.get(at+"/which?key=abc").is(t, 200, "abc", "goes to", "shardId-", "191415658344158766168031473277922803570") // MD5 of abc
	p := v.send(at+"/data", at+"/data", url.Values{"key": {"abc"}, "data": {`{"hello":"world"}`}})
	p.is(t, 200, "The record is durable", "&#34;hello&#34;: &#34;world&#34;", "abc")
	v.send(at+"/data", at+"/data", url.Values{"key": {""}, "data": {"x"}}).is(t, 400, "partition key is empty")
	v.send(at+"/data", at+"/data", url.Values{"key": {hostile}, "data": {hostile}}).is(t, 200, "The record is durable", "&lt;script&gt;window.pwned=1")
	v.send(at+"/data", at+"/data", url.Values{"key": {"k"}, "hash": {"-1"}, "data": {"x"}}).is(t, 400, "Invalid ExplicitHashKey")
}

func TestTail(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	follow := func(query string) *bufio.Scanner {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.HTTP+"/console/streams/orders/tail/events?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
			t.Fatalf("%s %s", res.Status, res.Header.Get("Content-Type"))
		}
		return bufio.NewScanner(res.Body)
	}
	type batch struct {
		Records []struct{ Key, Text, Link, Kind string }
		Skipped uint64
		Hidden  int
	}
	// A tail that nobody reads stays open through it all.
	follow("")
	lines, sifted := follow(""), follow("jq="+url.QueryEscape(".n == 77"))
	const many = 5000
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			req := &leatv1.PutRecordsRequest{Stream: "orders"}
			for n := range 100 {
				req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprint("k", n), Data: fmt.Appendf(nil, `{"n":%d,"s":%q}`, n, hostile)})
			}
			if _, err := w.client.Records.PutRecords(ctx, req); err != nil {
				return
			}
		}
	}()
	shown, total := 0, uint64(0)
	for total < many && lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var b batch
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		shown += len(b.Records)
		total += b.Skipped + uint64(len(b.Records))
		for _, r := range b.Records {
			if r.Kind != "JSON" || !strings.Contains(r.Text, "pwned") || !strings.HasPrefix(r.Link, "/console/streams/orders/data/") {
				t.Fatalf("a record is shown as %+v", r)
			}
		}
	}
	if total < many || shown == 0 || shown > many/10 {
		t.Errorf("of %d records %d are shown", total, shown)
	}
	for sifted.Scan() {
		var b batch
		if text, ok := strings.CutPrefix(sifted.Text(), "data: "); ok && json.Unmarshal([]byte(text), &b) == nil && len(b.Records) > 0 {
			for _, r := range b.Records {
				if r.Key != "k77" {
					t.Errorf("the filter lets %s through", r.Key)
				}
			}
			break
		}
	}
}

// What keeps a live tail from following is an event, which is all that script sees of it.
func TestTailsThatFail(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	const at = "/console/streams/orders/tail"
	v.get(at+"?jq="+url.QueryEscape(".n >")).is(t, 400, "The filter is no jq program", `value=".n &gt;"`)
	p := v.get(at + "/events?jq=" + url.QueryEscape(".n >"))
	p.is(t, 200, "event: failed", "The filter is no jq program")
	if got := p.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Errorf("the answer is %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 64 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.HTTP+at+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if !bufio.NewScanner(res.Body).Scan() {
			t.Fatal("a tail says nothing")
		}
	}
	v.get(at+"/events").is(t, 200, "event: failed", "follows 64 streams for people already")
}

// The newest records are those at the end, however much data they are, and older ones follow page by page; those of one key too.
func TestNewestRecords(t *testing.T) {
	w := newWorld(t)
	w.create(t, "large", 1)
	v := newVisitor(t, w.HTTP)
	const many = 25 // of which one read has ten
	for i := range many {
		w.putOne(t, "large", fmt.Sprint("key-", i%2), append(fmt.Appendf(nil, "record-%02d ", i), bytes.Repeat([]byte("x"), 1_000_000)...))
	}
	order := func(q url.Values) string {
		t.Helper()
		return pagesBack(t, v, "large", q)
	}
	if got, want := order(url.Values{}), "24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 09 08 07 06 05 04 03 02 01 00 | "; got != want {
		t.Errorf("the newest of all:\n%s, want\n%s", got, want)
	}
	if got, want := order(url.Values{"shard": {"0"}, "limit": {"13"}}), "24 23 22 21 20 19 18 17 16 15 14 13 12 | 11 10 09 08 07 06 05 04 03 02 01 00 | "; got != want {
		t.Errorf("the newest of a shard:\n%s, want\n%s", got, want)
	}
	if got, want := order(url.Values{"key": {"key-1"}, "limit": {"7"}}), "23 21 19 17 15 13 11 | 09 07 05 03 01 | "; got != want {
		t.Errorf("the newest of a key:\n%s, want\n%s", got, want)
	}
	v.get("/console/streams/large/data?shard=0&before=x").is(t, 400, "is no offset of a shard")
}

// pagesBack are the numbers of a stream's records as its pages show them, from the newest page to the oldest.
func pagesBack(t *testing.T, v *visitor, stream string, q url.Values) (all string) {
	t.Helper()
	for next := "/console/streams/" + stream + "/data?" + q.Encode(); next != ""; {
		p := v.get(next)
		p.is(t, 200)
		for _, m := range regexp.MustCompile(`>record-(\d\d) `).FindAllStringSubmatch(p.body, -1) {
			all += m[1] + " "
		}
		all += "| "
		m := regexp.MustCompile(`href="([^"]+)">Older<`).FindStringSubmatch(p.body)
		if next = ""; m != nil {
			next = html.UnescapeString(m[1])
		}
	}
	return all
}

// Going back ends where records have expired, though what they lie in still stands.
func TestNewestRecordsEndAtExpiredOnes(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"some", "all"} {
		w.create(t, name, 1)
		for i := range 25 {
			w.putOne(t, name, fmt.Sprint("key-", i%2), fmt.Appendf(nil, "record-%02d ", i))
		}
	}
	live := w.arrived(t, "some", 15)
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(w.Dir, "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, some := tx.Exec(`UPDATE streams SET expired_before = $1 WHERE name = 'some'`, live)
		_, all := tx.Exec(`UPDATE streams SET expired_before = $1 WHERE name = 'all'`, live+time.Hour.Microseconds())
		return errors.Join(some, all)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), w.Restart()); err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, w.HTTP)
	for _, tc := range []struct {
		stream string
		q      url.Values
		want   string
	}{
		{"some", url.Values{}, "24 23 22 21 20 19 18 17 16 15 | "},
		{"some", url.Values{"shard": {"0"}, "limit": {"12"}}, "24 23 22 21 20 19 18 17 16 15 | "},
		{"some", url.Values{"shard": {"0"}, "limit": {"7"}}, "24 23 22 21 20 19 18 | 17 16 15 | "},
		{"some", url.Values{"shard": {"0"}, "before": {"9"}}, "| "},
		{"some", url.Values{"key": {"key-0"}, "limit": {"4"}}, "24 22 20 18 | 16 | "},
		{"all", url.Values{}, "| "},
		{"all", url.Values{"shard": {"0"}, "limit": {"7"}}, "| "},
	} {
		if got := pagesBack(t, v, tc.stream, tc.q); got != tc.want {
			t.Errorf("%s, %v:\n%s, want\n%s", tc.stream, tc.q, got, tc.want)
		}
	}
}

// arrived is the time, in microseconds, of the record of a stream's first shard that has so many before it.
func (w *world) arrived(t *testing.T, stream string, before int) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	it, err := w.client.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: stream, ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator()})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetRecords()[before].GetApproximateArrivalUnixMicros()
}

// A filter that is too much for one page goes on where it stopped: no record is passed over undecided.
func TestFiltersGoOnWhereTheyStop(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	const many = 80
	for i := range many {
		w.putOne(t, "orders", "k", fmt.Appendf(nil, `{"n":"record-%02d"}`, i))
	}
	for _, from := range []string{"oldest", "newest"} {
		seen, pages := "", 0
		next := "/console/streams/orders/data?" + url.Values{"from": {from}, "shard": {"0"}, "limit": {"100"}, "jq": {"last(range(100000)) > 0"}}.Encode()
		for ; next != "" && pages < many; pages++ {
			p := v.get(next)
			p.is(t, 200)
			seen += p.body
			m := regexp.MustCompile(`href="([^"]+)">(?:Older|Go on)<`).FindStringSubmatch(p.body)
			if next = ""; m != nil && strings.Contains(p.body, "stopped ") {
				next = html.UnescapeString(m[1])
			}
		}
		for i := range many {
			if n := strings.Count(seen, fmt.Sprintf("record-%02d&#34;", i)); n != 1 {
				t.Errorf("from the %s: record %d is on %d pages of %d", from, i, n, pages)
			}
		}
		t.Logf("from the %s: %d pages", from, pages)
	}
	v.get("/console/streams/orders/data?from=oldest&limit=5&jq="+url.QueryEscape("def f: f; f")).is(t, 200, "of them since the filter takes too many steps")
}

// What a filter makes is measured before it is written: a value that stands in it many times has no bound otherwise.
func TestFiltersMakeLittle(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	w.putOne(t, "orders", "k", []byte(`{"n":1}`))
	v := newVisitor(t, w.HTTP)
	for _, times := range []int{20, 60} {
		p := v.get("/console/streams/orders/data?jq=" + url.QueryEscape(fmt.Sprintf("reduce range(%d) as $i (1; [.,.])", times)))
		p.is(t, 200, "none of them fits")
	}
	v.get("/console/streams/orders/data?jq="+url.QueryEscape(strings.Repeat("[", 400)+strings.Repeat("]", 400))).is(t, 400, "terms in one another")
	// A link or an image of another site starts no filter.
	for _, path := range []string{"/console/streams/orders/data?jq=.", "/console/streams/orders/tail/events"} {
		for _, site := range []string{"cross-site", "same-site"} {
			v.get(path, header("Sec-Fetch-Site", site)).is(t, 403, "came from another site")
		}
	}
	v.get("/console/streams/orders/data?jq=.", header("Sec-Fetch-Site", "same-origin")).is(t, 200, "&#34;n&#34;: 1")
	v.get("/console/streams/orders/data", header("Sec-Fetch-Site", "cross-site")).is(t, 200, "&#34;n&#34;: 1")
}

// A download has each record as it was put.
func TestDownloadsChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	v := newVisitor(t, w.HTTP)
	text, bin := strings.Repeat("<text> & ", 1000), bytes.Repeat([]byte{0, 0xff, 0x80}, 3000)
	w.putOne(t, "orders", "json", []byte(`{"n": 9007199254740993, "f": 1.50, "t": "<b>"}`))
	w.putOne(t, "orders", "text", []byte(text))
	w.putOne(t, "orders", "bin", bin)
	const at = "/console/streams/orders/data?from=oldest&download=yes"
	var lines []struct {
		JSON json.RawMessage
		Text string
		Data []byte
	}
	for dec := json.NewDecoder(strings.NewReader(v.get(at).body)); dec.More(); {
		lines = append(lines, struct {
			JSON json.RawMessage
			Text string
			Data []byte
		}{})
		if err := dec.Decode(&lines[len(lines)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if len(lines) != 3 || string(lines[0].JSON) != `{"n":9007199254740993,"f":1.50,"t":"<b>"}` || lines[1].Text != text || !bytes.Equal(lines[2].Data, bin) {
		t.Errorf("got %.300v", lines)
	}
	if got := v.get(at + "&jq=.n").body; !strings.Contains(got, `"json":9007199254740993`) {
		t.Errorf("a filter makes %s", got)
	}
}
