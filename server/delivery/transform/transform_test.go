// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/delivery/transform"
)

// pipeline compiles transforms for one test.
func pipeline(tb testing.TB, o transform.Options) *transform.Pipeline {
	tb.Helper()
	p, err := transform.New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

func of(transforms ...spec.Transform) transform.Options {
	return transform.Options{Transforms: transforms, ARN: "arn:aws:firehose:us-east-1:000000000000:deliverystream/d", Region: "us-east-1"}
}

// batch makes records of data.
func batch(data ...string) []spec.Record {
	all := make([]spec.Record, len(data))
	for i, d := range data {
		all[i] = spec.Record{Shard: 3, Sequence: fmt.Sprintf("4%055d", i), Offset: uint64(i), Time: 1_700_000_000_123_456 + int64(i), PartitionKey: fmt.Sprintf("key-%d", i), Data: []byte(d)}
	}
	return all
}

// says writes a result down: what each source became.
func says(r spec.Result) string {
	var b strings.Builder
	for _, o := range r.Outputs {
		fmt.Fprintf(&b, "%d=%s", o.Source, o.Data)
		if o.Query != nil {
			fmt.Fprintf(&b, " q%v", o.Query)
		}
		if o.Lambda != nil {
			fmt.Fprintf(&b, " l%v", o.Lambda)
		}
		b.WriteString("; ")
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "%d!%s %s", f.Source, f.Type, f.Code)
		if f.Data != nil {
			fmt.Fprintf(&b, " of %s", f.Data)
		}
		b.WriteString("; ")
	}
	if r.Dropped != nil {
		fmt.Fprintf(&b, "dropped %v", r.Dropped)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// apply runs a pipeline and checks what holds for each: all records are accounted for, outputs are in order, what came
// in is unchanged.
func apply(tb testing.TB, p *transform.Pipeline, records []spec.Record) spec.Result {
	tb.Helper()
	before := make([]string, len(records))
	for i := range records {
		before[i] = string(records[i].Data)
	}
	r, err := p.Apply(tb.Context(), records, math.MaxInt64)
	if err != nil {
		tb.Fatal(err)
	}
	seen, last := map[int]bool{}, 0
	for _, o := range r.Outputs {
		if o.Source < last {
			tb.Errorf("outputs are out of order")
		}
		last, seen[o.Source] = o.Source, true
	}
	for _, f := range r.Failed {
		seen[f.Source] = true
		if f.Code == "" || f.Message == "" || f.Type == "" || len(f.Message) > 600 {
			tb.Errorf("a failure says %q, %q, %q", f.Type, f.Code, f.Message)
		}
	}
	for _, d := range r.Dropped {
		if seen[d] {
			tb.Errorf("record %d is dropped and not", d)
		}
		seen[d] = true
	}
	for i := range records {
		if !seen[i] {
			tb.Errorf("record %d is nowhere", i)
		}
		if string(records[i].Data) != before[i] {
			tb.Errorf("record %d was changed", i)
		}
	}
	return r
}

// aggregate packs as the KPL does.
func aggregate(parts ...string) string {
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "k")
	for _, p := range parts {
		r := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		r = protowire.AppendBytes(protowire.AppendTag(r, 3, protowire.BytesType), []byte(p))
		m = protowire.AppendBytes(protowire.AppendTag(m, 3, protowire.BytesType), r)
	}
	return seal(m)
}

func seal(m []byte) string {
	sum := md5.Sum(m)
	return "\xf3\x89\x9a\xc2" + string(m) + string(sum[:])
}

func TestSteps(t *testing.T) {
	kpl := spec.Transform{Kind: spec.UnpackKPL}
	jq := func(q string) spec.Transform { return spec.Transform{Kind: spec.JQ, Query: q} }
	keys := func(q string) spec.Transform { return spec.Transform{Kind: spec.PartitionKeys, Query: q} }
	broken := aggregate("a", "b")
	broken = broken[:len(broken)-1] + "x"
	for _, tc := range []struct {
		about string
		steps []spec.Transform
		in    []string
		want  string
	}{
		{"nothing", nil, []string{"a", ""}, "0=a; 1="},
		{"KPL", []spec.Transform{kpl}, []string{"plain", aggregate("one", "two", ""), "\xf3\x89\x9a\xc2", broken[:4]}, "0=plain; 1=one; 1=two; 1=; 2=\xf3\x89\x9a\xc2; 3=\xf3\x89\x9a\xc2"},
		{"KPL with a wrong sum is somebody's record", []spec.Transform{kpl}, []string{broken}, "0=" + broken},
		{"KPL that cannot be unpacked", []spec.Transform{kpl}, []string{seal([]byte("nonsense")), seal(nil), seal([]byte{0x1a, 2, 8, 7})}, "0!processing-failed KPL.Malformed; 1!processing-failed KPL.Malformed; 2!processing-failed KPL.Malformed"},
		{"a part fails with its own bytes", []spec.Transform{kpl, jq(".a")}, []string{aggregate(`{"a":1}`, "x", `{"a":2}`)}, "0=1; 0=2; 0!processing-failed JQProcessing.Error of x"},
		{"jq maps, filters, multiplies", []spec.Transform{jq(`if .n > 1 then {n, m: (.x[]?)} else empty end`)}, []string{`{"n":1}`, `{"n":2,"x":[1,2.50,12345678901234567890]}`, `{"n":3,"x":"s"}`}, `1={"m":1,"n":2}; 1={"m":2.50,"n":2}; 1={"m":12345678901234567890,"n":2}; dropped [0 2]`},
		{"jq over several texts", []spec.Transform{jq(".")}, []string{"{\"a\":1}{\"a\":2}\n3"}, `0={"a":1}; 0={"a":2}; 0=3`},
		{"jq fails", []spec.Transform{jq(".a.b")}, []string{`{"a":1}`, "", "{", "\"\xff\"", `{"a":{"b":1}}`}, "4=1; 0!processing-failed JQProcessing.Error; 1!processing-failed JQProcessing.Error; 2!processing-failed JQProcessing.Error; 3!processing-failed JQProcessing.Error"},
		{"jq that fails late leaves nothing", []spec.Transform{jq(`1, 2, error("no")`)}, []string{`0`}, "0!processing-failed JQProcessing.Error"},
		{"jq that never ends", []spec.Transform{jq(`if . == 1 then last(repeat(1)) else . end`)}, []string{"0", "1"}, "0=0; 1!processing-failed JQProcessing.Error"},
		{"jq that never stops answering", []spec.Transform{jq(`range(1e9)`)}, []string{"0"}, "0!processing-failed JQProcessing.Error"},
		{"jq's variables", []spec.Transform{jq(`[$arrival, $partition_key, $sequence_number, env, $ENV]`)}, []string{"0"}, `0=[1700000000.123456,"key-0","` + fmt.Sprintf("4%055d", 0) + `",{},{}]`},
		{"partition keys", []spec.Transform{keys(`{user, n: .n, ok: true}`)}, []string{`{"user":"u","n":1.50}`, `{"user":null,"n":1}`, `{"user":"","n":1}`, `{"user":["a"],"n":1}`, `[]`, "x"}, `0={"user":"u","n":1.50} qmap[n:1.50 ok:true user:u]; 1!partitioning-failed DynamicPartitioning.MetadataExtractionFailed; 2!partitioning-failed DynamicPartitioning.MetadataExtractionFailed; 3!partitioning-failed DynamicPartitioning.MetadataExtractionFailed; 4!partitioning-failed DynamicPartitioning.MetadataExtractionFailed; 5!partitioning-failed DynamicPartitioning.MetadataExtractionFailed`},
		{"partition keys, none or two", []spec.Transform{keys(`if .n then ({a:1},{a:2}) else empty end`)}, []string{`{"n":1}`, `{}`}, `0!partitioning-failed DynamicPartitioning.MetadataExtractionFailed; 1!partitioning-failed DynamicPartitioning.MetadataExtractionFailed`},
		{"keys stay with what is made later", []spec.Transform{keys("{u}"), jq(".v[]")}, []string{`{"u":"x","v":[1,2]}`}, "0=1 qmap[u:x]; 0=2 qmap[u:x]"},
	} {
		p := pipeline(t, of(tc.steps...))
		got := says(apply(t, p, batch(tc.in...)))
		if got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.about, got, tc.want)
		}
		if again := says(apply(t, p, batch(tc.in...))); again != got {
			t.Errorf("%s: another time it is %s", tc.about, again)
		}
	}
}

// Compressors here are not by the author of the decompressors.
func TestDecompress(t *testing.T) {
	tool := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader("hello hello hello")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(name, err)
		}
		return string(out)
	}
	gz := tool("/usr/bin/gzip", "-c")
	var framed bytes.Buffer
	w := snappy.NewBufferedWriter(&framed)
	if _, err := io.WriteString(w, "hello hello hello"); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	bomb := exec.Command("/bin/sh", "-c", "head -c 70000000 /dev/zero | gzip -c")
	large, err := bomb.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		kind spec.Compression
		in   []string
		want string
	}{
		{"", []string{gz, framed.String(), "plain", ""}, "0=hello hello hello; 1=hello hello hello; 2=plain; 3="},
		{spec.Gzip, []string{gz + gz, "plain", gz[:len(gz)-1], string(large)}, "0=hello hello hellohello hello hello; 1!processing-failed Decompression.Error; 2!processing-failed Decompression.Error; 3!processing-failed Decompression.Error"},
		{spec.Snappy, []string{framed.String(), framed.String()[:20], gz}, "0=hello hello hello; 1!processing-failed Decompression.Error; 2!processing-failed Decompression.Error"},
		{spec.Zstd, []string{zstdHello, zstdHello[:12], gz}, "0=hello hello hello; 1!processing-failed Decompression.Error; 2!processing-failed Decompression.Error"},
	} {
		if got := says(apply(t, pipeline(t, of(spec.Transform{Kind: spec.Decompress, Compression: tc.kind})), batch(tc.in...))); got != tc.want {
			t.Errorf("%s:\ngot  %.300s\nwant %s", tc.kind, got, tc.want)
		}
	}
}

// zstdHello is "hello hello hello" by zstd(1).
const zstdHello = "\x28\xb5\x2f\xfd\x04\x58\x65\x00\x00\x30\x68\x65\x6c\x6c\x6f\x20\x01\x00\x31\x4a\x11\xa2\xed\x1e\x0c"

// What cannot be compiled, or is not the record's alone, is refused with the place.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		t     spec.Transform
		field string
		says  string
	}{
		{spec.Transform{Kind: spec.JQ, Query: ".a | nonsense("}, "transforms[1].query", "position"},
		{spec.Transform{Kind: spec.JQ, Query: ".a | nonsense"}, "transforms[1].query", "nonsense"},
		{spec.Transform{Kind: spec.JQ, Query: `{a: "x\(now)"}`}, "transforms[1].query", "uses now"},
		{spec.Transform{Kind: spec.JQ, Query: `def f: input; f`}, "transforms[1].query", "uses input"},
		{spec.Transform{Kind: spec.PartitionKeys, Query: `{a: (.t | localtime | mktime)}`}, "transforms[1].query", "uses localtime"},
		{spec.Transform{Kind: spec.JQ, Query: strings.Repeat("(", 201) + "." + strings.Repeat(")", 201)}, "transforms[1].query", "more than 200 terms"},
		{spec.Transform{Kind: spec.JQ, Query: strings.Repeat(`"\(`, 4000) + "." + strings.Repeat(`)"`, 4000)}, "transforms[1].query", "more than 200 terms"},
		{spec.Transform{Kind: spec.JQ, Query: strings.Repeat("[", 1<<20) + "." + strings.Repeat("]", 1<<20)}, "transforms[1].query", "more than 200 terms"},
		{spec.Transform{Kind: spec.WASM, Module: []byte("no module")}, "transforms[1].module", "module"},
		{spec.Transform{Kind: spec.WASM, Module: []byte("\x00asm\x01\x00\x00\x00")}, "transforms[1].module", "does not export leat_alloc"},
		{spec.Transform{Kind: "xslt"}, "transforms[1].kind", "xslt"},
	} {
		_, err := transform.New(t.Context(), of(spec.Transform{Kind: spec.UnpackKPL}, tc.t))
		e, ok := errors.AsType[*leat.Error](err)
		if !ok || e.Kind != leat.KindInvalidArgument || e.Field != tc.field || !strings.Contains(e.Message, tc.says) {
			t.Errorf("%s %s: got %v, want %s and %q", tc.t.Kind, tc.t.Query, err, tc.field, tc.says)
		}
	}
	pipeline(t, of(spec.Transform{Kind: spec.JQ, Query: `{now: .now, "input": 1, now2: $arrival}`})) // names of members are no calls
	for _, query := range []string{
		strings.Repeat("(", 199) + "." + strings.Repeat(")", 199), strings.Repeat(".a | ", 3000) + ".", strings.Repeat("1 + ", 3000) + "1",
		`"` + strings.Repeat("(", 10_000) + `" # ` + strings.Repeat("[", 1000),
	} {
		pipeline(t, of(spec.Transform{Kind: spec.JQ, Query: query}))
	}
}

// A caller that goes away ends jq; nothing is decided then.
func TestCanceled(t *testing.T) {
	p := pipeline(t, of(spec.Transform{Kind: spec.JQ, Query: "."}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Apply(ctx, batch("1", "2"), math.MaxInt64); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// endpoint answers as a test says, and keeps what it was asked.
type endpoint struct {
	*httptest.Server
	mu   sync.Mutex
	got  []asked
	head http.Header
}

type asked struct {
	InvocationID string `json:"invocationId"`
	ARN          string `json:"deliveryStreamArn"`
	Region       string `json:"region"`
	Records      []struct {
		ID       string `json:"recordId"`
		Arrival  int64  `json:"approximateArrivalTimestamp"`
		Data     []byte `json:"data"`
		Metadata struct {
			Sequence     string `json:"sequenceNumber"`
			PartitionKey string `json:"partitionKey"`
			Shard        string `json:"shardId"`
		} `json:"kinesisRecordMetadata"`
	} `json:"records"`
}

func newEndpoint(t *testing.T, answer func(w http.ResponseWriter, q *asked)) *endpoint {
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q asked
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		e.mu.Lock()
		e.got, e.head = append(e.got, q), r.Header
		e.mu.Unlock()
		answer(w, &q)
	}))
	t.Cleanup(e.Close)
	return e
}

func call(url string, more ...func(*spec.HTTP)) spec.Transform {
	h := &spec.HTTP{URL: url}
	for _, m := range more {
		m(h)
	}
	return spec.Transform{Kind: spec.HTTPCall, HTTP: h}
}

// sort answers by what is in the records, as a Lambda function of Firehose would.
func sort(w http.ResponseWriter, q *asked) {
	type record map[string]any
	var out []record
	for i := range q.Records {
		r := q.Records[len(q.Records)-1-i] // the order is the endpoint's
		switch data := string(r.Data); data {
		case "drop":
			out = append(out, record{"recordId": r.ID, "result": "Dropped"})
		case "fail":
			out = append(out, record{"recordId": r.ID, "result": "ProcessingFailed"})
		case "odd":
			out = append(out, record{"recordId": r.ID, "result": "Maybe"})
		case "missing":
		case "twice":
			out = append(out, record{"recordId": r.ID, "result": "Ok"}, record{"recordId": r.ID, "result": "Ok"})
		default:
			out = append(out, record{"recordId": r.ID, "result": "Ok", "data": []byte(strings.ToUpper(data)), "metadata": record{"partitionKeys": map[string]string{"len": fmt.Sprint(len(data))}}})
		}
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"records": out}); err != nil {
		panic(err)
	}
}

func TestHTTP(t *testing.T) {
	e := newEndpoint(t, sort)
	p := pipeline(t, of(spec.Transform{Kind: spec.UnpackKPL}, call(e.URL, func(h *spec.HTTP) { h.AccessKey, h.Common = "secret", map[string]string{"env": "test"} })))
	got := says(apply(t, p, batch("a", "drop", "fail", "odd", aggregate("p", "fail", "qq"), "")))
	want := "0=A lmap[len:1]; 4=P lmap[len:1]; 4=QQ lmap[len:2]; 5= lmap[len:0]; 2!processing-failed Lambda.ProcessingFailedStatus; 3!processing-failed Lambda.InvalidReturnFormat; 4!processing-failed Lambda.ProcessingFailedStatus of fail; dropped [1]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	q := e.got[0]
	r := q.Records[0]
	if len(e.got) != 1 || q.InvocationID == "" || q.ARN == "" || q.Region != "us-east-1" || r.Arrival != 1_700_000_000_123 ||
		r.Metadata.PartitionKey != "key-0" || r.Metadata.Shard != "shardId-000000000003" || len(r.Metadata.Sequence) != 56 {
		t.Errorf("it was asked %+v", q)
	}
	if e.head.Get("X-Amz-Firehose-Access-Key") != "secret" || !strings.Contains(e.head.Get("X-Amz-Firehose-Common-Attributes"), `"env":"test"`) {
		t.Errorf("the headers are %v", e.head)
	}
	// The same batch is asked about in the same words.
	apply(t, p, batch("a", "drop", "fail", "odd", aggregate("p", "fail", "qq"), ""))
	if fmt.Sprint(e.got[0]) != fmt.Sprint(e.got[1]) {
		t.Error("another time it is asked otherwise")
	}
}

// One record that the endpoint cannot answer for does not fail its neighbours.
func TestHTTPHalves(t *testing.T) {
	e := newEndpoint(t, func(w http.ResponseWriter, q *asked) {
		for _, r := range q.Records {
			switch string(r.Data) {
			case "teapot":
				w.WriteHeader(http.StatusTeapot)
				return
			case "garbage":
				fmt.Fprint(w, "<html>")
				return
			}
		}
		sort(w, q)
	})
	p := pipeline(t, of(call(e.URL)))
	got := says(apply(t, p, batch("a", "missing", "b", "twice", "c", "teapot", "garbage", "d")))
	want := "0=A lmap[len:1]; 2=B lmap[len:1]; 4=C lmap[len:1]; 7=D lmap[len:1]; 1!processing-failed Lambda.MissingRecordId; 3!processing-failed Lambda.DuplicatedRecordId; 5!processing-failed Lambda.FunctionError; 6!processing-failed Lambda.InvalidReturnFormat"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An answer of many more records than it was asked about is not taken apart.
func TestHTTPAnswersTooMany(t *testing.T) {
	const n = 2_000_000
	e := newEndpoint(t, func(w http.ResponseWriter, _ *asked) {
		fmt.Fprint(w, `{"records":[`, strings.Repeat("{},", n), `{}]}`)
	})
	p := pipeline(t, of(call(e.URL)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := says(apply(t, p, batch("a"))); got != "0!processing-failed Lambda.InvalidReturnFormat" {
		t.Errorf("got %s", got)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 40 {
		t.Errorf("%d bytes for each record", each)
	}
}

// Requests are bounded by bytes.
func TestHTTPBatches(t *testing.T) {
	e := newEndpoint(t, sort)
	p := pipeline(t, of(call(e.URL, func(h *spec.HTTP) { h.BatchBytes = 64 << 10 })))
	if r := apply(t, p, batch(strings.Repeat("a", 40<<10), strings.Repeat("b", 20<<10), strings.Repeat("c", 70<<10), "d")); len(r.Outputs) != 4 {
		t.Errorf("%d outputs", len(r.Outputs))
	}
	if len(e.got) != 3 || len(e.got[0].Records) != 2 {
		t.Errorf("%d requests", len(e.got))
	}
}

// What will pass is waited for: nothing of the batch is decided.
func TestHTTPDown(t *testing.T) {
	var status atomic.Int32
	e := newEndpoint(t, func(w http.ResponseWriter, q *asked) {
		if s := status.Load(); s != 0 {
			w.WriteHeader(int(s))
			return
		}
		sort(w, q)
	})
	p := pipeline(t, of(call(e.URL)))
	for _, s := range []int32{500, 503, 429, 403, 302} {
		status.Store(s)
		if _, err := p.Apply(t.Context(), batch("a"), math.MaxInt64); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), fmt.Sprint(s)) {
			t.Errorf("%d: got %v", s, err)
		}
	}
	status.Store(0)
	if got := says(apply(t, p, batch("a"))); got != "0=A lmap[len:1]" {
		t.Errorf("got %s", got)
	}
	e.Close()
	p = pipeline(t, of(call(e.URL+"/?key=hunter2")))
	if _, err := p.Apply(t.Context(), batch("a"), math.MaxInt64); leat.KindOf(err) != leat.KindUnavailable || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// module is examples/wasm, built by the ordinary toolchain.
var module = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "leat-wasm")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "transform.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", path, "github.com/leatstream/leat/examples/wasm")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

func wasm(tb testing.TB, change ...func(*spec.Transform)) spec.Transform {
	tb.Helper()
	code, err := module()
	if err != nil {
		tb.Fatal(err)
	}
	s := spec.Transform{Kind: spec.WASM, Module: code, TimeoutMillis: 5000}
	for _, c := range change {
		c(&s)
	}
	return s
}

func TestWASM(t *testing.T) {
	p := pipeline(t, of(spec.Transform{Kind: spec.UnpackKPL}, wasm(t)))
	line := func(level, service string) string { return fmt.Sprintf(`{"level":%q,"service":%q}`, level, service) }
	in := batch(line("info", "a"), line("debug", "a"), "nonsense", line("info", "b")+"\n"+line("debug", "b")+"\n"+line("warn", ""), aggregate(line("info", "c"), "bad"), "")
	got := says(apply(t, p, in))
	want := "0=" + line("info", "a") + " lmap[service:a]; 3=" + line("info", "b") + " lmap[service:b]; 3=" + line("warn", "") + " lmap[service:unknown]; 4=" + line("info", "c") +
		" lmap[service:c]; 2!processing-failed WASM.ProcessingFailed; 4!processing-failed WASM.ProcessingFailed of bad; 5!processing-failed WASM.ProcessingFailed; dropped [1]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if again := says(apply(t, p, in)); again != got {
		t.Errorf("another time it is %s", again)
	}
}

// A module that loops or hoards fails its record, and the next one goes on.
func TestWASMBounds(t *testing.T) {
	for level, change := range map[string]func(*spec.Transform){
		"loop":  func(s *spec.Transform) { s.TimeoutMillis = 1000 },
		"hoard": func(s *spec.Transform) { s.MemoryBytes = 32 << 20 },
	} {
		p := pipeline(t, of(wasm(t, change)))
		got := apply(t, p, batch(`{"level":"info"}`, `{"level":"`+level+`"}`, `{"level":"warn"}`))
		if s := says(got); s != `0={"level":"info"} lmap[service:unknown]; 2={"level":"warn"} lmap[service:unknown]; 1!processing-failed WASM.Error` {
			t.Errorf("%s: got %s", level, s)
		}
	}
}

// A caller that goes away ends a module; nothing is decided then, and the pipeline works on.
func TestWASMCanceled(t *testing.T) {
	p := pipeline(t, of(wasm(t, func(s *spec.Transform) { s.TimeoutMillis = 60_000 })))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := p.Apply(ctx, batch(`{"level":"loop"}`), math.MaxInt64)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := says(apply(t, p, batch(`{"level":"info"}`))); got != `0={"level":"info"} lmap[service:unknown]` {
		t.Errorf("got %s", got)
	}
}

// Pipelines are used by several goroutines.
func TestConcurrent(t *testing.T) {
	p := pipeline(t, of(spec.Transform{Kind: spec.UnpackKPL}, spec.Transform{Kind: spec.Decompress}, spec.Transform{Kind: spec.JQ, Query: "."}, spec.Transform{Kind: spec.PartitionKeys, Query: "{n}"}, wasm(t)))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var in []string
			for i := range 50 {
				in = append(in, fmt.Sprintf(`{"level":"info","n":%d}`, g*1000+i))
			}
			r, err := p.Apply(t.Context(), batch(in...), math.MaxInt64)
			if err != nil || len(r.Outputs) != 50 {
				t.Errorf("%d outputs, %v", len(r.Outputs), err)
				return
			}
			for i, o := range r.Outputs {
				if string(o.Data) != in[i] || o.Query["n"] != fmt.Sprint(g*1000+i) {
					t.Errorf("%s became %s, %v", in[i], o.Data, o.Query)
				}
			}
		})
	}
	wg.Wait()
}

// Whatever bytes come, unpacking gives the record itself, parts of it, or a failure; it does not panic.
func FuzzKPL(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte(aggregate("a", "b")))
	f.Add([]byte(aggregate("a", "b"))[4:20])
	f.Add([]byte{0x1a, 4, 8, 0, 0x1a, 0})
	p := pipeline(f, of(spec.Transform{Kind: spec.UnpackKPL}))
	f.Fuzz(func(t *testing.T, data []byte) {
		// As it is, and as a message with the right frame: no fuzzer finds an MD5.
		r := apply(t, p, batch(string(data), seal(data)))
		size := 0
		for _, o := range r.Outputs {
			if o.Source == 1 {
				size += len(o.Data)
			}
		}
		if size > len(data) {
			t.Fatalf("%d bytes came out of %d", size, len(data))
		}
	})
}

func BenchmarkSteps(b *testing.B) {
	in := make([]string, 1000)
	for i := range in {
		in[i] = fmt.Sprintf(`{"level":"info","service":"s%d","message":"something happened that is worth a line in a log","n":%d}`, i%7, i)
	}
	for name, s := range map[string]spec.Transform{
		"jq":             {Kind: spec.JQ, Query: `select(.n >= 0) | {level, n}`},
		"partition_keys": {Kind: spec.PartitionKeys, Query: `{service}`},
		"wasm":           wasm(b),
	} {
		b.Run(name, func(b *testing.B) {
			p, records := pipeline(b, of(s)), batch(in...)
			for b.Loop() {
				if r, err := p.Apply(b.Context(), records, math.MaxInt64); err != nil || len(r.Outputs) != len(in) {
					b.Fatal(len(r.Outputs), err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(in))/b.Elapsed().Seconds(), "records/s")
		})
	}
	b.Run("unpack_kpl", func(b *testing.B) {
		p, records := pipeline(b, of(spec.Transform{Kind: spec.UnpackKPL})), batch(aggregate(in...))
		for b.Loop() {
			if r, err := p.Apply(b.Context(), records, math.MaxInt64); err != nil || len(r.Outputs) != len(in) {
				b.Fatal(len(r.Outputs), err)
			}
		}
		b.ReportMetric(float64(b.N)*float64(len(in))/b.Elapsed().Seconds(), "records/s")
	})
}
