// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leatstream/leat/server/delivery/spec"
)

// The scanner takes what encoding/json takes, one text or several, and nothing else; lines say what the record said.
func FuzzJSONLines(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e-3,true,null,"x\u00e9\n"]}`, `1 2`, `{}{}`, ` [ ] `, `"\ud83d\ude00"`, `-0`, `01`, `{"a":1,}`, `[`, `"`, "\xff", `{"a" : {"b":[[]]}}`,
		strings.Repeat("[", 600) + strings.Repeat("]", 600), `tru`, `nulll`, `1.`, `1e+`, `"\u12"`,
	} {
		f.Add([]byte(s))
	}
	open := maker(f, spec.Format{Kind: spec.JSONLines}, spec.None)
	f.Fuzz(func(t *testing.T, data []byte) {
		var got bytes.Buffer
		e, err := open(&got)
		if err != nil {
			t.Fatal(err)
		}
		err = e.Add(data)
		want, ok := reference(data)
		if _, unfit := errors.AsType[*spec.Unfit](err); unfit == ok || err != nil && !unfit {
			if deep(data) {
				return
			}
			t.Fatalf("%q: %v, encoding/json says %v", data, err, ok)
		}
		if ok && got.String() != want {
			t.Fatalf("%q: got %q, encoding/json says %q", data, got.String(), want)
		}
		if !ok && got.Len() > 0 {
			t.Fatalf("%q left %q", data, got.String())
		}
	})
}

// reference is encoding/json's view of a record.
func reference(data []byte) (lines string, ok bool) {
	if !utf8.Valid(data) || len(bytes.TrimSpace(data)) == 0 {
		return "", false
	}
	var b bytes.Buffer
	d := json.NewDecoder(bytes.NewReader(data))
	for last := int64(0); ; {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return b.String(), true
		}
		if err != nil || json.Compact(&b, raw) != nil {
			return "", false
		}
		b.WriteByte('\n')
		// The decoder lets 01 be 0 and 1, and 1true two values.
		if end := d.InputOffset(); last < end {
			if rest := data[end:]; len(rest) > 0 && !bytes.ContainsAny(rest[:1], " \n\r\t{[\"") && !bytes.ContainsAny(raw[len(raw)-1:], "}]\"") {
				return "", false
			}
			last = end
		}
	}
}

// deep tells whether a record is nested deeper than the encoders read.
func deep(data []byte) bool {
	return bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > 512
}

// Whatever comes, the table of a Parquet file stays whole: what was refused leaves no trace, and the file can be made.
func FuzzParquet(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":1}{"b"`, `{"a":"x","a":null}`, `{"\u0061":1.5}`, `[]`, `{"a":{"b":[1]}}`, `{"a":99999999999999999999}`} {
		f.Add([]byte(s), []byte(`{"a":true}`))
	}
	open := maker(f, spec.Format{Kind: spec.ParquetFile}, spec.None)
	given := maker(f, parquet(spec.Parquet{Columns: []spec.Column{{Name: "a", Type: spec.TypeDouble, Optional: true}, {Name: "b", Type: spec.TypeJSON, Optional: true}}}), spec.None)
	f.Fuzz(func(t *testing.T, one, two []byte) {
		for _, open := range []spec.NewEncoder{open, given} {
			build := func(records ...[]byte) (file []byte, kept [][]byte) {
				var b bytes.Buffer
				e, err := open(&b)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					if err := e.Add(r); err == nil {
						kept = append(kept, r)
					} else if _, ok := errors.AsType[*spec.Unfit](err); !ok {
						t.Fatal(err)
					}
				}
				if err := e.Close(); err != nil {
					t.Fatalf("%q: %v", records, err)
				}
				return b.Bytes(), kept
			}
			file, kept := build([]byte(`{"z":1}`), one, two)
			if again, _ := build(kept...); !bytes.Equal(file, again) {
				t.Fatalf("%q: what does not fit leaves a trace", [][]byte{one, two})
			}
		}
	})
}
