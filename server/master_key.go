// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/masterkey"
)

// MasterKeys is where an operator keeps master keys: a file, or else their text. Both empty: there are none.
type MasterKeys struct{ File, Text string }

// masterKeys reads what the operator gave; nil when nothing was given. A file that others may read is taken, with a warning: secrets
// of containers are such files, where nobody else is.
func (c *ServeConfig) masterKeys(log *slog.Logger) (*masterkey.Ring, error) {
	ring, err := MasterKeys{File: c.MasterKeyFile, Text: c.MasterKey}.read()
	if err != nil || c.MasterKeyFile == "" {
		return ring, err
	}
	const others = 0o007
	if info, err := os.Stat(c.MasterKeyFile); err == nil && info.Mode().Perm()&others != 0 {
		log.Warn("every user of this machine may read the master key: take that right from the file (chmod o= FILE)", "file", c.MasterKeyFile, "mode", info.Mode().Perm().String())
	}
	return ring, nil
}

func (m MasterKeys) read() (*masterkey.Ring, error) {
	text := []byte(m.Text)
	if m.File != "" {
		var err error
		if text, err = os.ReadFile(filepath.Clean(m.File)); err != nil {
			return nil, bad("master-key-file", m.File, "it cannot be read (%v): give a file that this process may read", err)
		}
	}
	if len(text) == 0 && m.File == "" {
		return nil, nil //nolint:nilnil // a nil Ring is that of a server without a master key
	}
	ring, err := masterkey.Parse(text)
	if err == nil {
		return ring, nil
	}
	var told *leat.Error
	if errors.As(err, &told) {
		err = errors.New(told.Message)
	}
	if m.File == "" {
		return nil, bad("master-key", hidden, "%v: set LEAT_MASTER_KEY to what `leat master-key` prints", err)
	}
	return nil, bad("master-key-file", m.File, "%v: put there what `leat master-key` prints", err)
}

// localMasterKey is the file of a data folder; empty when there is none.
func localMasterKey(dir string) string {
	path := filepath.Join(dir, masterKeyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// devMasterKeys reads the master key of a data folder, and makes it first when the folder has none.
func devMasterKeys(dir string, rand io.Reader) (*masterkey.Ring, error) {
	path := filepath.Join(dir, masterKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte("# Secrets in this folder cannot be read without this key.\n" + masterkey.Generate(rand) + "\n")
		err = writeOnce(path, text)
	}
	if err != nil {
		return nil, bad("data-dir", dir, "its master key cannot be kept: %v", err)
	}
	return masterkey.Parse(text)
}

// writeOnce makes a file that is whole and on disk when it appears, and that its owner alone reads.
func writeOnce(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
