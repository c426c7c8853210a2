// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What is shown of JSON is what json.Indent makes of it, as far as it is shown.
func FuzzIndentedTo(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":[true,null,{}],"c":{"d":"e:,{}[]\\\"\\"}}`, `[]`, `{}`, ` [ ] `, `[[],[{}],{"":[]}]`, `"text"`, ` -1.5e3 `, "{\n\t\"a\" :\r 1 , \"ü\": [ 1 , 2 ] }",
	} {
		f.Add([]byte(s), 1000)
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, src []byte, most int) {
		if !json.Valid(src) || most < 0 {
			return
		}
		src = bytes.TrimSpace(src)
		var want bytes.Buffer
		if err := json.Indent(&want, src, "", "  "); err != nil {
			t.Fatal(err)
		}
		most %= 1 << 16
		got := indentedTo(src, most)
		if want.Len() <= most && !bytes.Equal(got, want.Bytes()) || !bytes.HasPrefix(want.Bytes(), got[:min(len(got), most)]) {
			t.Errorf("%d bytes of\n%s\nare\n%s", most, want.Bytes(), got)
		}
	})
}

// Values that lie deep cost no more than what is shown of them.
func TestDeepRecordsAreShownInLittleMemory(t *testing.T) {
	const depth = 9000
	deep := strings.Repeat("[", depth) + strings.Repeat("1,", 20_000) + "1" + strings.Repeat("]", depth)
	d := decode([]byte(deep), 4096)
	if d.Kind != "JSON" || len(d.Text) != 4096 || !d.Cut {
		t.Errorf("%s of %d bytes", d.Kind, len(d.Text))
	}
	if n := cap(indentedTo([]byte(deep), 4096)); n > 3*4096 {
		t.Errorf("%d bytes were made of it", n)
	}
}
