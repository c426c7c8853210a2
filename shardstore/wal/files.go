// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
)

// FilesOptions configure OpenFiles.
type FilesOptions struct {
	FileSize int64        // bytes of a log file; 0 for 64 MiB
	Clock    leat.Clock   // paces what is done in the background; nil for the machine's
	Logger   *slog.Logger // nil for none
}

// Files keeps session logs in a local folder, which one process at a time uses (LockDir):
//
//	<dir>/<session>/<number of the first segment, 20 digits>.log
//	<dir>/<session>/next.tmp        the file that comes next, being filled with zeros
//
// A log file is made whole and zero-filled before its first use, so that a commit changes data alone: one write, one
// fdatasync. One commit is on its way at a time (Params.InFlight 1; more works, and gains nothing). A failed fsync ends
// the session for ever, because nobody can say what is on the disk then.
type Files struct {
	dir    string
	opened os.FileInfo // of dir, when it was opened
	o      FilesOptions
	io     fileIO

	recovering sync.Mutex // one Recover or load at a time

	mu   sync.Mutex
	logs map[leat.SessionID]*fileLog
}

var _ Driver = (*Files)(nil)

const (
	defaultFileSize = 64 << 20

	folderMode = 0o700
	fileMode   = 0o600

	logSuffix = ".log"
	tmpSuffix = ".tmp"
	spareName = "next" + tmpSuffix
)

// OpenFiles opens the logs in folder dir, which it makes if need be. The caller MUST hold LockDir for the folder, and
// removes nothing in it by other means. What another life left half made is cleared away.
func OpenFiles(dir string, o FilesOptions) (*Files, error) {
	if o.FileSize <= 0 {
		o.FileSize = defaultFileSize
	}
	if o.Clock == nil {
		o.Clock = leat.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.FileSize = (o.FileSize + framePage - 1) / framePage * framePage
	d := &Files{dir: dir, o: o, io: systemIO(), logs: make(map[leat.SessionID]*fileLog)}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, explain(err)
	}
	if err := d.io.syncDir(filepath.Dir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, explain(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, explain(err)
	}
	d.opened = info
	return d, d.clear()
}

// clear removes temporary files of sessions that are over.
func (d *Files) clear() error {
	sessions, err := d.Sessions()
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if err := clearTmp(d.folder(s)); err != nil {
			return explain(err)
		}
	}
	return nil
}

// clearTmp removes the temporary files of one session.
func clearTmp(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), tmpSuffix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// here proves that the folder is the one that was opened: an unmounted disk must not look like logs without segments.
func (d *Files) here() error {
	info, err := os.Stat(d.dir)
	if err != nil {
		return leat.Errorf(leat.KindUnavailable, "the folder of session logs is gone: %v", err)
	}
	if !os.SameFile(info, d.opened) {
		return leat.Errorf(leat.KindUnavailable, "the folder of session logs, %s, is another one than was opened (a mount that came or went?)", d.dir)
	}
	return nil
}

func (d *Files) folder(s leat.SessionID) string { return filepath.Join(d.dir, s.String()) }

// live finds a log that this process has begun or loaded; nil for none.
func (d *Files) live(s leat.SessionID) *fileLog {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logs[s]
}

// Begin implements Driver: it makes the session's folder and its first file, durably.
func (d *Files) Begin(_ context.Context, s leat.SessionID) error {
	if s.IsZero() {
		return errors.New("wal: a session needs an identity")
	}
	if err := d.here(); err != nil {
		return err
	}
	if err := os.Mkdir(d.folder(s), folderMode); err != nil {
		return explain(err)
	}
	if err := d.io.syncDir(d.dir); err != nil {
		return explain(err)
	}
	l := newFileLog(d, s)
	if err := l.roll(0, true); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[s] = l
	return nil
}

// Write implements Driver.
func (d *Files) Write(ctx context.Context, s leat.SessionID, n uint64, object []byte) error {
	l := d.live(s)
	if l == nil {
		return fmt.Errorf("%w: session %s was not begun here", ErrFenced, s)
	}
	return l.write(ctx, n, object)
}

// Verify implements Driver. Only this process writes the folder, so it knows.
func (d *Files) Verify(_ context.Context, s leat.SessionID, n uint64, header []byte) (State, error) {
	l := d.live(s)
	if l == nil {
		return StateForeign, nil
	}
	return l.verify(n, header)
}

// Read implements Driver. Logs of sessions that ended in an earlier life of the process are looked up when they are
// first asked for.
func (d *Files) Read(ctx context.Context, s leat.SessionID, n uint64, off, length int64) ([]byte, error) {
	l, err := d.log(ctx, s)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, fmt.Errorf("%s: %w", Key(s, n), blob.ErrNotFound)
	}
	return l.read(n, off, length)
}

// Remove implements Driver. On this medium it says that segment n and all before it are not needed any more: trims go
// forward, and what a process forgets at its end is made good by the next removal. A file goes with its last segment.
func (d *Files) Remove(ctx context.Context, s leat.SessionID, n uint64) error {
	l, err := d.log(ctx, s)
	if l == nil || err != nil {
		return err
	}
	return l.remove(n)
}

// Place is where a segment lies.
type Place struct {
	File string
	Off  int64 // of its first byte
}

// Place tells where a durable segment of a live session lies. Those bytes are never written again: frames are appended,
// and a recovery puts a copy in the place of the file. So the file may be given a second name that outlives the log's.
func (d *Files) Place(s leat.SessionID, n uint64) (Place, bool) {
	l := d.live(s)
	if l == nil {
		return Place{}, false
	}
	p, ok := l.place(n)
	if !ok {
		return Place{}, false
	}
	return Place{File: p.file.f.Name(), Off: p.off}, true
}

// Sessions lists the sessions that have a folder, in order.
func (d *Files) Sessions() ([]leat.SessionID, error) {
	if err := d.here(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, explain(err)
	}
	var all []leat.SessionID
	for _, e := range entries {
		if s, err := leat.ParseID[leat.SessionID](e.Name()); err == nil && e.IsDir() {
			all = append(all, s)
		}
	}
	return all, nil
}

// Drop removes all that is kept of a session, its fence included. closed/<session> MUST stand, and no row of the session
// be left (rule 12): then nobody asks the log any more, and the folder's lock does what a fence does elsewhere.
func (d *Files) Drop(_ context.Context, s leat.SessionID) error {
	if err := d.here(); err != nil {
		return err
	}
	d.mu.Lock()
	l := d.logs[s]
	delete(d.logs, s)
	d.mu.Unlock()
	if l != nil {
		if err := l.close(fmt.Errorf("%w: the session was dropped", ErrFenced)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(d.folder(s)); err != nil {
		return explain(err)
	}
	return explain(d.io.syncDir(d.dir))
}

// Close lets go of all files. Sessions that are live end. It may be called twice.
func (d *Files) Close() error {
	d.mu.Lock()
	logs := d.logs
	d.logs = make(map[leat.SessionID]*fileLog)
	d.mu.Unlock()
	var errs []error
	for _, l := range logs {
		errs = append(errs, l.close(fmt.Errorf("%w: the folder was closed", ErrFenced)))
	}
	return errors.Join(errs...)
}
