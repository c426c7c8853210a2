// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	syncSamples = 50
	syncBytes   = 4 << 10
	slowSync    = 10 * time.Millisecond
	tooFast     = 15 * time.Microsecond
)

// disk times what a put under leat dev waits for: an append and an fsync.
func disk(dir string) (f Finding) {
	f = Finding{Check: "disk fsync", Grade: Bad, Means: "leat dev keeps its records there", Do: "choose a folder that you may write to, with --data-dir"}
	file, err := os.CreateTemp(nearest(dir), ".doctor-*")
	if err != nil {
		f.Found = err.Error()
		return f
	}
	defer func() {
		if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
			f.Grade, f.Found = Warn, err.Error()
		}
	}()
	body := make([]byte, syncBytes)
	times, err := measure(syncSamples, func(int) error {
		if _, err := file.Write(body); err != nil {
			return err
		}
		return file.Sync()
	})
	if err != nil {
		f.Found = err.Error()
		return f
	}
	return judgeSync(times)
}

// nearest is a folder, or the nearest above it that is there: where it will be made.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func judgeSync(t timing) Finding {
	if t.median() < tooFast {
		return Finding{"disk fsync", Warn, t.String(), "no disk is so fast: fsync does nothing here (tmpfs, or a volume without barriers), and what was acknowledged is lost when the machine crashes", "use a folder on a disk"}
	}
	return latency("disk fsync", t, slowSync, "each put of leat dev waits for one, batches share it", "use an SSD; a container's overlay and network folders are slow: mount a volume")
}
