// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// line is one line of input: a record to be.
type line struct {
	Source string // "stdin" or the file's name
	Number int64  // from 1 in its source
	Index  int64  // from 1 in all sources together
	Data   []byte // without the line feed; owned by the caller
	Long   int64  // length in bytes when it is over the limit; Data is then empty
}

// lineReader reads the lines of files one after the other. A line may be of any length: what is over the limit is
// skipped without being kept, and told by its length. Carriage returns stay, so that data is what the file holds; a last
// line without a line feed counts.
type lineReader struct {
	names []string // files still to open; "-" is stdin
	stdin io.Reader
	limit int // bytes of data at most

	source string
	number int64
	index  int64
	file   io.Closer
	buf    *bufio.Reader
}

// newLineReader reads names in turn, or stdin when there are none.
func newLineReader(names []string, stdin io.Reader, limit int) *lineReader {
	if len(names) == 0 {
		names = []string{"-"}
	}
	return &lineReader{names: names, stdin: stdin, limit: limit}
}

// Next returns the next line, or io.EOF after the last of the last file.
func (r *lineReader) Next() (*line, error) {
	for {
		if r.buf == nil {
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		l, err := r.read()
		if err == nil {
			return l, nil
		}
		if closeErr := r.Close(); errors.Is(err, io.EOF) && closeErr == nil {
			continue
		}
		return nil, fmt.Errorf("reading %s after line %d: %w", r.source, r.number, err)
	}
}

func (r *lineReader) open() error {
	if len(r.names) == 0 {
		return io.EOF
	}
	name := r.names[0]
	r.names, r.number = r.names[1:], 0
	if name == "-" {
		r.source, r.buf = "stdin", bufio.NewReaderSize(r.stdin, 1<<18)
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	r.source, r.file, r.buf = name, f, bufio.NewReaderSize(f, 1<<18)
	return nil
}

// read returns one line; io.EOF when the source has no more.
func (r *lineReader) read() (*line, error) {
	var data []byte
	var size int64
	for {
		part, err := r.buf.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full && (!errors.Is(err, io.EOF) || size+int64(len(part)) == 0) {
			return nil, err
		}
		done := !full
		if done && err == nil {
			part = part[:len(part)-1]
		}
		size += int64(len(part))
		if size <= int64(r.limit) {
			data = append(data, part...)
		} else {
			data = nil
		}
		if done {
			return r.line(data, size), nil
		}
	}
}

func (r *lineReader) line(data []byte, size int64) *line {
	r.number++
	r.index++
	l := &line{Source: r.source, Number: r.number, Index: r.index, Data: data}
	if size > int64(r.limit) {
		l.Data, l.Long = nil, size
	}
	return l
}

// Close closes the file in hand. Next does so by itself at each file's end.
func (r *lineReader) Close() error {
	r.buf = nil
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}
