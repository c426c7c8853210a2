// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// floor is what the machine itself does at this moment: one writer that appends and waits for fdatasync.
type floor struct {
	Record run // one record at a time
	Batch  run // one batch at a time
}

// measureFloor appends to a file of dir, one record at a time and then one batch at a time, each for d at most.
func measureFloor(dir string, p *payloads, batch int, d time.Duration) (f floor, err error) {
	if f.Record, err = appendSync(dir, p, 1, d); err == nil {
		f.Batch, err = appendSync(dir, p, batch, d)
	}
	return f, err
}

// maxAppend bounds the file.
const maxAppend = 256 << 20

func appendSync(dir string, p *payloads, n int, d time.Duration) (out run, err error) {
	f, err := os.CreateTemp(dir, "floor-")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	var (
		took  []time.Duration
		block []byte
		start = time.Now()
	)
	for i := 0; time.Since(start) < d && out.Bytes < maxAppend; i = (i + n) % (len(p.data) - n) {
		block = block[:0]
		for k := range n {
			block = append(block, p.data[i+k]...)
			out.count(p, i+k)
		}
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return out, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return out, fmt.Errorf("fdatasync %s: %w", f.Name(), err)
		}
		took = append(took, time.Since(began))
	}
	out.Took = time.Since(start)
	out.P50, out.P99 = quantiles(took)
	return out, nil
}

// tmpfs in statfs(2).
const tmpfsMagic = 0x01021994

// onDisk fails for a folder in memory, where a sync costs nothing and proves nothing.
func onDisk(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	if s.Type == tmpfsMagic {
		return fmt.Errorf("%s is in memory: set TMPDIR to a folder on a disk", dir)
	}
	return nil
}
