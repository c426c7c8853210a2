// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

func TestObjectsKeepTheContract(t *testing.T) {
	waltest.Run(t, func(*testing.T) wal.Driver { return wal.NewObjects(mem.New(nil)) })
}

func TestFilesKeepTheContract(t *testing.T) {
	for name, size := range map[string]int64{"files of 64 MiB": 0, "files of 8 KiB": 8 << 10} {
		t.Run(name, func(t *testing.T) {
			waltest.Run(t, func(t *testing.T) wal.Driver { return openFiles(t, t.TempDir(), size) })
		})
	}
}

func openFiles(t *testing.T, dir string, size int64) *wal.Files {
	t.Helper()
	d, err := wal.OpenFiles(dir, wal.FilesOptions{FileSize: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestKeys(t *testing.T) {
	s := leat.NewID[leat.SessionID](nil)
	for _, n := range []uint64{0, 7, 1<<64 - 1} {
		key := wal.Key(s, n)
		if got, m, ok := wal.ParseKey(key); !ok || got != s || m != n {
			t.Errorf("ParseKey(%s) = %v, %d, %v", key, got, m, ok)
		}
	}
	if a, b := wal.Key(s, 9), wal.Key(s, 10); a >= b {
		t.Errorf("%s does not sort before %s", a, b)
	}
	id := s.String()
	for _, key := range []string{
		"", "wal/", "pack/" + id + "/00000000000000000001", "wal/" + id, "wal/" + id + "/1",
		"wal/" + id + "/0000000000000000000x", "wal/" + id + "/99999999999999999999", "wal/" + id + "/+0000000000000000001",
		"wal/" + id[1:] + "/00000000000000000001", "wal/" + id + "/000000000000000000001",
	} {
		if _, _, ok := wal.ParseKey(key); ok {
			t.Errorf("ParseKey(%s) takes it for a segment", key)
		}
	}
}

func TestParams(t *testing.T) {
	for name, p := range map[string]wal.Params{"objects": wal.ObjectParams(), "cost": wal.CostParams(), "latency": wal.LatencyParams(), "files": wal.FileParams()} {
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(*wal.Params){
		"no target":         func(p *wal.Params) { p.SegmentTarget = 0 },
		"max below target":  func(p *wal.Params) { p.SegmentMax = p.SegmentTarget - 1 },
		"no slot":           func(p *wal.Params) { p.InFlight = 0 },
		"beyond the window": func(p *wal.Params) { p.InFlight = wal.WindowSize + 1 },
		"a cap and no burst": func(p *wal.Params) {
			p.PutsPerSecond, p.Burst = 1, 0
		},
		"negative cap":     func(p *wal.Params) { p.PutsPerSecond = -1 },
		"negative linger":  func(p *wal.Params) { p.Linger = -1 },
		"no stall":         func(p *wal.Params) { p.StallAfter = 0 },
		"no retry pause":   func(p *wal.Params) { p.RetryMin = 0 },
		"timeouts crossed": func(p *wal.Params) { p.AttemptTimeoutMax = p.AttemptTimeout - 1 },
	} {
		p := wal.ObjectParams()
		spoil(&p)
		if p.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
		g := waltest.NewSegments()
		w := wal.NewWriter(wal.Options{Driver: wal.NewObjects(mem.New(nil)), Session: g.Session, Source: waltest.NewSource(t, g), Params: p})
		if w.Run(t.Context()) == nil {
			t.Errorf("%s runs", name)
		}
	}
}
