// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// usual are bodies as SDKs send them, which the fast reader takes; odd are those that it leaves to the general decoder,
// some of them wrong.
var (
	usual = []string{
		`{"Records":[{"Data":"AAEC","PartitionKey":"k"},{"Data":"","PartitionKey":"l","ExplicitHashKey":"17"}],"StreamName":"s"}`,
		"\t{ \"StreamARN\" : \"arn:aws:kinesis:eu-west-1:000000000000:stream\\/s\",\r\n\"Records\" : [ ] } ",
		`{"StreamName":"s","Records":[{"PartitionKey":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\té","Data":"\/\/8="}]}`,
		`{}`,
		`{"Records":[{}]}`,
	}
	odd = []string{
		`{"Records":null}`, `{"Records":[null]}`, `{"Records":{}}`, `{"Records":[[]]}`, `{"Records":[{"Data":1}]}`,
		`{"Other":{"a":[1,2,{"b":"}"}]},"StreamName":"s"}`, `{"StreamName":"a","StreamName":"b"}`,
		`{"Records":[{"Data":"AA==","Data":"AA=="}]}`, `{"Stream\u004eame":"s"}`, `{"streamname":"s"}`,
		`{"Records":[{"Data":"AAE"}]}`, `{"Records":[{"Data":"AB=="}]}`, `{"Records":[{"Data":"A\nA=="}]}`, `{"Records":[{"Data":"A===" }]}`,
		"{\"Records\":[{\"Data\":\"AAAA\nAAA\"}]}", `{"StreamName":"\ud800"}`, `{"StreamName":"\udc00\ud800"}`, "{\"StreamName\":\"\xff\"}",
		"{\"StreamName\":\"\x01\"}", `{"DryRun":true}`, `{} {}`, `{"Records":[`, `{"Records":[{"Data":"`, `[]`, `"x"`, ``, `{`, `{,}`, `{"a":}`,
		`{"Records":[],}`, `{"Records":[{},]}`, strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20),
		`{"Records":[` + strings.Repeat(`{},`, 600) + `{}]}`,
	}
)

// hold compares the fast reader of a wire with the general one: what the one takes the other must take, and read alike.
func hold(t *testing.T, w wire, body []byte) (fast bool) {
	t.Helper()
	sent := bytes.Clone(body)
	var want putRecordsInput
	err := w.decode(bytes.Clone(body), &want)
	m := newPutMemories().get()
	if fast = w.fastPuts(body, m); fast {
		if err != nil {
			t.Fatalf("the fast reader takes what the other refuses with %v", err)
		}
		if d := cmp.Diff(want, m.in); d != "" {
			t.Fatal(d)
		}
		if quick, whole := m.in.check(), check(&m.in); fmt.Sprint(quick) != fmt.Sprint(whole) {
			t.Fatalf("check says %v instead of %v", quick, whole)
		}
	}
	var wantOne putRecordInput
	err = w.decode(bytes.Clone(body), &wantOne)
	m.reset()
	if w.fastPut(body, m) {
		if err != nil {
			t.Fatalf("the fast reader takes a record that the other refuses with %v", err)
		}
		if d := cmp.Diff(wantOne, m.one); d != "" {
			t.Fatal(d)
		}
	}
	if !bytes.Equal(sent, body) {
		t.Fatal("the body was changed")
	}
	return fast
}

func TestFastReaderTakesTheUsual(t *testing.T) {
	for _, body := range usual {
		if !hold(t, jsonWire{}, []byte(body)) {
			t.Errorf("left to the general decoder: %s", body)
		}
		if !hold(t, cborWire{}, asCBOR(t, body)) {
			t.Errorf("left to the general decoder as CBOR: %s", body)
		}
	}
	for _, body := range odd {
		if hold(t, jsonWire{}, []byte(body)) {
			t.Errorf("taken by the fast reader: %s", body)
		}
	}
}

// A body as Java's encoder writes it: nothing has a length in front.
func TestFastReaderTakesOpenLengths(t *testing.T) {
	body := []byte("\xbf\x67Records\x9f\xbf\x64Data\x43\x00\x01\x02\x6cPartitionKey\x61k\xff\xff\x6aStreamName\x61s\xff")
	if !hold(t, cborWire{}, body) {
		t.Error("left to the general decoder")
	}
}

// asCBOR writes a body of puts in CBOR.
func asCBOR(t testing.TB, body string) []byte {
	t.Helper()
	var in putRecordsInput
	if err := (jsonWire{}).decode([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	raw, err := cbor.Marshal(&in)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func FuzzPutJSON(f *testing.F) {
	for _, body := range append(usual, odd...) {
		f.Add([]byte(body))
		f.Add([]byte(strings.ReplaceAll(body, "StreamName", "SequenceNumberForOrdering")))
	}
	f.Add([]byte(`{"StreamName":"s","Data":"AAEC","PartitionKey":"k","ExplicitHashKey":"1","SequenceNumberForOrdering":"49"}`))
	w := jsonWire{}
	f.Fuzz(func(t *testing.T, body []byte) { hold(t, w, body) })
}

func FuzzPutCBOR(f *testing.F) {
	for _, body := range usual {
		f.Add(asCBOR(f, body))
	}
	for _, body := range []string{"\xa1\x67Records\x80", "\xbf\xff", "\xa1\x67Records\x9f\xa0\xff", "\xa1\x67Records\xf6", "\xd9\xd9\xf7\xa0", "\xa1\x41a\x01",
		"\xa1\x6aStreamName\x7f\x61s\xff", "\xa2\x6aStreamName\x61s\x6aStreamName\x61s", "\xa1\x6aStreamName\x61\xff", "\xa1\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { hold(t, cborWire{}, body) })
}

// Every other decoder: nothing panics, and what is decoded is checked without a panic too.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"ConsumerARN":"a","ShardId":"s","StartingPosition":{"Type":"LATEST","Timestamp":1459799926.48},"Limit":1e400}`), false)
	f.Add([]byte(`{"Limit":-9223372036854775809,"Timestamp":-1e18,"StartingPosition":[]}`), false)
	f.Add([]byte("\xa1\x69Timestamp\xc1\x1b\x00\x00\x01\x53\xe3\x8e\x2a\x00"), true)
	f.Fuzz(func(t *testing.T, body []byte, isCBOR bool) {
		var w wire = jsonWire{}
		if isCBOR {
			w = cborWire{}
		}
		for _, in := range []any{&getRecordsInput{}, &getShardIteratorInput{}, &subscribeToShardInput{}} {
			if w.decode(body, in) == nil {
				_ = check(in) // either answer is right: it must come
				if _, err := w.append(nil, in); err != nil {
					t.Errorf("%s cannot be encoded again: %v", body, err)
				}
			}
		}
	})
}

// The text of strings as appendQuoted writes it is what encoding/json reads, and the other way round.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\x00\x1f\x7f", "é😀\u2028", "\xff\xc3", "a\xffb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil || got != string([]rune(s)) {
			t.Errorf("%q became %q, %v", s, got, err)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		text, ok := unescape(nil, raw[1:len(raw)-1])
		var want string
		if err := json.Unmarshal(raw, &want); err != nil || !ok || string(text) != want {
			t.Errorf("%s was read as %q", raw, text)
		}
	})
}

func TestBase64(t *testing.T) {
	for n := range 200 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i*i*7 + n)
		}
		want := "x" + base64.StdEncoding.EncodeToString(data)
		for _, room := range []int{1, 500} {
			if got := appendBase64(append(make([]byte, 0, room), 'x'), data); string(got) != want {
				t.Errorf("%x became %s", data, got)
			}
		}
		got, ok := appendDecoded(append(make([]byte, 0, 300), 'y'), []byte(want[1:]))
		if !ok || !bytes.Equal(got[1:], data) || got[0] != 'y' {
			t.Errorf("%s: %x, %v", want, got, ok)
		}
		for i := range want[1:] { // a wrong character anywhere
			bad := []byte(want[1:])
			bad[i] = "\n-\xff"[i%3]
			if _, ok := appendDecoded(make([]byte, 0, 300), bad); ok {
				t.Errorf("%q was taken", bad)
			}
		}
	}
	for _, bad := range []string{"A", "AA", "AAA", "A===", "AA=A", "=AAA", "AB==", "AAB=", "AA\n=", "AAAA\n\n\n\n", "AA-_", "A A=", "AAAA====", "\xffAAA"} {
		if _, ok := appendDecoded(make([]byte, 0, 64), []byte(bad)); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

// A batch of 500 random records of 1 KiB, read by hand and by the general decoder.
func BenchmarkDecodePutRecords(b *testing.B) {
	var in putRecordsInput
	for i := range 500 {
		data := make([]byte, 1024)
		_, _ = rand.Read(data) // never fails
		key := fmt.Sprint("key-", i)
		in.Records = append(in.Records, putEntry{Data: data, PartitionKey: &key})
	}
	name := "s"
	in.StreamName = &name
	asJSON, err1 := json.Marshal(&in)
	asCBOR, err2 := cbor.Marshal(&in)
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	memories := newPutMemories()
	for _, c := range []struct {
		name string
		wire wire
		body []byte
	}{{"JSON", jsonWire{}, asJSON}, {"CBOR", cborWire{}, asCBOR}} {
		b.Run(c.name+"/by-hand", func(b *testing.B) {
			b.SetBytes(500 * 1024)
			b.ReportAllocs()
			for b.Loop() {
				m := memories.get()
				if !c.wire.fastPuts(c.body, m) || m.in.check() != nil || m.fill() != nil {
					b.Fatal("left to the general decoder")
				}
				memories.put(m)
			}
		})
		b.Run(c.name+"/general", func(b *testing.B) {
			b.SetBytes(500 * 1024)
			b.ReportAllocs()
			for b.Loop() {
				var in putRecordsInput
				if err := c.wire.decode(c.body, &in); err != nil || check(&in) != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
