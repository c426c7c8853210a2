// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/backup"
	"github.com/leatstream/leat/shardstore/blob"
)

// Backups in the bucket, each in parts of 16 MiB, and an object that is written last and says that it is whole:
//
//	backups/<time, 20261129T101500Z>/<number of the part, 6 digits>
//	backups/<time>/whole    JSON: storedWhole
const (
	backupsPrefix = "backups/"
	backupPart    = 16 << 20
	backupWhole   = "whole"
	backupName    = "20060102T150405Z"
)

// backupAbandoned is the age from which on a backup that is not whole is not still being written.
const backupAbandoned = 24 * time.Hour

// StoredBackup is a backup in the bucket.
type StoredBackup struct {
	Name  string
	Whole bool // otherwise it is still being written, or was given up
	backup.Summary
	Bytes int64

	keys []string
	last time.Time
}

// storedWhole is the last object of a backup.
type storedWhole struct {
	backup.Summary
	Bytes int64 `json:"bytes"`
	Parts int   `json:"parts"`
}

// backups are those in a bucket.
type backups struct{ blobs blob.Store }

func (r *Remote) backups() backups { return backups{r.Blobs} }

func partKey(name string, part int) string {
	return fmt.Sprintf("%s%s/%06d", backupsPrefix, name, part)
}

// create begins a backup.
func (b backups) create(ctx context.Context, now time.Time) backupWriter {
	return &backupParts{ctx: ctx, backups: b, name: now.UTC().Format(backupName)}
}

// backupParts is a backup on its way into the bucket.
type backupParts struct {
	backups
	ctx   context.Context //nolint:containedctx // of the one call that writes the backup
	name  string
	parts int
	bytes int64
	part  bytes.Buffer
	ended bool // what says that it is whole may stand
}

func (p *backupParts) place() string { return p.name }

// Write implements io.Writer.
func (p *backupParts) Write(b []byte) (n int, err error) {
	for n < len(b) {
		some := b[n:min(len(b), n+backupPart-p.part.Len())]
		p.part.Write(some)
		n += len(some)
		if p.part.Len() == backupPart {
			if err := p.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (p *backupParts) flush() error {
	if p.part.Len() == 0 {
		return nil
	}
	if err := p.blobs.Create(p.ctx, partKey(p.name, p.parts), p.part.Bytes()); err != nil {
		if errors.Is(err, blob.ErrExists) {
			return leat.Errorf(leat.KindInUse, "another backup is being written under the name %s: run it again", p.name)
		}
		return fmt.Errorf("write the backup into the bucket: %w", err)
	}
	p.bytes += int64(p.part.Len())
	p.parts++
	p.part.Reset()
	return nil
}

func (p *backupParts) finish(s *backup.Summary) (int64, error) {
	if err := p.flush(); err != nil {
		return 0, err
	}
	body, err := json.Marshal(&storedWhole{*s, p.bytes, p.parts})
	if err != nil {
		return 0, err
	}
	p.ended = true
	return p.bytes, p.blobs.Create(p.ctx, backupsPrefix+p.name+"/"+backupWhole, body)
}

// discard deletes the parts that were written, and before them what says that they are whole: it may stand though its writing failed.
func (p *backupParts) discard() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), time.Minute)
	defer cancel()
	if p.ended {
		if err := p.blobs.Delete(ctx, backupsPrefix+p.name+"/"+backupWhole); err != nil {
			return err
		}
	}
	var errs []error
	for i := range p.parts {
		errs = append(errs, p.blobs.Delete(ctx, partKey(p.name, i)))
	}
	return errors.Join(errs...)
}

// list lists all, the newest first.
func (b backups) list(ctx context.Context) (all []StoredBackup, err error) {
	for info, err := range blob.All(ctx, b.blobs, backupsPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list the backups: %w", err)
		}
		name, object, ok := strings.Cut(strings.TrimPrefix(info.Key, backupsPrefix), "/")
		if !ok {
			continue
		}
		if n := len(all); n == 0 || all[n-1].Name != name {
			all = append(all, StoredBackup{Name: name})
		}
		s := &all[len(all)-1]
		s.keys = append(s.keys, info.Key)
		if info.Modified.After(s.last) {
			s.last = info.Modified
		}
		if object == backupWhole {
			whole, err := b.whole(ctx, name)
			if err != nil {
				return nil, err
			}
			s.Whole, s.Summary, s.Bytes = true, whole.Summary, whole.Bytes
		}
	}
	slices.Reverse(all)
	return all, nil
}

// newest is when the newest whole backup was begun; zero when there is none. It reads none.
func (b backups) newest(ctx context.Context) (last time.Time, err error) {
	for info, err := range blob.All(ctx, b.blobs, backupsPrefix) {
		if err != nil {
			return last, fmt.Errorf("list the backups: %w", err)
		}
		name, object, _ := strings.Cut(strings.TrimPrefix(info.Key, backupsPrefix), "/")
		if object != backupWhole {
			continue
		}
		if began, err := time.Parse(backupName, name); err == nil && began.After(last) { // another name is not from here
			last = began
		}
	}
	return last, nil
}

func (b backups) whole(ctx context.Context, name string) (w storedWhole, err error) {
	key := backupsPrefix + name + "/" + backupWhole
	body, err := b.blobs.Read(ctx, key, 0, -1)
	if err != nil {
		return w, fmt.Errorf("read %s: %w", key, err)
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return w, leat.Errorf(leat.KindCorrupt, "%s cannot be read: %w", key, err)
	}
	return w, nil
}

// open reads a backup by its name; "latest" is the newest that is whole.
func (b backups) open(ctx context.Context, name string) (io.ReadCloser, string, error) {
	if name == "latest" {
		all, err := b.list(ctx)
		if err != nil {
			return nil, "", err
		}
		i := slices.IndexFunc(all, func(s StoredBackup) bool { return s.Whole })
		if i < 0 {
			return nil, "", leat.Invalid("backup", "the bucket holds no backup: give a file, or rebuild without one (leat rebuild)")
		}
		name = all[i].Name
	}
	if strings.Contains(name, "/") {
		return nil, "", leat.Invalid("backup", "%q: there is no such file", name)
	}
	w, err := b.whole(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, "", leat.Invalid("backup", "%q is neither a file nor a whole backup in the bucket: see leat backup list", name)
	}
	if err != nil {
		return nil, "", err
	}
	return &partReader{ctx: ctx, backups: b, name: name, parts: w.Parts}, name, nil
}

// partReader reads the parts of a backup one after the other.
type partReader struct {
	backups
	ctx   context.Context //nolint:containedctx // of the one call that reads the backup
	name  string
	parts int
	next  int
	part  []byte
}

// Read implements io.Reader.
func (r *partReader) Read(to []byte) (int, error) {
	for len(r.part) == 0 {
		if r.next == r.parts {
			return 0, io.EOF
		}
		var err error
		r.part, err = r.blobs.Read(r.ctx, partKey(r.name, r.next), 0, -1)
		if errors.Is(err, blob.ErrNotFound) {
			return 0, leat.Errorf(leat.KindCorrupt, "part %d of %d is not in the bucket any more", r.next, r.parts)
		}
		if err != nil {
			return 0, fmt.Errorf("read part %d of %s: %w", r.next, r.name, err)
		}
		r.next++
	}
	n := copy(to, r.part)
	r.part = r.part[n:]
	return n, nil
}

// Close implements io.Closer.
func (r *partReader) Close() error { return nil }

// prune deletes all whole backups but the newest, and what was given up before it was whole.
func (b backups) prune(ctx context.Context, keep int, now time.Time) (n int, err error) {
	all, err := b.list(ctx)
	if err != nil {
		return 0, err
	}
	kept := 0
	for i := range all {
		s := &all[i]
		if s.Whole {
			if kept++; kept <= keep {
				continue
			}
		} else if now.Sub(s.last) < backupAbandoned {
			continue
		}
		if err := b.delete(ctx, s); err != nil {
			return n, fmt.Errorf("delete backup %s: %w", s.Name, err)
		}
		n++
	}
	return n, nil
}

// delete takes away first what says that it is whole.
func (b backups) delete(ctx context.Context, s *StoredBackup) error {
	slices.SortFunc(s.keys, func(a, b string) int { return cmp.Compare(b, a) }) // "whole" sorts after digits
	for _, key := range s.keys {
		if err := b.blobs.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
