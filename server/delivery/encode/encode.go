// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"fmt"
	"io"

	"github.com/leatstream/leat/server/delivery/spec"
)

// New returns what makes the objects of a format and a compression, which MUST have been validated.
func New(f spec.Format, c spec.Compression) (spec.NewEncoder, error) {
	compressors, err := newCompressors(c)
	if err != nil {
		return nil, err
	}
	var open func(io.Writer) (spec.Encoder, error)
	switch f.Kind {
	case spec.Raw, "":
		open = func(w io.Writer) (spec.Encoder, error) { return &raw{w: w}, nil }
	case spec.Delimited:
		delimiter := f.Delimiter
		if delimiter == "" {
			delimiter = "\n"
		}
		open = func(w io.Writer) (spec.Encoder, error) { return &raw{w: w, delimiter: []byte(delimiter)}, nil }
	case spec.JSONLines:
		open = func(w io.Writer) (spec.Encoder, error) { return &jsonLines{w: w}, nil }
	case spec.CSVFormat:
		open = func(w io.Writer) (spec.Encoder, error) { return newCSV(w, f.CSV) }
	case spec.ParquetFile:
		p := spec.Parquet{}
		if f.Parquet != nil {
			p = *f.Parquet
		}
		if open, err = newParquet(p); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("encode: there is no format %q", f.Kind)
	}
	return func(w io.Writer) (spec.Encoder, error) {
		inner, err := compressors.open(w)
		if err != nil {
			return nil, err
		}
		e, err := open(inner)
		if err != nil {
			return nil, err
		}
		return &object{Encoder: e, inner: inner}, nil
	}, nil
}

// object ends the compression after the format.
type object struct {
	spec.Encoder
	inner io.WriteCloser
}

func (o *object) Close() error {
	if err := o.Encoder.Close(); err != nil {
		return err
	}
	return o.inner.Close()
}

// Extension is what names of objects end in, with its dot; empty for what is not compressed and has no form of its own,
// as with Firehose.
func Extension(f spec.FormatKind, c spec.Compression) string {
	if f == spec.ParquetFile {
		return ".parquet"
	}
	switch c {
	case spec.Gzip:
		return ".gz"
	case spec.Zstd:
		return ".zst"
	case spec.Snappy:
		return ".snappy"
	case spec.HadoopSnappy:
		return ".hsnappy"
	case spec.Zip:
		return ".zip"
	}
	return ""
}
