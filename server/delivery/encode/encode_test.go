// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	klauspost "github.com/klauspost/compress/gzip"

	"github.com/leatstream/leat/server/delivery/encode"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Each compression is read back by somebody else's decoder: none of them is by the writer's author.
func TestCompressions(t *testing.T) {
	large := strings.Join(events(20_000), "\n") // more than a block of any of them
	for _, content := range [][]string{nil, {"a"}, {"one\n", "two", large, "end"}} {
		want := strings.Join(content, "")
		for c, read := range map[spec.Compression]func(*testing.T, []byte) ([]byte, error){
			spec.None:         func(_ *testing.T, b []byte) ([]byte, error) { return b, nil },
			spec.Gzip:         gunzip,
			spec.Zip:          unzip,
			spec.Snappy:       func(_ *testing.T, b []byte) ([]byte, error) { return io.ReadAll(snappy.NewReader(bytes.NewReader(b))) },
			spec.HadoopSnappy: func(_ *testing.T, b []byte) ([]byte, error) { return unHadoop(b) },
			spec.Zstd:         unZstd,
		} {
			if c == spec.Zstd && want == "" {
				continue // DuckDB does not read a CSV file of nothing; the frame is covered by the others
			}
			open := maker(t, spec.Format{Kind: spec.Raw}, c)
			data := fits(t, open, content...)
			if got, err := read(t, data); err != nil || string(got) != want {
				t.Errorf("%s of %d bytes: read back %d, %v", c, len(want), len(got), err)
			}
			if again := fits(t, open, content...); !bytes.Equal(data, again) {
				t.Errorf("%s: two objects of the same records differ", c)
			}
			if fresh := fits(t, maker(t, spec.Format{Kind: spec.Raw}, c), content...); !bytes.Equal(data, fresh) {
				t.Errorf("%s: another encoder makes other bytes", c)
			}
		}
	}
}

// gunzip is the standard library's; the writer is klauspost's.
func gunzip(_ *testing.T, b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// unzip is Python's.
func unzip(t *testing.T, b []byte) ([]byte, error) {
	path := filepath.Join(t.TempDir(), "object.zip")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return nil, err
	}
	const script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None and len(z.namelist()) == 1\nsys.stdout.buffer.write(z.read(z.namelist()[0]))"
	return exec.Command("/usr/bin/python3", "-c", script, path).Output()
}

// unZstd is DuckDB's: it reads the lines of a compressed text, which are glued together again.
func unZstd(t *testing.T, b []byte) ([]byte, error) {
	out := query(t, b, `SELECT hex(string_agg(line, chr(10) ORDER BY n)) AS h FROM (SELECT row_number() OVER () AS n, * FROM read_csv(FILE, compression='zstd', columns={'line':'VARCHAR'}, header=false, delim='\x01', quote='', escape='', auto_detect=false, max_line_size=10000000))`)
	var text []byte
	_, err := fmt.Sscanf(out[0], `[{"h":"%x`, &text)
	if err != nil {
		return nil, fmt.Errorf("%.80s: %w", out[0], err)
	}
	return text, nil
}

// unHadoop is the form as Hadoop's BlockDecompressorStream reads it, over golang/snappy.
func unHadoop(b []byte) (out []byte, err error) {
	next := func() (int, error) {
		if len(b) < 4 {
			return 0, errors.New("a length is cut off")
		}
		n := binary.BigEndian.Uint32(b)
		b = b[4:]
		return int(n), nil
	}
	for len(b) > 0 {
		raw, err := next()
		if err != nil {
			return nil, err
		}
		for got := 0; got < raw; {
			n, err := next()
			if err != nil || n > len(b) {
				return nil, fmt.Errorf("a chunk of %d bytes of %d: %w", n, len(b), err)
			}
			chunk, err := snappy.Decode(nil, b[:n])
			if err != nil {
				return nil, err
			}
			out, b, got = append(out, chunk...), b[n:], got+len(chunk)
		}
	}
	return out, nil
}

// The tool that most people have takes the gzip too.
func TestGzipTool(t *testing.T) {
	cmd := exec.Command("/usr/bin/gzip", "-dc")
	cmd.Stdin = bytes.NewReader(fits(t, maker(t, spec.Format{Kind: spec.Delimited}, spec.Gzip), "a", "b\n", "c"))
	if out, err := cmd.Output(); err != nil || string(out) != "a\nb\nc\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestLines(t *testing.T) {
	for _, tc := range []struct {
		about   string
		f       spec.Format
		records []string
		want    string
		unfit   []int
	}{
		{"raw", spec.Format{Kind: spec.Raw}, []string{"a", "", "b\n", "\x00\xff"}, "ab\n\x00\xff", nil},
		{"delimited", spec.Format{Kind: spec.Delimited}, []string{"a", "b\n", "", "\n", "c\n\n"}, "a\nb\n\n\nc\n\n", nil},
		{"another delimiter", spec.Format{Kind: spec.Delimited, Delimiter: "||"}, []string{"a", "b||", "c|"}, "a||b||c|||", nil},
		{"JSON lines", spec.Format{Kind: spec.JSONLines}, []string{`{"a": 1.50, "b": "x y\n\" "}`, "[1,\n 2]\n", `"t"`, " null "}, `{"a":1.50,"b":"x y\n\" "}` + "\n[1,2]\n\"t\"\nnull\n", nil},
		{"several texts in a record", spec.Format{Kind: spec.JSONLines}, []string{"{\"a\":1}{\"a\":2}\n{\"a\":3}"}, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", nil},
		{
			"what is no JSON leaves no trace", spec.Format{Kind: spec.JSONLines}, []string{"1", "", "{", `{"a":1}{"b"`, "\"\xff\"", "01", "tru", "{\"a\" 1}", "[1,]", "\"\\x\"", "\"\x01\"", "1e", "-", "nul", "1true", "2 3[]4"},
			"1\n2\n3\n[]\n4\n", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
		},
		{
			"CSV", spec.Format{Kind: spec.CSVFormat, CSV: &spec.CSV{Columns: []string{"id", "a,b", "c"}, Header: true}},
			[]string{`{"c":true,"id":1,"more":2}`, `{"id":"say \"hi\"","a,b":"x\ny","c":null}{"a,b":{"k": [1, 2]}}`, `{"id":"","c":" x"}`, `[1]`, `{"id":1e400,"\u0069d":-0}`, "{"},
			"id,\"a,b\",c\n1,,true\n\"say \"\"hi\"\"\",\"x\ny\",\n,\"{\"\"k\"\":[1,2]}\",\n\"\",,\" x\"\n-0,,\n", []int{3, 5},
		},
		{"CSV with another separator", spec.Format{Kind: spec.CSVFormat, CSV: &spec.CSV{Columns: []string{"a", "b"}, Separator: "\t"}}, []string{`{"a":"x,y","b":"p\tq"}`}, "x,y\t\"p\tq\"\n", nil},
	} {
		data, unfit := object(t, maker(t, tc.f, spec.None), tc.records...)
		var bad []int
		for i := range tc.records {
			if _, ok := unfit[i]; ok {
				bad = append(bad, i)
			}
		}
		if string(data) != tc.want || !slices.Equal(bad, tc.unfit) {
			t.Errorf("%s: got %q without %v; want %q without %v", tc.about, data, bad, tc.want, tc.unfit)
		}
	}
}

// An unknown format is an error, not something else's.
func TestUnknown(t *testing.T) {
	if _, err := encode.New(spec.Format{Kind: "orc"}, spec.None); err == nil {
		t.Error("there is orc")
	}
	if _, err := encode.New(spec.Format{Kind: spec.Raw}, "rar"); err == nil {
		t.Error("there is rar")
	}
	if _, err := encode.New(spec.Format{Kind: spec.ParquetFile, Parquet: &spec.Parquet{Compression: spec.Zip}}, spec.None); err == nil {
		t.Error("there is zip in Parquet")
	}
}

func TestExtensions(t *testing.T) {
	for _, tc := range []struct {
		f    spec.FormatKind
		c    spec.Compression
		want string
	}{
		{spec.Raw, spec.None, ""}, {spec.JSONLines, spec.Gzip, ".gz"}, {spec.Raw, spec.Zip, ".zip"}, {spec.Raw, spec.Zstd, ".zst"},
		{spec.Raw, spec.Snappy, ".snappy"}, {spec.Raw, spec.HadoopSnappy, ".hsnappy"}, {spec.ParquetFile, spec.None, ".parquet"},
	} {
		if got := encode.Extension(tc.f, tc.c); got != tc.want {
			t.Errorf("%s, %s: %q", tc.f, tc.c, got)
		}
	}
}

// full is a writer that fails once it has taken some bytes.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// A writer's failure comes to light, at the latest at the end.
func TestWriterFails(t *testing.T) {
	for _, f := range []spec.Format{{Kind: spec.Raw}, {Kind: spec.Delimited}, {Kind: spec.JSONLines}, {Kind: spec.CSVFormat, CSV: &spec.CSV{Columns: []string{"id"}}}, {Kind: spec.ParquetFile}} {
		for _, c := range []spec.Compression{spec.None, spec.Gzip, spec.Zstd, spec.Snappy, spec.HadoopSnappy, spec.Zip} {
			if f.Kind == spec.ParquetFile && c != spec.None {
				continue
			}
			e, err := maker(t, f, c)(&full{left: 10})
			for _, r := range events(100) {
				if err == nil {
					err = e.Add([]byte(r))
				}
			}
			if err == nil {
				err = e.Close()
			}
			if err == nil || errors.As(err, new(*spec.Unfit)) {
				t.Errorf("%s, %s: got %v", f.Kind, c, err)
			}
		}
	}
}

// Gzip beside the bare compressor: the ratio is what counts.
func BenchmarkRawGzip(b *testing.B) {
	records := events(10_000)
	var size int64
	for _, r := range records {
		size += int64(len(r)) + 1
	}
	b.Run("delivered", func(b *testing.B) {
		open := maker(b, spec.Format{Kind: spec.Delimited}, spec.Gzip)
		data := make([][]byte, len(records))
		for i, r := range records {
			data[i] = []byte(r)
		}
		b.SetBytes(size)
		for b.Loop() {
			e, err := open(io.Discard)
			for i := 0; err == nil && i < len(data); i++ {
				err = e.Add(data[i])
			}
			if err == nil {
				err = e.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		all := []byte(strings.Join(records, "\n") + "\n")
		w := klauspost.NewWriter(nil)
		b.SetBytes(size)
		for b.Loop() {
			w.Reset(io.Discard)
			if _, err := w.Write(all); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
