// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"io"
)

// raw writes records end to end, with a delimiter, if there is one, after those that do not end with it.
type raw struct {
	w         io.Writer
	delimiter []byte
}

func (r *raw) Add(data []byte) error {
	if _, err := r.w.Write(data); err != nil {
		return err
	}
	if len(r.delimiter) == 0 || bytes.HasSuffix(data, r.delimiter) {
		return nil
	}
	_, err := r.w.Write(r.delimiter)
	return err
}

func (r *raw) Close() error { return nil }

// jsonLines writes each JSON text as one line: what is between its tokens goes, numbers and strings stay as they are.
type jsonLines struct {
	w    io.Writer
	line []byte
}

func (j *jsonLines) Add(data []byte) error {
	s, err := texts(data)
	if err != nil {
		return err
	}
	j.line = j.line[:0]
	for !s.done() {
		from := s.i
		v, err := s.value(0)
		if err != nil {
			return unparsed(err)
		}
		j.line = append(appendCompact(j.line, data[from:s.i]), '\n')
		if err := s.next(v); err != nil {
			return err
		}
	}
	_, err = j.w.Write(j.line)
	return err
}

func (j *jsonLines) Close() error { return nil }

// appendCompact appends a JSON text without the white space between its tokens.
func appendCompact(b, text []byte) []byte {
	quoted, from := false, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && c <= ' ':
			b, from = append(b, text[from:i]...), i+1
		}
	}
	return append(b, text[from:]...)
}
