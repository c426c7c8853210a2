// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/leatstream/leat"
)

// framed writes lines as a backup.
func framed(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := newFrameWriter(&b)
	for _, line := range lines {
		if err == nil {
			err = w.line([]byte(line))
		}
	}
	if err == nil {
		err = w.end()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unframed reads all lines.
func unframed(file []byte) (lines []string, err error) {
	r, err := newFrameReader(bytes.NewReader(file))
	for err == nil {
		var line []byte
		if line, err = r.line(); err == nil {
			lines = append(lines, string(line))
		}
	}
	if errors.Is(err, io.EOF) {
		return lines, nil
	}
	return lines, err
}

func TestFrames(t *testing.T) {
	var want []string
	for i := range 3000 { // more than two frames
		want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", i%2000)))
	}
	for _, lines := range [][]string{nil, {"one"}, want} {
		got, err := unframed(framed(t, lines...))
		if err != nil || strings.Join(got, "\n") != strings.Join(lines, "\n") {
			t.Errorf("%d lines: got %d, %v", len(lines), len(got), err)
		}
	}
}

// Every flipped bit and every cut is found, and so is whatever follows the end.
func TestFramesAreDamaged(t *testing.T) {
	whole := framed(t, "the first line", "the second line")
	refused := func(what string, file []byte) {
		t.Helper()
		if lines, err := unframed(file); leat.KindOf(err) != leat.KindCorrupt && leat.KindOf(err) != leat.KindUnsupported {
			t.Errorf("%s: %q, %v", what, lines, err)
		}
	}
	for i := range whole {
		refused(fmt.Sprintf("cut at %d", i), whole[:i])
		for bit := range 8 {
			spoilt := bytes.Clone(whole)
			spoilt[i] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d", bit, i), spoilt)
		}
	}
	refused("something follows", append(bytes.Clone(whole), 0))
	two := append(bytes.Clone(whole), whole...)
	refused("two backups in one file", two)
	if _, err := unframed([]byte("leat-backup 2\n" + "whatever it may be")); leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "newer leat") {
		t.Errorf("a newer format: %v", err)
	}
}

// A reader is not made to take any amount of memory.
func FuzzFrames(f *testing.F) {
	f.Add(framed(f, "a line"))
	f.Add([]byte(magic + "\xff\xff\xff\x03\x00\x00\x00\x00"))
	f.Fuzz(func(_ *testing.T, file []byte) { _, _ = unframed(file) })
}
