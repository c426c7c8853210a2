// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"errors"
	"os"
	"syscall"

	"github.com/leatstream/leat/internal/directio"
)

// logFile is one file of a log. It is read through f and, while it is the last one of a live log, written through
// direct where the file system has that: what was just written is in the tail's memory and is seldom read back.
type logFile struct {
	f      *os.File
	direct *os.File // nil: written through f
	first  uint64   // number of its first segment
	size   int64
}

// write puts bytes from directio.Buffer at a multiple of framePage. Repeating it with the same bytes is harmless.
func (lf *logFile) write(io fileIO, b []byte, off int64) error {
	if lf.direct != nil {
		_, err := io.write(lf.direct, b, off)
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
		// The file system wants larger pages than ours: from now on through the cache.
		if err := lf.endDirect(); err != nil {
			return err
		}
	}
	_, err := io.write(lf.f, b, off)
	return err
}

// endDirect lets go of the second handle.
func (lf *logFile) endDirect() error {
	err := closeIf(lf.direct)
	lf.direct = nil
	return err
}

func closeIf(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

func (lf *logFile) close() error { return errors.Join(lf.endDirect(), lf.f.Close()) }

// openDirect opens a log file once more, for direct writes; nil where there are none.
func openDirect(name string) (*os.File, error) { return directio.Open(name, os.O_WRONLY, 0) }
