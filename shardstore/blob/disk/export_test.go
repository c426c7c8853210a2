// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import "os"

// Step names a call to the file system that Fail can make fail.
type Step string

// The steps of a Create.
const (
	StepWrite      Step = "write"
	StepSyncFile   Step = "sync file"
	StepSyncFolder Step = "sync folder"
)

// Fail has hook decide about each step before it is done. A write that fails
// still leaves half of its bytes, as a full disk does.
func (s *Store) Fail(hook func(Step) error) {
	s.io.write = func(f *os.File, b []byte) (int, error) {
		if err := hook(StepWrite); err != nil {
			n, _ := f.Write(b[:len(b)/2])
			return n, err
		}
		return f.Write(b)
	}
	sync := func(step Step) func(*os.File) error {
		return func(f *os.File) error {
			if err := hook(step); err != nil {
				return err
			}
			return f.Sync()
		}
	}
	s.io.syncFile, s.io.syncFolder = sync(StepSyncFile), sync(StepSyncFolder)
}

// Tmp is the Store's folder for temporary files.
func (s *Store) Tmp() string { return s.tmp.path }
