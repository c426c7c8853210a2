// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package testproc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// janitor waits until its standard input ends, which is when the test binary
// is gone or asks for it, and then removes a folder. It tries for some seconds:
// a server that was just told to end may still be writing.
const janitor = `cat >/dev/null
i=0
while [ -e "$1" ] && [ $i -lt 100 ]; do
	rm -rf -- "$1" 2>/dev/null || sleep 0.1
	i=$((i + 1))
done
! [ -e "$1" ]`

// Dir is a temporary folder that is removed at the latest when the test binary
// has ended, however it ended.
type Dir struct {
	Path string

	once  sync.Once
	sweep *exec.Cmd
	hold  io.Closer // the write end of the janitor's standard input
}

// TempDir makes a folder under [os.TempDir] that only this user can enter.
func TempDir(prefix string) (*Dir, error) {
	path, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	d := &Dir{Path: path, sweep: exec.Command("/bin/sh", "-c", janitor, "janitor", path)}
	d.sweep.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // outlives a Ctrl-C
	if d.hold, err = d.sweep.StdinPipe(); err == nil {
		err = d.sweep.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the janitor of %s: %w", path, err), os.RemoveAll(path))
	}
	return d, nil
}

// Remove removes the folder now and waits until it is gone. It may be called
// twice.
func (d *Dir) Remove() (err error) {
	d.once.Do(func() {
		err = errors.Join(d.hold.Close(), d.sweep.Wait())
		if err != nil {
			err = fmt.Errorf("remove %s: %w", d.Path, err)
		}
	})
	return err
}
