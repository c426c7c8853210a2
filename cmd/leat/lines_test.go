// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readAll returns the lines as source:number:data, too long ones with their length.
func readAll(t *testing.T, r *lineReader) (out []string) {
	t.Helper()
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Index != int64(len(out)+1) {
			t.Errorf("line %d of all has index %d", len(out)+1, l.Index)
		}
		text := filepath.Base(l.Source) + ":" + count(l.Number) + ":" + string(l.Data)
		if l.Long > 0 {
			text += "<" + count(l.Long) + ">"
		}
		out = append(out, text)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 300_000) // more than the buffer
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		about string
		names []string
		stdin string
		limit int
		want  []string
	}{
		{"nothing", nil, "", 10, nil},
		{"lines, an empty one, and no line feed at the end", nil, "a\n\nb", 10, []string{"stdin:1:a", "stdin:2:", "stdin:3:b"}},
		{"carriage returns are data", nil, "a\r\n", 10, []string{"stdin:1:a\r"}},
		{"just at the limit and beyond", nil, "0123456789\n01234567890\nc\n", 10, []string{"stdin:1:0123456789", "stdin:2:<11>", "stdin:3:c"}},
		{"a long line", nil, long + "\nb\n", 1 << 20, []string{"stdin:1:" + long, "stdin:2:b"}},
		{"a long line that is too long", nil, "a\n" + long, 1000, []string{"stdin:1:a", "stdin:2:<300,000>"}},
		{"files, one of them empty, with stdin between", []string{write("x", "1\n2"), write("empty", ""), "-", write("y", "3\n")}, "in\n", 10, []string{"x:1:1", "x:2:2", "stdin:1:in", "y:1:3"}},
	} {
		got := readAll(t, newLineReader(tc.names, strings.NewReader(tc.stdin), tc.limit))
		if strings.Join(got, "|") != strings.Join(tc.want, "|") {
			t.Errorf("%s: got %.200q, want %.200q", tc.about, got, tc.want)
		}
	}
}

func TestLinesOfAbsentFile(t *testing.T) {
	r := newLineReader([]string{filepath.Join(t.TempDir(), "none")}, nil, 10)
	if _, err := r.Next(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// failing fails after some text.
type failing struct {
	r   io.Reader
	err error
}

func (f failing) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func TestLinesSayWhereReadingFailed(t *testing.T) {
	broken := errors.New("disk on fire")
	r := newLineReader(nil, failing{strings.NewReader("a\nb\nhalf"), broken}, 10)
	for range 2 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, broken) || !strings.Contains(err.Error(), "stdin after line 2") {
		t.Errorf("got %v", err)
	}
}
